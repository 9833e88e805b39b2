"""The life cycles of jobs and tasks: every arrow that exists, and nothing else; and the rule of batches.

Pure: no I/O and no time. Whoever changes a state asks `next_job_state` or `next_task_state`; an arrow that is not
in the tables does not exist. The database's CHECK constraints guard the shape of each row as well.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class JobState(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self in TERMINAL_JOB_STATES


class JobEvent(StrEnum):
    """What can happen to a job."""

    ADMIT = "ADMIT"
    WAIT = "WAIT"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    CANCEL = "CANCEL"
    EXPIRE = "EXPIRE"
    RETRY = "RETRY"


class TaskState(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more happens to the task in this run."""
        return self in TERMINAL_TASK_STATES


class TaskEvent(StrEnum):
    """What can happen to a task."""

    START = "START"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    # The attempt ended without settling the task: a failure to be retried, a lost lease, a released lease.
    TRY_AGAIN = "TRY_AGAIN"
    CANCEL = "CANCEL"
    RETRY = "RETRY"


class WaitReason(StrEnum):
    """Why a PENDING job is not admitted although slots may be free."""

    RETRY_BACKOFF = "RETRY_BACKOFF"
    RATE_LIMITED = "RATE_LIMITED"
    ACCOUNT_RECONNECT_REQUIRED = "ACCOUNT_RECONNECT_REQUIRED"
    SELLER_OFFLINE = "SELLER_OFFLINE"
    NEEDS_HUMAN = "NEEDS_HUMAN"
    CONNECTOR_UNAVAILABLE = "CONNECTOR_UNAVAILABLE"


class BatchState(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    PARTIALLY_FAILED = "PARTIALLY_FAILED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


TERMINAL_JOB_STATES: Final = frozenset(
    {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}
)
TERMINAL_TASK_STATES: Final = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED})

JOB_ARROWS: Final[dict[tuple[JobState, JobEvent], JobState]] = {
    (JobState.PENDING, JobEvent.ADMIT): JobState.RUNNING,
    (JobState.PENDING, JobEvent.PAUSE): JobState.PAUSED,
    (JobState.PENDING, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.PENDING, JobEvent.EXPIRE): JobState.EXPIRED,
    (JobState.RUNNING, JobEvent.WAIT): JobState.PENDING,
    (JobState.RUNNING, JobEvent.PAUSE): JobState.PAUSED,
    (JobState.RUNNING, JobEvent.COMPLETE): JobState.COMPLETED,
    (JobState.RUNNING, JobEvent.FAIL): JobState.FAILED,
    (JobState.RUNNING, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, JobEvent.EXPIRE): JobState.EXPIRED,
    (JobState.PAUSED, JobEvent.RESUME): JobState.PENDING,
    # The attempt that ran when the job was paused may still settle it: nothing is left then to hold back.
    (JobState.PAUSED, JobEvent.COMPLETE): JobState.COMPLETED,
    (JobState.PAUSED, JobEvent.FAIL): JobState.FAILED,
    (JobState.PAUSED, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.PAUSED, JobEvent.EXPIRE): JobState.EXPIRED,
    (JobState.FAILED, JobEvent.RETRY): JobState.PENDING,
    (JobState.EXPIRED, JobEvent.RETRY): JobState.PENDING,
}

TASK_ARROWS: Final[dict[tuple[TaskState, TaskEvent], TaskState]] = {
    (TaskState.PENDING, TaskEvent.START): TaskState.RUNNING,
    (TaskState.PENDING, TaskEvent.CANCEL): TaskState.CANCELLED,
    # A dispatch that nobody started in time.
    (TaskState.PENDING, TaskEvent.FAIL): TaskState.FAILED,
    (TaskState.PENDING, TaskEvent.TRY_AGAIN): TaskState.PENDING,
    (TaskState.RUNNING, TaskEvent.COMPLETE): TaskState.COMPLETED,
    (TaskState.RUNNING, TaskEvent.FAIL): TaskState.FAILED,
    (TaskState.RUNNING, TaskEvent.TRY_AGAIN): TaskState.PENDING,
    (TaskState.RUNNING, TaskEvent.CANCEL): TaskState.CANCELLED,
    (TaskState.FAILED, TaskEvent.RETRY): TaskState.PENDING,
    (TaskState.CANCELLED, TaskEvent.RETRY): TaskState.PENDING,
}


class TransitionError(Exception):
    """An arrow was asked for that does not exist; a fault of the caller, never of a user."""


def next_job_state(state: JobState, event: JobEvent) -> JobState:
    """Returns where the event leads.

    Raises:
        TransitionError: There is no such arrow.
    """
    try:
        return JOB_ARROWS[state, event]
    except KeyError:
        raise TransitionError(f"a {state} job has no arrow {event}") from None


def next_task_state(state: TaskState, event: TaskEvent) -> TaskState:
    """Returns where the event leads.

    Raises:
        TransitionError: There is no such arrow.
    """
    try:
        return TASK_ARROWS[state, event]
    except KeyError:
        raise TransitionError(f"a {state} task has no arrow {event}") from None


def batch_state(
    *, total: int, completed: int, ended: int, is_started: bool, is_cancelled: bool
) -> BatchState:
    """Returns where a batch stands; no batch has a state but by these facts.

    Args:
        total: Its jobs.
        completed: Those that are COMPLETED.
        ended: Those in any terminal state; an expired or cancelled job counts like a failed one.
        is_started: Whether any was ever admitted.
        is_cancelled: Whether a person cancelled the batch.
    """
    if is_cancelled:
        return BatchState.CANCELLED
    if ended < total:
        return BatchState.RUNNING if is_started else BatchState.PENDING
    if completed == total:
        return BatchState.COMPLETED
    return BatchState.PARTIALLY_FAILED if completed else BatchState.FAILED
