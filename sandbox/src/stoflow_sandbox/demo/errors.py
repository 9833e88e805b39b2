"""Why the demo stopped.

DemoError
├── ServerUnreachableError   a server named by DATABASE_URL or NATS_URL gives no usable answer
├── JobNotCompletedError     the publish job ended otherwise, or did not end in time
└── NotCountedError          the statistics did not count the run in time
"""


class DemoError(Exception):
    """The demo cannot go on; the message alone tells a person what is wrong."""


class ServerUnreachableError(DemoError):
    """A server that is not ours to start gives no usable answer; the message names its address."""


class JobNotCompletedError(DemoError):
    """The job ended in another state, or was still waiting when time was up."""


class NotCountedError(DemoError):
    """The statistics do not show the run."""
