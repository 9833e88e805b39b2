"""Why a server could not be started or reached."""

from stoflow_sandbox.lifeline import ProcessError


class ServerError(ProcessError):
    """The server did not start; the message names the folder or address and says what to do."""


class FolderInUseError(ServerError):
    """Another process works in this data folder."""


class PortTakenError(ServerError):
    """Another process listens on the port."""
