"""A connector asks for the lease on a task whose command it received."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from google.protobuf import json_format
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.durations import set_duration
from stoflow_orchestrator.engine.records import Job, Output, Task, base_version, effect_key
from stoflow_orchestrator.lifecycle import JobState, TaskEvent, TaskState, next_task_state

# How long a connector waits before it asks again for a task that it cannot run now.
UNAVAILABLE_DELAY_SECONDS = 5
REGISTRATION_DELAY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class StartTask(Command[rpc.TaskStartResult]):
    """Decides GRANTED, STALE or UNAVAILABLE; GRANTED takes the lease."""

    needs_outputs: ClassVar[bool] = True

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
            task.lease_expire_time = changes.now + self.lease
            changes.touch_task(task)
            self._grant(changes, job, task, result)
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
            self._take_lease(changes, job, task)
            self._grant(changes, job, task, result)
        return result

    def _is_current(self, job: Job, task: Task) -> bool:
        return (
            job.state is JobState.RUNNING
            and task.state is TaskState.PENDING
            and task.dispatch_time is not None
            # An older command may lie in the stream for long; only the newest counts.
            and task.dispatch == self.dispatch
        )

    def _take_lease(self, changes: Changes, job: Job, task: Task) -> None:
        task.state = next_task_state(task.state, TaskEvent.START)
        task.attempt_count += 1
        task.dispatch_time = None
        task.lease_token = self.lease_token
        task.lease_expire_time = changes.now + self.lease
        task.deadline_time = changes.now + timedelta(seconds=task.start_to_close_seconds)
        task.instance_id = self.instance_id
        task.start_time = changes.now
        if task.is_once:
            changes.begin_effect(job, task, effect_key(job, task))
        changes.touch_task(task)
        changes.record(job, "TASK_STARTED", task=task, actor=f"connector:{self.instance_id}")

    def _grant(self, changes: Changes, job: Job, task: Task, result: rpc.TaskStartResult) -> None:
        result.decision = rpc.START_DECISION_GRANTED
        assignment = result.assignment
        assignment.ParseFromString(job.assignment)
        assignment.name = task.name
        if task.item_index is not None:
            assignment.item_index = task.item_index
        if task.input is not None:
            json_format.Parse(task.input, assignment.input)
        assignment.attempt = task.attempt_count
        set_duration(assignment.lease, self.lease)
        set_duration(assignment.start_to_close_timeout, timedelta(seconds=task.start_to_close_seconds))
        for earlier in changes.outputs.get(job.job_id, ()):
            _add_output(assignment, earlier)
        if task.is_once:
            _add_effect(changes, job, task, assignment)


def _add_output(assignment: task_pb2.TaskAssignment, earlier: Output) -> None:
    output = assignment.outputs.add(name=earlier.name)
    if earlier.item_index is not None:
        output.item_index = earlier.item_index
    if earlier.output is not None:
        json_format.Parse(earlier.output, output.output)


def _add_effect(changes: Changes, job: Job, task: Task, assignment: task_pb2.TaskAssignment) -> None:
    effect = changes.effects[effect_key(job, task)]
    grant = assignment.effect
    grant.key = str(effect.effect_id)
    grant.generation = effect.generation
    grant.mode = task_pb2.EffectMode.Value(f"EFFECT_MODE_{effect.mode}")
    grant.remote_id = effect.remote_id
    if effect.mode == "PROBE":
        settled = effect.last_send_time + timedelta(seconds=task.settle_seconds or 0)
        set_duration(grant.settle_remaining, settled - changes.now)
