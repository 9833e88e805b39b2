"""What a person asks of a job: cancel, pause, resume, retry."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.records import Job
from stoflow_orchestrator.lifecycle import JobEvent, JobState, WaitReason, next_job_state

CALLER_ACTOR = "caller"
# Waits that no time ends. Whoever resumes the job wants it tried.
_ENDLESS_WAITS = frozenset(
    {WaitReason.NEEDS_HUMAN, WaitReason.ACCOUNT_RECONNECT_REQUIRED, WaitReason.CONNECTOR_UNAVAILABLE}
)


class ControlOutcome(Enum):
    """What became of a control command.

    CHANGED and UNCHANGED are successes; UNCHANGED found the job as it was to become.
    """

    CHANGED = auto()
    UNCHANGED = auto()
    NOT_LIVE = auto()
    STATE_INVALID = auto()
    ATTEMPT_RUNS = auto()


@dataclass(frozen=True, slots=True)
class ControlCommand(Command[ControlOutcome]):
    """Asked by a caller of one tenant."""

    tenant_id: int
    job: UUID

    @property
    def job_id(self) -> UUID:
        return self.job

    def decide(self, changes: Changes) -> ControlOutcome:
        job = changes.jobs.get(self.job)
        if job is None or job.tenant_id != self.tenant_id:
            return ControlOutcome.NOT_LIVE
        return self._decide(changes, job)

    @abstractmethod
    def _decide(self, changes: Changes, job: Job) -> ControlOutcome:
        """Decides about a job that is live and the tenant's."""


@dataclass(frozen=True, slots=True)
class CancelJob(ControlCommand):
    """Ends the job at once; a running attempt is told to stop and may still report."""

    def _decide(self, changes: Changes, job: Job) -> ControlOutcome:
        if job.state is JobState.CANCELLED:
            return ControlOutcome.UNCHANGED
        if job.state.is_terminal:
            return ControlOutcome.STATE_INVALID
        moves.end(changes, job, JobEvent.CANCEL, None, CALLER_ACTOR)
        return ControlOutcome.CHANGED


@dataclass(frozen=True, slots=True)
class PauseJob(ControlCommand):
    """Holds the job back; a running attempt is told to stop, keeps the slot until then and may still report."""

    def _decide(self, changes: Changes, job: Job) -> ControlOutcome:
        if job.state is JobState.PAUSED:
            return ControlOutcome.UNCHANGED
        if job.state.is_terminal:
            return ControlOutcome.STATE_INVALID
        if job.wait_reason in _ENDLESS_WAITS:
            job.next_time = job.queue_time
        job.state = next_job_state(job.state, JobEvent.PAUSE)
        job.wait_reason = None
        changes.touch_job(job)
        moves.stop(changes, job)
        changes.record(job, "PAUSED", actor=CALLER_ACTOR)
        return ControlOutcome.CHANGED


@dataclass(frozen=True, slots=True)
class ResumeJob(ControlCommand):
    """Lets a paused job go on, once the attempt that ran then has stopped; or one that waits for a person."""

    def _decide(self, changes: Changes, job: Job) -> ControlOutcome:
        if job.state.is_terminal:
            return ControlOutcome.STATE_INVALID
        if job.state is JobState.PENDING and job.wait_reason is WaitReason.NEEDS_HUMAN:
            self._go_on(changes, job)
            return ControlOutcome.CHANGED
        if job.state is not JobState.PAUSED:
            return ControlOutcome.UNCHANGED
        if job.admit_time is not None:
            return ControlOutcome.ATTEMPT_RUNS
        job.state = next_job_state(job.state, JobEvent.RESUME)
        if job.next_time <= changes.now:
            # Ready at once: nobody has to look for it.
            job.next_time = job.queue_time
        self._record(changes, job)
        return ControlOutcome.CHANGED

    def _go_on(self, changes: Changes, job: Job) -> None:
        job.wait_reason = None
        job.next_time = job.queue_time
        self._record(changes, job)

    @staticmethod
    def _record(changes: Changes, job: Job) -> None:
        changes.touch_job(job)
        changes.record(job, "RESUMED", actor=CALLER_ACTOR)
        changes.stirred.add(job.marketplace)


@dataclass(frozen=True, slots=True)
class RetryJob(ControlCommand):
    """Begins another run of a job that failed or expired."""

    def _decide(self, changes: Changes, job: Job) -> ControlOutcome:
        if job.state not in (JobState.FAILED, JobState.EXPIRED):
            return ControlOutcome.STATE_INVALID
        if job.admit_time is not None:
            return ControlOutcome.ATTEMPT_RUNS
        moves.begin_run(changes, job, CALLER_ACTOR)
        return ControlOutcome.CHANGED
