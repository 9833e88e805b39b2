"""What goes wrong inside the service; what callers of its RPCs see is in stoflow_service_kit.errors.

MalformedError              it can never be counted, however often it is delivered
├── MalformedMessageError   nothing of the message can be read
└── MalformedEventError     one event says something impossible; its neighbours are counted
WindowError                 (in window.py) a question's window cannot be used
"""


class MalformedError(Exception):
    """What arrived can never be counted."""


class MalformedMessageError(MalformedError):
    """The payload is no batch of events."""


class MalformedEventError(MalformedError):
    """One event of a batch lacks something or contradicts its contract; the text lists everything."""
