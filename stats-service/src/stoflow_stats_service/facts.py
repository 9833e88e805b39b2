"""What an event says, checked and reduced to what is counted.

Named tuples, because some thousand of them are made every second. Durations are whole microseconds.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class RunOutcome(StrEnum):
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class AttemptOutcome(StrEnum):
    COMPLETED = "COMPLETED"
    RETRIED = "RETRIED"
    FAILED = "FAILED"


class ActionHour(NamedTuple):
    """Where a figure belongs.

    Attributes:
        tenant_id: The tenant.
        hour: Start of the UTC hour in which the event occurred.
        marketplace: Such as `ebay`.
        action: Such as `publish`.
    """

    tenant_id: int
    hour: datetime
    marketplace: str
    action: str


class ErrorKind(NamedTuple):
    """What went wrong: the number of an ErrorClass, and a code that may be empty."""

    error_class: int
    code: str


class RunEnded(NamedTuple):
    """A run of a job ended; durations are None for a run that was never admitted."""

    event_id: str
    at: ActionHour
    outcome: RunOutcome
    is_retry: bool
    run_us: int | None
    queue_us: int | None
    error: ErrorKind | None


class AttemptEnded(NamedTuple):
    """An attempt at a task ended."""

    event_id: str
    at: ActionHour
    task_name: str
    outcome: AttemptOutcome
    duration_us: int | None
    error: ErrorKind | None


class UnknownFact(NamedTuple):
    """A kind of fact that is newer than this release: counted nowhere, and not remembered.

    The release that knows it may still count it, when it reads the history.
    """

    event_id: str


KnownFact = RunEnded | AttemptEnded
Fact = KnownFact | UnknownFact
