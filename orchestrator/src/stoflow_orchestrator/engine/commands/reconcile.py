"""The reaper frees a job that holds a slot although nothing of it is under way."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import structlog
from stoflow.common.v1 import failure_pb2

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.lifecycle import JobEvent, JobState, TaskState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReconcileJob(Command[bool]):
    """Dispatches the task that is next, or gives the slot back.

    No transaction leaves a job like this; what a fault or a hand in the tables left behind must not stay for ever.
    """

    job: UUID

    @property
    def job_id(self) -> UUID:
        return self.job

    def decide(self, changes: Changes) -> bool:
        job = changes.jobs.get(self.job)
        if job is None or job.admit_time is None:
            return False
        task = changes.find_task_at(job.job_id, job.task_position)
        if task is not None and (task.lease_token is not None or task.dispatch_time is not None):
            return False
        log.error("job_was_stuck", job_id=str(job.job_id), state=job.state, task_position=job.task_position)
        if job.state is not JobState.RUNNING:
            moves.free_slot(changes, job)
        elif task is None:
            moves.end(changes, job, JobEvent.COMPLETE, None)
        elif task.state is TaskState.PENDING:
            changes.dispatch(job, task)
        else:
            failure = failure_pb2.Failure(
                error_class=failure_pb2.ERROR_CLASS_PERMANENT,
                effect_outcome=failure_pb2.EFFECT_OUTCOME_UNKNOWN,
                code="JOB_STUCK",
                message=f"The job stood at a task that is {task.state}.",
            )
            moves.end(changes, job, JobEvent.FAIL, failure)
        return True
