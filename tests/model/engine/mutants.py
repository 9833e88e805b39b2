"""The engine with one guard switched off."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands import (
    CancelJob,
    ControlOutcome,
    ExpireJob,
    LoseLease,
    RedispatchTask,
    ReleaseTask,
    ReportTask,
    ResumeJob,
    RetryJob,
    StartTask,
)
from stoflow_orchestrator.engine.records import EffectKey, Job, Task
from stoflow_orchestrator.lifecycle import JobEvent, JobState, TaskState
from stoflow_orchestrator.repositories import admission as admission_repository
from stoflow_orchestrator.repositories import intake as intake_repository
from stoflow_orchestrator.repositories import live as live_repository

Patch = pytest.MonkeyPatch
decide_report = ReportTask.decide
decide_release = ReleaseTask.decide
decide_redispatch = RedispatchTask.decide
begin_effect = Changes.begin_effect
accept_failure = ReportTask._accept_failure
decide_lose = LoseLease.decide
decide_expire = ExpireJob.decide
start_again_with_token = ReportTask._start_again


def report_without_token(patch: Patch) -> None:
    """Whoever reports on a running attempt is believed."""

    def decide(self: ReportTask, changes: Changes) -> Any:
        task = changes.tasks.get(self.task_id)
        held = task.lease_token if task is not None else None
        return decide_report(dataclasses.replace(self, lease_token=held) if held else self, changes)

    patch.setattr(ReportTask, "decide", decide)


def release_without_token(patch: Patch) -> None:
    """Whoever releases a running attempt is believed."""

    def decide(self: ReleaseTask, changes: Changes) -> None:
        task = changes.tasks.get(self.task_id)
        held = task.lease_token if task is not None else None
        decide_release(dataclasses.replace(self, lease_token=held) if held else self, changes)

    patch.setattr(ReleaseTask, "decide", decide)


def report_accepted_again(patch: Patch) -> None:
    """A report whose answer was lost is not recognized."""

    def decide(self: ReportTask, changes: Changes) -> Any:
        if (task := changes.tasks.get(self.task_id)) is not None:
            task.accepted_token = None
        return decide_report(self, changes)

    patch.setattr(ReportTask, "decide", decide)


def report_without_state(patch: Patch) -> None:
    """A report is taken whatever the task's state is."""

    def decide(self: ReportTask, changes: Changes) -> Any:
        if (task := changes.tasks.get(self.task_id)) is not None:
            task.state, task.lease_token, task.accepted_token = TaskState.RUNNING, self.lease_token, None
        return decide_report(self, changes)

    patch.setattr(ReportTask, "decide", decide)


def start_without_dispatch_number(patch: Patch) -> None:
    """Any command of a dispatched task is granted, however old."""

    def is_current(self: StartTask, job: Job, task: Task) -> bool:
        is_dispatched = task.state is TaskState.PENDING and task.dispatch_time is not None
        return job.state is JobState.RUNNING and is_dispatched

    patch.setattr(StartTask, "_is_current", is_current)


def start_without_task_state(patch: Patch) -> None:
    """A task that runs already may be started by somebody else."""

    def is_current(self: StartTask, job: Job, task: Task) -> bool:
        if job.state is JobState.RUNNING and task.state is TaskState.RUNNING:
            task.state = TaskState.PENDING
        return task.state is TaskState.PENDING and task.dispatch == self.dispatch

    patch.setattr(StartTask, "_is_current", is_current)


def start_without_job_state(patch: Patch) -> None:
    """A task may be started although its job was paused or waits."""

    def is_current(self: StartTask, job: Job, task: Task) -> bool:
        return task.state is TaskState.PENDING and task.dispatch == self.dispatch

    patch.setattr(StartTask, "_is_current", is_current)


def start_for_any_tenant(patch: Patch) -> None:
    """A command may name any tenant."""
    patch.setattr(StartTask, "_belongs", lambda self, job, task: True)


def report_for_any_tenant(patch: Patch) -> None:
    """A report may name any tenant."""
    patch.setattr(ReportTask, "_belongs", lambda self, job, task: True)


def effect_never_probed(patch: Patch) -> None:
    """An attempt that finds its effect unresolved or done sends at once."""

    def begin(self: Changes, job: Job, task: Task, key: EffectKey) -> Any:
        effect = begin_effect(self, job, task, key)
        effect.mode = "EXECUTE"
        return effect

    patch.setattr(Changes, "begin_effect", begin)


def effect_settled_by_a_probe(patch: Patch) -> None:
    """A probing attempt that sent nothing is believed about the one before it."""

    def accept(self: ReportTask, changes: Changes, job: Job, task: Task) -> None:
        for effect in changes.effects.values():
            if effect.task_id == task.task_id:
                effect.mode = "EXECUTE"
        accept_failure(self, changes, job, task)

    patch.setattr(ReportTask, "_accept_failure", accept)


def admission_not_exclusive(patch: Patch) -> None:
    """Two jobs of one account and product may be admitted, and out of order."""
    # The three ways in which an earlier job stands before a later one all look for it by this.
    weaker = admission_repository.FIND.replace("e.product_id = l.product_id", "false")
    assert weaker != admission_repository.FIND
    patch.setattr(admission_repository, "FIND", weaker)


def slot_freed_with_the_job(patch: Patch) -> None:
    """A cancelled or expired job gives its slot back although its attempt still runs."""
    patch.setattr(moves, "stop", moves.free_slot)


def cancelled_lease_extended(patch: Patch) -> None:
    """The attempt of a job that ended may go on for ever by sending heartbeats."""
    statement = live_repository._EXTEND_LEASES
    weaker = statement.replace(
        "CASE WHEN j.state = 'RUNNING' THEN now() + %s ELSE t.lease_expire_time END", "now() + %s"
    )
    assert weaker != statement
    patch.setattr(live_repository, "_EXTEND_LEASES", weaker)


def never_rung_again(patch: Patch) -> None:
    """A command that got lost stays lost."""
    patch.setattr(RedispatchTask, "decide", lambda self, changes: False)


def rung_again_too_soon(patch: Patch) -> None:
    """The reaper trusts what it found before the job was locked."""

    def decide(self: RedispatchTask, changes: Changes) -> bool:
        return decide_redispatch(dataclasses.replace(self, older_than=-self.older_than), changes)

    patch.setattr(RedispatchTask, "decide", decide)


def lease_never_lost(patch: Patch) -> None:
    """An attempt whose connector died runs for ever."""
    patch.setattr(LoseLease, "decide", lambda self, changes: False)


def lost_lease_may_report(patch: Patch) -> None:
    """A report under a lease that was taken away is answered as if it had been accepted."""

    def decide(self: LoseLease, changes: Changes) -> bool:
        task = changes.tasks.get(self.task_id)
        token = task.lease_token if task is not None else None
        is_lost = decide_lose(self, changes)
        if is_lost and task is not None:
            task.accepted_token = token
        return is_lost

    patch.setattr(LoseLease, "decide", decide)


def never_expires(patch: Patch) -> None:
    """A job may wait for ever."""
    patch.setattr(ExpireJob, "decide", lambda self, changes: False)


def cancel_after_the_end(patch: Patch) -> None:
    """A job that has ended can be cancelled."""

    def decide(self: CancelJob, changes: Changes, job: Job) -> ControlOutcome:
        if job.state.is_terminal:
            job.state = JobState.RUNNING
        moves.end(changes, job, JobEvent.CANCEL, None)
        return ControlOutcome.CHANGED

    patch.setattr(CancelJob, "_decide", decide)


def resume_beside_the_attempt(patch: Patch) -> None:
    """A paused job goes on although the attempt that ran then still runs."""
    decide_resume = ResumeJob._decide

    def decide(self: ResumeJob, changes: Changes, job: Job) -> ControlOutcome:
        job.admit_time = None
        return decide_resume(self, changes, job)

    patch.setattr(ResumeJob, "_decide", decide)


def retry_of_any_job(patch: Patch) -> None:
    """A cancelled or completed job can be retried."""
    decide_retry = RetryJob._decide

    def decide(self: RetryJob, changes: Changes, job: Job) -> ControlOutcome:
        if job.state.is_terminal:
            job.state = JobState.FAILED
        return decide_retry(self, changes, job)

    patch.setattr(RetryJob, "_decide", decide)


def request_id_ignored(patch: Patch) -> None:
    """The same request twice creates two jobs."""

    async def claim(connection: Any, jobs: Any) -> Any:
        return {(job.tenant_id, job.request_id) for job in jobs}

    patch.setattr(intake_repository, "claim_requests", claim)


def old_expiry_believed(patch: Patch) -> None:
    """What the reaper found of an earlier run ends the one of now."""

    def decide(self: ExpireJob, changes: Changes) -> bool:
        job = changes.jobs.get(self.job)
        return decide_expire(self if job is None else dataclasses.replace(self, run=job.run), changes)

    patch.setattr(ExpireJob, "decide", decide)


def next_task_for_anybody(patch: Patch) -> None:
    """A connector that is not registered, or has another version, goes on with the job's next task."""
    patch.setattr(ReportTask, "_takes", lambda self, changes, job: self.next_lease_token is not None)


def next_task_granted_again(patch: Patch) -> None:
    """Whoever repeats a report is granted the next task, though somebody else runs it by now."""

    def start_again(self: ReportTask, changes: Changes, job: Job, task: Task, result: Any) -> None:
        following = changes.find_task_at(job.job_id, task.position + 1)
        if self.next_lease_token is not None and following is not None and following.lease_token is not None:
            self = dataclasses.replace(self, next_lease_token=following.lease_token)
        start_again_with_token(self, changes, job, task, result)

    patch.setattr(ReportTask, "_start_again", start_again)


# What random histories notice within seconds.
COMMON: tuple[Callable[[Patch], None], ...] = (
    report_without_token,
    report_without_state,
    start_without_dispatch_number,
    start_without_task_state,
    start_without_job_state,
    effect_never_probed,
    admission_not_exclusive,
    release_without_token,
    report_accepted_again,
    start_for_any_tenant,
    report_for_any_tenant,
    effect_settled_by_a_probe,
    slot_freed_with_the_job,
    rung_again_too_soon,
    lease_never_lost,
    lost_lease_may_report,
    never_expires,
    cancel_after_the_end,
    resume_beside_the_attempt,
    retry_of_any_job,
    request_id_ignored,
    old_expiry_believed,
)
# What needs its moment.
RARE: tuple[Callable[[Patch], None], ...] = (
    cancelled_lease_extended,
    never_rung_again,
    next_task_for_anybody,
    next_task_granted_again,
)
MUTANTS = COMMON + RARE
