"""A connector asks for the lease on a task whose command it received."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from stoflow.connector.v1 import connector_service_pb2 as rpc

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.leasing import extend_lease, fill_grant, take_lease
from stoflow_orchestrator.engine.records import Job, Task, base_version
from stoflow_orchestrator.lifecycle import JobState, TaskState

# How long a connector waits before it asks again for a task that it cannot run now.
UNAVAILABLE_DELAY_SECONDS = 5
REGISTRATION_DELAY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class StartTask(Command[rpc.TaskStartResult]):
    """Decides GRANTED, STALE or UNAVAILABLE; GRANTED takes the lease."""

    instance_id: UUID
    tenant_id: int
    job: UUID
    task_id: UUID
    dispatch: int
    lease_token: UUID
    lease: timedelta

    @property
    def job_id(self) -> UUID:
        return self.job

    @property
    def needs_outputs(self) -> bool:
        return True

    @property
    def names_task(self) -> UUID:
        return self.task_id

    @property
    def names_instance(self) -> UUID:
        return self.instance_id

    def _belongs(self, job: Job, task: Task) -> bool:
        return task.job_id == job.job_id and job.tenant_id == self.tenant_id

    def decide(self, changes: Changes) -> rpc.TaskStartResult:
        result = rpc.TaskStartResult(task_id=str(self.task_id), lease_token=str(self.lease_token))
        job, task = changes.jobs.get(self.job), changes.tasks.get(self.task_id)
        instance = changes.instances.get(self.instance_id)
        if job is None or task is None or not self._belongs(job, task):
            result.decision = rpc.START_DECISION_STALE
        elif instance is None:
            # Its registration ran out just now; it will have registered again by then.
            result.decision = rpc.START_DECISION_UNAVAILABLE
            result.retry_delay.FromSeconds(REGISTRATION_DELAY_SECONDS)
        elif task.lease_token == self.lease_token and job.state is JobState.RUNNING:
            # The answer to this very request was lost: give it again.
            extend_lease(changes, task, self.lease)
            fill_grant(changes, job, task, self.lease, result)
        elif not self._is_current(job, task) or job.marketplace != instance.marketplace:
            result.decision = rpc.START_DECISION_STALE
        elif base_version(job.manifest_version) not in instance.versions:
            result.decision = rpc.START_DECISION_UNAVAILABLE
            result.retry_delay.FromSeconds(UNAVAILABLE_DELAY_SECONDS)
        elif instance.is_draining:
            # It has not heard of it yet; the command goes to another.
            result.decision = rpc.START_DECISION_UNAVAILABLE
            result.retry_delay.FromSeconds(REGISTRATION_DELAY_SECONDS)
        else:
            take_lease(
                changes, job, task, token=self.lease_token, instance_id=self.instance_id, lease=self.lease
            )
            fill_grant(changes, job, task, self.lease, result)
        return result

    def _is_current(self, job: Job, task: Task) -> bool:
        return (
            job.state is JobState.RUNNING
            and task.state is TaskState.PENDING
            and task.dispatch_time is not None
            # An older command may lie in the stream for long; only the newest counts.
            and task.dispatch == self.dispatch
        )
