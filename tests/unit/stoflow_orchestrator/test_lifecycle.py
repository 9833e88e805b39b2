"""The tables of arrows."""

from __future__ import annotations

import itertools

import pytest

from stoflow_orchestrator.lifecycle import (
    JOB_ARROWS,
    TASK_ARROWS,
    TERMINAL_JOB_STATES,
    TERMINAL_TASK_STATES,
    JobEvent,
    JobState,
    TaskEvent,
    TaskState,
    TransitionError,
    next_job_state,
    next_task_state,
)

# Written out a second time on purpose, from the contract's words.
JOB_CONTRACT = {
    "PENDING": {"ADMIT": "RUNNING", "PAUSE": "PAUSED", "CANCEL": "CANCELLED", "EXPIRE": "EXPIRED"},
    "RUNNING": {
        "WAIT": "PENDING",
        "PAUSE": "PAUSED",
        "COMPLETE": "COMPLETED",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
        "EXPIRE": "EXPIRED",
    },
    "PAUSED": {
        "RESUME": "PENDING",
        "COMPLETE": "COMPLETED",
        "FAIL": "FAILED",
        "CANCEL": "CANCELLED",
        "EXPIRE": "EXPIRED",
    },
    "COMPLETED": {},
    "FAILED": {"RETRY": "PENDING"},
    "CANCELLED": {},
    "EXPIRED": {"RETRY": "PENDING"},
}
TASK_CONTRACT = {
    "PENDING": {"START": "RUNNING", "FAIL": "FAILED", "TRY_AGAIN": "PENDING", "CANCEL": "CANCELLED"},
    "RUNNING": {"COMPLETE": "COMPLETED", "FAIL": "FAILED", "TRY_AGAIN": "PENDING", "CANCEL": "CANCELLED"},
    "COMPLETED": {},
    "FAILED": {"RETRY": "PENDING"},
    "CANCELLED": {"RETRY": "PENDING"},
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(JobState, JobEvent)))
def test_every_pair_of_job_state_and_event_is_as_the_contract_says(state: JobState, event: JobEvent) -> None:
    """Each pair either leads where the contract says or is refused."""
    target = JOB_CONTRACT[state].get(event)
    if target is None:
        with pytest.raises(TransitionError):
            next_job_state(state, event)
    else:
        assert next_job_state(state, event) == target


@pytest.mark.parametrize(("state", "event"), list(itertools.product(TaskState, TaskEvent)))
def test_every_pair_of_task_state_and_event_is_as_the_contract_says(
    state: TaskState, event: TaskEvent
) -> None:
    """Each pair either leads where the contract says or is refused."""
    target = TASK_CONTRACT[state].get(event)
    if target is None:
        with pytest.raises(TransitionError):
            next_task_state(state, event)
    else:
        assert next_task_state(state, event) == target


def test_completed_is_final() -> None:
    """Nothing leads out of COMPLETED, for jobs and tasks alike."""
    assert not [arrow for arrow in JOB_ARROWS if arrow[0] is JobState.COMPLETED]
    assert not [arrow for arrow in TASK_ARROWS if arrow[0] is TaskState.COMPLETED]


def test_only_a_retry_leads_out_of_terminal_states() -> None:
    """Completion cannot overwrite a cancel, nor anything else a state that has ended."""
    assert {e for s, e in JOB_ARROWS if s in TERMINAL_JOB_STATES} == {JobEvent.RETRY}
    assert {e for s, e in TASK_ARROWS if s in TERMINAL_TASK_STATES} == {TaskEvent.RETRY}
