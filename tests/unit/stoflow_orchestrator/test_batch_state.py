"""Where a batch stands follows from its jobs, whatever happened to them and in whatever order."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.engine.batch_counts import batch_deltas
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.records import Job
from stoflow_orchestrator.lifecycle import (
    JOB_ARROWS,
    BatchState,
    JobEvent,
    JobState,
    batch_state,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COMPLETED, RUNNING, PENDING = JobState.COMPLETED, JobState.RUNNING, JobState.PENDING


def _recount(states: list[JobState], *, is_started: bool, is_cancelled: bool) -> BatchState:
    """The rule in plain words, over the states themselves."""
    if is_cancelled:
        return BatchState.CANCELLED
    if any(not state.is_terminal for state in states):
        return BatchState.RUNNING if is_started else BatchState.PENDING
    if set(states) == {COMPLETED}:
        return BatchState.COMPLETED
    return BatchState.PARTIALLY_FAILED if COMPLETED in states else BatchState.FAILED


@given(st.lists(st.sampled_from(list(JobState)), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_state_is_what_a_recount_of_the_jobs_says(
    states: list[JobState], is_started: bool, is_cancelled: bool
) -> None:
    """Counts of completed and ended jobs are enough to know the state."""
    state = batch_state(
        total=len(states),
        completed=states.count(COMPLETED),
        ended=sum(state.is_terminal for state in states),
        is_started=is_started,
        is_cancelled=is_cancelled,
    )
    assert state is _recount(states, is_started=is_started, is_cancelled=is_cancelled)


def test_expired_and_cancelled_jobs_end_a_batch_like_failed_ones() -> None:
    """A batch of nothing but expired jobs is FAILED, not RUNNING for ever."""
    states = [
        batch_state(total=3, ended=3, completed=completed, is_started=False, is_cancelled=False)
        for completed in (0, 1, 3)
    ]
    assert states == [BatchState.FAILED, BatchState.PARTIALLY_FAILED, BatchState.COMPLETED]


def _job(batch_id: uuid.UUID | None, state: JobState) -> Job:
    return Job(
        job_id=uuid.uuid4(),
        tenant_id=1,
        marketplace="m",
        account_id=uuid.uuid4(),
        product_id=uuid.uuid4(),
        site="",
        action="publish",
        manifest_version="1",
        assignment=b"",
        max_retries=0,
        run=1,
        queue_time=NOW - timedelta(days=1),
        state=state,
        wait_reason=None,
        task_position=0,
        failure=None,
        event_sequence=1,
        next_time=NOW,
        admit_time=None,
        start_time=None,
        finish_time=None,
        batch_id=batch_id,
        loaded_state=state,
    )


_EVENTS_OF_A_GROUP = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(list(JobEvent))), max_size=40)


@given(st.lists(_EVENTS_OF_A_GROUP, max_size=8))
def test_counts_kept_group_by_group_equal_a_recount(groups: list[list[tuple[int, JobEvent]]]) -> None:
    """However jobs end and are retried, within a group or across groups, the sums of the deltas stay exact."""
    batch_id = uuid.uuid4()
    jobs = [_job(batch_id, PENDING) for _ in range(6)]
    counts = dict.fromkeys((state for state in JobState if state.is_terminal), 0)
    for group in groups:
        changes = Changes(now=NOW)
        for job in jobs:
            job.loaded_state = job.state
        for index, event in group:
            job = jobs[index]
            if (after := JOB_ARROWS.get((job.state, event))) is not None:
                job.state = after
                changes.touch_job(job)
        deltas = batch_deltas(changes)
        if batch_id in deltas:
            for state, number in deltas[batch_id].ended.items():
                counts[state] += number
    assert counts == {state: sum(job.state is state for job in jobs) for state in counts}


def test_jobs_without_a_batch_and_jobs_that_did_not_end_leave_no_delta() -> None:
    """A group that concerns no batch's counts adds no statement."""
    changes = Changes(now=NOW)
    alone, waiting = _job(None, RUNNING), _job(uuid.uuid4(), RUNNING)
    alone.state, waiting.state = COMPLETED, PENDING
    changes.touch_job(alone)
    changes.touch_job(waiting)
    assert batch_deltas(changes) == {}


def test_first_admission_starts_the_batch() -> None:
    """A job admitted in this group for the first time marks its batch as started."""
    changes = Changes(now=NOW)
    job = _job(uuid.uuid4(), PENDING)
    job.state, job.admit_time, job.start_time = RUNNING, NOW, NOW
    changes.touch_job(job)
    (delta,) = batch_deltas(changes).values()
    assert delta.is_started
    assert not any(delta.ended.values())
