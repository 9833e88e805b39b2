"""Jobs, tasks and events: rows to messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from google.protobuf import json_format
from stoflow.connector.v1.task_pb2 import TaskAssignment
from stoflow.jobs.v1.job_pb2 import (
    EFFECT_KIND_ONCE,
    EFFECT_KIND_REPEATABLE,
    Job,
    JobEvent,
    JobEventType,
    JobState,
    Priority,
    Task,
    TaskState,
    WaitReason,
)

from stoflow_orchestrator import lifecycle
from stoflow_orchestrator.engine.intake import NewJob


def job_state_value(state: lifecycle.JobState) -> JobState.ValueType:
    """Returns the contract's name of a state."""
    return JobState.Value(f"JOB_STATE_{state}")


def job_message(tenant_id: int, row: Any, tasks: Sequence[Any] = ()) -> Job:
    """Builds a job from a row of repositories.job and those of its tasks."""
    job = Job(
        job_id=str(row.job_id),
        tenant_id=tenant_id,
        marketplace=row.marketplace,
        account_id=str(row.account_id),
        product_id=str(row.product_id) if row.product_id else "",
        batch_id=str(row.batch_id) if row.batch_id else "",
        site=row.site,
        action=row.action,
        state=JobState.Value(f"JOB_STATE_{row.state}"),
        priority=Priority.ValueType(row.priority),
        run=row.run,
        max_retries=row.max_retries,
        manifest_version=row.manifest_version,
        tasks=[task_message(task) for task in tasks],
        event_sequence=row.event_sequence,
    )
    template = TaskAssignment.FromString(row.assignment)
    if template.HasField("options"):
        job.options.CopyFrom(template.options)
    if row.wait_reason:
        job.wait_reason = WaitReason.Value(f"WAIT_REASON_{row.wait_reason}")
    if row.failure:
        job.failure.ParseFromString(row.failure)
    job.expire_time.FromDatetime(row.expire_time)
    job.create_time.FromDatetime(row.create_time)
    for field in ("not_before_time", "start_time", "finish_time"):
        if (time := getattr(row, field)) is not None:
            getattr(job, field).FromDatetime(time)
    return job


def new_job_message(job: NewJob, create_time: datetime) -> Job:
    """Builds a job that was created just now."""
    times: dict[str, datetime] = {"create_time": create_time, "expire_time": job.expire_time(create_time)}
    if job.not_before_time is not None:
        times["not_before_time"] = job.not_before_time
    message = Job(
        job_id=str(job.job_id),
        tenant_id=job.tenant_id,
        marketplace=job.marketplace,
        account_id=str(job.account_id),
        product_id=str(job.product_id) if job.product_id else "",
        site=job.site,
        action=job.action,
        state=JobState.JOB_STATE_PENDING,
        priority=Priority.ValueType(job.priority),
        run=1,
        max_retries=job.max_retries,
        manifest_version=job.manifest_version,
        tasks=[
            Task(
                task_id=str(task.task_id),
                position=position,
                name=task.name,
                item_index=task.item_index,
                state=TaskState.TASK_STATE_PENDING,
                effect_kind=EFFECT_KIND_ONCE if task.once_name else EFFECT_KIND_REPEATABLE,
            )
            for position, task in enumerate(job.tasks)
        ],
        event_sequence=1,
    )
    template = TaskAssignment.FromString(job.assignment)
    if template.HasField("options"):
        message.options.CopyFrom(template.options)
    for field, time in times.items():
        getattr(message, field).FromDatetime(time)
    return message


def task_message(row: Any) -> Task:
    """Builds a task."""
    task = Task(
        task_id=str(row.task_id),
        position=row.position,
        name=row.name,
        item_index=row.item_index,
        state=TaskState.Value(f"TASK_STATE_{row.state}"),
        attempt_count=row.attempt_count,
        failure_count=row.failure_count,
        effect_kind=EFFECT_KIND_ONCE if row.once_name else EFFECT_KIND_REPEATABLE,
    )
    if row.input is not None:
        json_format.ParseDict(row.input, task.input)
    if row.output is not None:
        json_format.ParseDict(row.output, task.output)
    if row.failure:
        task.failure.ParseFromString(row.failure)
    for field in ("start_time", "finish_time"):
        if (time := getattr(row, field)) is not None:
            getattr(task, field).FromDatetime(time)
    return task


def event_message(row: Any, occur_time: datetime) -> JobEvent:
    """Builds an event of a job's history from a row of repositories.job or an entry that was just committed."""
    event = JobEvent(
        job_id=str(row.job_id),
        sequence=row.sequence,
        type=JobEventType.Value(f"JOB_EVENT_TYPE_{row.type}"),
        job_state=JobState.Value(f"JOB_STATE_{row.job_state}"),
        task_position=row.task_position,
        task_name=row.task_name or "",
        attempt=row.attempt,
        actor=row.actor,
    )
    event.occur_time.FromDatetime(occur_time)
    if row.wait_reason:
        event.wait_reason = WaitReason.Value(f"WAIT_REASON_{row.wait_reason}")
    if row.failure:
        event.failure.ParseFromString(row.failure)
    return event
