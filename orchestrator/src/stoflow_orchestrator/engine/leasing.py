"""A connector instance takes the lease on a task, and is told all that the attempt needs."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2

from stoflow_orchestrator.engine.changes import Changes, connector_actor
from stoflow_orchestrator.engine.durations import set_duration
from stoflow_orchestrator.engine.records import Job, Output, Task, effect_key
from stoflow_orchestrator.lifecycle import TaskEvent, next_task_state
from stoflow_service_kit.structs import fill_struct_from_json


def take_lease(
    changes: Changes, job: Job, task: Task, *, token: UUID, instance_id: UUID, lease: timedelta
) -> None:
    """Begins an attempt; a command that was published for it is worth nothing from now on."""
    task.state = next_task_state(task.state, TaskEvent.START)
    task.attempt_count += 1
    task.dispatch_time = None
    task.lease_token = token
    task.lease_expire_time = changes.now + lease
    task.deadline_time = changes.now + timedelta(seconds=task.start_to_close_seconds)
    task.instance_id = instance_id
    task.start_time = changes.now
    if task.is_once:
        changes.begin_effect(job, task, effect_key(job, task))
    changes.touch_task(task)
    changes.record(job, "TASK_STARTED", task=task, actor=connector_actor(instance_id))


def extend_lease(changes: Changes, task: Task, lease: timedelta) -> None:
    """Gives a lease its full time again: its holder asks for what it was granted before."""
    task.lease_expire_time = changes.now + lease
    changes.touch_task(task)


def fill_grant(changes: Changes, job: Job, task: Task, lease: timedelta, result: rpc.TaskStartResult) -> None:
    """Says GRANTED and what is to be done."""
    result.decision = rpc.START_DECISION_GRANTED
    assignment = result.assignment
    assignment.ParseFromString(job.assignment)
    assignment.name = task.name
    if task.item_index is not None:
        assignment.item_index = task.item_index
    if task.input is not None:
        fill_struct_from_json(assignment.input, task.input)
    assignment.attempt = task.attempt_count
    set_duration(assignment.lease, lease)
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
        fill_struct_from_json(output.output, earlier.output)


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
