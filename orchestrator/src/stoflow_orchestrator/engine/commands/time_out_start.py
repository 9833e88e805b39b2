"""The reaper gives up waiting for a dispatched task to be started."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from stoflow.common.v1 import failure_pb2

from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.failing import fail_attempt
from stoflow_orchestrator.lifecycle import JobState, TaskState


@dataclass(frozen=True, slots=True)
class TimeOutStart(Command[bool]):
    """Counts an attempt that never started as failed; decides again what the reaper saw before."""

    job: UUID
    task_id: UUID
    retry: RetryPolicy

    @property
    def job_id(self) -> UUID:
        return self.job

    @property
    def names_task(self) -> UUID:
        return self.task_id

    def decide(self, changes: Changes) -> bool:
        job, task = changes.jobs.get(self.job), changes.tasks.get(self.task_id)
        if job is None or task is None or job.state is not JobState.RUNNING:
            return False
        if task.state is not TaskState.PENDING or task.deadline_time is None:
            return False
        if task.deadline_time >= changes.now:
            return False
        task.attempt_count += 1
        task.start_time = None
        failure = failure_pb2.Failure(
            error_class=failure_pb2.ERROR_CLASS_RETRYABLE,
            effect_outcome=failure_pb2.EFFECT_OUTCOME_NOT_SENT,
            code="SCHEDULE_TO_START_TIMEOUT",
            message="No connector started the attempt within the time that its step allows.",
        )
        fail_attempt(changes, job, task, failure, self.retry)
        return True
