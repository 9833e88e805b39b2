"""The reaper takes away a lease that ran out."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from stoflow.common.v1 import failure_pb2

from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.failing import fail_attempt
from stoflow_orchestrator.engine.records import effect_key
from stoflow_orchestrator.lifecycle import TaskState


@dataclass(frozen=True, slots=True)
class LoseLease(Command[bool]):
    """Fails the attempt when its lease or its deadline is over; decides again what the reaper saw before."""

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
        if job is None or task is None or task.state is not TaskState.RUNNING:
            return False
        if task.lease_expire_time is None or task.deadline_time is None:
            return False
        if task.lease_expire_time < changes.now:
            code, what = "LEASE_EXPIRED", "The connector stopped sending heartbeats for this attempt."
        elif task.deadline_time < changes.now:
            code, what = "START_TO_CLOSE_TIMEOUT", "The attempt took longer than its step allows."
        else:
            return False
        if task.is_once:
            effect = changes.effects[effect_key(job, task)]
            # The worker starts no request that does not fit its lease, so nothing is sent after its end, which
            # may still be to come when it is the deadline that is over.
            effect.last_send_time = task.lease_expire_time
            changes.changed_effects[effect.key] = effect
        failure = failure_pb2.Failure(
            error_class=failure_pb2.ERROR_CLASS_RETRYABLE,
            effect_outcome=failure_pb2.EFFECT_OUTCOME_UNKNOWN,
            code=code,
            message=what,
        )
        lost_token = task.lease_token
        fail_attempt(changes, job, task, failure, self.retry)
        if task.accepted_token == lost_token:
            # Nothing was reported: a late report under this lease is stale.
            task.accepted_token = None
        return True
