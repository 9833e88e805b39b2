"""What calls about one job decide, for every state with and without a lease."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta

import pytest
from stoflow.common.v1 import failure_pb2

from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.commands import (
    CancelJob,
    ControlCommand,
    ControlOutcome,
    PauseJob,
    ReconcileJob,
    ResumeJob,
    RetryJob,
    TimeOutStart,
)
from stoflow_orchestrator.engine.failing import fail_attempt
from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason
from tests.unit.stoflow_orchestrator.engine.rows import INSTANCE, NOW, make_changes, make_job, make_task

CHANGED, UNCHANGED = ControlOutcome.CHANGED, ControlOutcome.UNCHANGED
INVALID, RUNS = ControlOutcome.STATE_INVALID, ControlOutcome.ATTEMPT_RUNS
LIVE = (JobState.PENDING, JobState.RUNNING, JobState.PAUSED)
COMMANDS: tuple[type[ControlCommand], ...] = (CancelJob, PauseJob, ResumeJob, RetryJob)


def _expected(command: type[ControlCommand], state: JobState, *, is_leased: bool) -> ControlOutcome:
    if command is RetryJob:
        if state not in {JobState.FAILED, JobState.EXPIRED}:
            return INVALID
        return RUNS if is_leased else CHANGED
    if command is CancelJob and state is JobState.CANCELLED:
        return UNCHANGED
    if state not in LIVE:
        return INVALID
    if command is CancelJob:
        return CHANGED
    if command is PauseJob:
        return UNCHANGED if state is JobState.PAUSED else CHANGED
    if state is not JobState.PAUSED:
        return UNCHANGED
    return RUNS if is_leased else CHANGED


@pytest.mark.parametrize(
    ("command", "state", "is_leased"), list(itertools.product(COMMANDS, JobState, [True, False]))
)
def test_every_pair_of_call_and_state_has_its_outcome(
    command: type[ControlCommand], state: JobState, is_leased: bool
) -> None:
    """Only CHANGED changes anything: then exactly one event is recorded, by the caller."""
    job = make_job(state, holds_slot=is_leased)
    task = make_task(job, state=TaskState.RUNNING if is_leased else TaskState.PENDING)
    changes = make_changes(job, task)
    outcome = command(1, job.job_id).decide(changes)
    assert outcome is _expected(command, state, is_leased=is_leased)
    if outcome is CHANGED:
        assert [(entry.actor, entry.sequence) for entry in changes.history] == [("caller", 2)]
    else:
        assert job.state is state
        assert not any((changes.history, changes.changed_jobs, changes.changed_tasks, changes.facts))


@pytest.mark.parametrize("command", COMMANDS)
def test_job_of_another_tenant_is_as_good_as_none(command: type[ControlCommand]) -> None:
    """A job that is not there and one of another tenant are told alike."""
    job = make_job()
    changes = make_changes(job, make_task(job))
    assert command(2, job.job_id).decide(changes) is ControlOutcome.NOT_LIVE
    assert command(1, uuid.uuid4()).decide(changes) is ControlOutcome.NOT_LIVE
    assert not changes.history


@pytest.mark.parametrize("command", [CancelJob, PauseJob])
def test_leased_attempt_is_told_and_keeps_the_slot(command: type[ControlCommand]) -> None:
    """The holder of the lease is rung, the lease stays, and so does the slot."""
    job = make_job()
    task = make_task(job, state=TaskState.RUNNING)
    changes = make_changes(job, task)
    command(1, job.job_id).decide(changes)
    assert changes.directives == {("ebay", INSTANCE)}
    assert job.admit_time is not None
    assert task.lease_token is not None


@pytest.mark.parametrize("command", [CancelJob, PauseJob])
def test_dispatched_task_is_withdrawn_and_the_slot_freed(command: type[ControlCommand]) -> None:
    """Nobody has to be told, and another job may have the slot at once."""
    job = make_job()
    task = make_task(job, is_dispatched=True)
    changes = make_changes(job, task)
    command(1, job.job_id).decide(changes)
    assert not changes.directives
    assert job.admit_time is None
    assert task.dispatch_time is None
    assert changes.stirred == {"ebay"}


def test_cancel_is_told_to_statistics_once_and_at_once() -> None:
    """The run is finished with the cancel, whatever the attempt does then."""
    job = make_job()
    changes = make_changes(job, make_task(job, state=TaskState.RUNNING))
    CancelJob(1, job.job_id).decide(changes)
    CancelJob(1, job.job_id).decide(changes)
    assert [fact.WhichOneof("fact") for fact in changes.facts] == ["run_finished"]


@pytest.mark.parametrize("reason", [WaitReason.NEEDS_HUMAN, WaitReason.ACCOUNT_RECONNECT_REQUIRED])
def test_endless_wait_ends_with_a_pause_and_a_resume(reason: WaitReason) -> None:
    """Whoever resumes the job wants it tried."""
    job = make_job(JobState.PENDING, wait_reason=reason)
    job.next_time = NOW + timedelta(days=36_500)
    changes = make_changes(job, make_task(job))
    PauseJob(1, job.job_id).decide(changes)
    assert job.wait_reason is None
    ResumeJob(1, job.job_id).decide(changes)
    assert job.next_time <= job.queue_time


def test_timed_wait_outlives_a_pause_and_a_resume() -> None:
    """A rate limit is not talked away."""
    job = make_job(JobState.PENDING, wait_reason=WaitReason.RATE_LIMITED)
    job.next_time = NOW + timedelta(hours=1)
    changes = make_changes(job, make_task(job))
    PauseJob(1, job.job_id).decide(changes)
    ResumeJob(1, job.job_id).decide(changes)
    assert job.next_time == NOW + timedelta(hours=1)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED])
def test_failure_burns_a_retry_of_a_running_job_only(state: JobState) -> None:
    """A paused job's task waits as it was, a cancelled one's is cancelled, and both give their slot back."""
    job = make_job(state, holds_slot=True)
    task = make_task(job, state=TaskState.RUNNING)
    failure = failure_pb2.Failure(error_class=failure_pb2.ERROR_CLASS_RETRYABLE)
    fail_attempt(make_changes(job, task), job, task, failure, RetryPolicy())
    assert task.failure_count == (1 if state is JobState.RUNNING else 0)
    ended = TaskState.CANCELLED if state is JobState.CANCELLED else TaskState.PENDING
    assert task.state is ended
    assert job.admit_time is None


def test_late_start_is_an_attempt_that_sent_nothing() -> None:
    """It counts, burns a retry, and has no duration."""
    job = make_job()
    task = make_task(job, is_dispatched=True)
    task.deadline_time = NOW - timedelta(seconds=1)
    changes = make_changes(job, task)
    assert TimeOutStart(job.job_id, task.task_id, RetryPolicy()).decide(changes)
    assert (task.attempt_count, task.failure_count, task.dispatch_time) == (1, 1, None)
    fact = changes.facts[0].attempt_finished
    assert (fact.attempt, fact.HasField("duration")) == (1, False)
    assert fact.failure.effect_outcome == failure_pb2.EFFECT_OUTCOME_NOT_SENT


@pytest.mark.parametrize("seconds", [0, 1])
def test_start_in_time_is_left_alone(seconds: int) -> None:
    """What the reaper saw is decided again: the time may not be over, or the task may have started."""
    job = make_job()
    task = make_task(job, is_dispatched=True)
    task.deadline_time = NOW + timedelta(seconds=seconds)
    changes = make_changes(job, task)
    assert not TimeOutStart(job.job_id, task.task_id, RetryPolicy()).decide(changes)
    started = make_task(job, state=TaskState.RUNNING)
    changes = make_changes(job, started)
    assert not TimeOutStart(job.job_id, started.task_id, RetryPolicy()).decide(changes)
    assert not changes.history


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.PENDING])
def test_job_with_something_under_way_is_not_stuck(state: JobState) -> None:
    """A lease or a dispatch is something."""
    job = make_job(state, holds_slot=True)
    leased = make_changes(job, make_task(job, state=TaskState.RUNNING))
    dispatched = make_changes(job, make_task(job, is_dispatched=True))
    assert not ReconcileJob(job.job_id).decide(leased)
    assert not ReconcileJob(job.job_id).decide(dispatched)
