"""The reaper ends a job that did not end in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from stoflow.common.v1 import failure_pb2

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.lifecycle import JobEvent


@dataclass(frozen=True, slots=True)
class ExpireJob(Command[bool]):
    """Makes the job EXPIRED; a running attempt is told to stop by its next heartbeat."""

    job: UUID
    expire_time: datetime
    # Of which the time is: a job that was retried since has another.
    run: int

    @property
    def job_id(self) -> UUID:
        return self.job

    def decide(self, changes: Changes) -> bool:
        job = changes.jobs.get(self.job)
        if job is None or job.state.is_terminal or job.run != self.run or self.expire_time > changes.now:
            return False
        failure = failure_pb2.Failure(
            error_class=failure_pb2.ERROR_CLASS_PERMANENT,
            effect_outcome=failure_pb2.EFFECT_OUTCOME_UNKNOWN,
            code="JOB_EXPIRED",
            message="The job did not end before its expire time.",
        )
        moves.end(changes, job, JobEvent.EXPIRE, failure)
        return True
