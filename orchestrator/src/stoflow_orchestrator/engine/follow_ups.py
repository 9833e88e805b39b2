"""Tasks that a result appends to its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stoflow.connector.v1 import task_pb2
from stoflow.connector.v1.manifest_pb2 import TaskSpec

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.intake import plan_task
from stoflow_orchestrator.engine.records import Job, Task
from stoflow_orchestrator.lifecycle import TaskEvent, TaskState, next_task_state
from stoflow_service_kit.structs import struct_to_json

MAX_TASKS = 1_000
MAX_INPUT_BYTES = 256 * 1024
# Every later task of the job is handed all of this.
MAX_JOB_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Room:
    """What a job may still be given.

    Attributes:
        specs: Steps of its action that results may append, by name.
        task_count: Its tasks.
        byte_count: What its outputs and inputs take.
    """

    specs: Mapping[str, TaskSpec]
    task_count: int
    byte_count: int


def follow_up_problem(room: Room | None, success: task_pb2.TaskSuccess) -> str:
    """Says why a result's tasks cannot be appended; empty when they can."""
    if room is None:
        return "the job's manifest is not in the registry"
    unknown = sorted({entry.name for entry in success.follow_ups} - room.specs.keys())
    if unknown:
        return f"the job's action has no steps to append that are named {', '.join(unknown)}"
    task_count = room.task_count + len(success.follow_ups)
    if task_count > MAX_TASKS:
        return f"the job would have {task_count} tasks and may have at most {MAX_TASKS}"
    input_bytes = sum(entry.input.ByteSize() for entry in success.follow_ups)
    if input_bytes > MAX_INPUT_BYTES:
        return f"the inputs have {input_bytes} bytes and may have at most {MAX_INPUT_BYTES}"
    byte_count = room.byte_count + input_bytes + success.output.ByteSize()
    if byte_count > MAX_JOB_BYTES:
        return (
            f"the job's outputs and inputs would have {byte_count} bytes and may have at most {MAX_JOB_BYTES}"
        )
    return ""


def append_follow_ups(
    changes: Changes, job: Job, task: Task, success: task_pb2.TaskSuccess, room: Room, actor: str
) -> None:
    """Puts a result's tasks behind the task that gave it, before those that were planned behind that one."""
    appended = [
        _make_task(job, task.position + place, room.specs[entry.name], entry)
        for place, entry in enumerate(success.follow_ups, start=1)
    ]
    if job.state.is_terminal:
        # Another run comes to them; none of this one does.
        for new in appended:
            new.state = next_task_state(new.state, TaskEvent.CANCEL)
            new.finish_time = changes.now
    changes.insert_tasks(job, task.position, appended)
    changes.record(job, "TASKS_APPENDED", task=task, actor=actor)


def _make_task(job: Job, position: int, spec: TaskSpec, entry: task_pb2.FollowUpTask) -> Task:
    planned = plan_task(spec, entry.item_index if entry.HasField("item_index") else None)
    return Task(
        task_id=planned.task_id,
        job_id=job.job_id,
        position=position,
        name=planned.name,
        item_index=planned.item_index,
        once_name=planned.once_name,
        settle_seconds=planned.settle_seconds,
        start_to_close_seconds=planned.start_to_close_seconds,
        schedule_to_start_seconds=planned.schedule_to_start_seconds,
        input=struct_to_json(entry.input) if entry.HasField("input") else None,
        state=TaskState.PENDING,
        attempt_count=0,
        failure_count=0,
        dispatch=0,
        dispatch_time=None,
        lease_token=None,
        lease_expire_time=None,
        deadline_time=None,
        instance_id=None,
        accepted_token=None,
        output=None,
        failure=None,
        start_time=None,
        finish_time=None,
    )
