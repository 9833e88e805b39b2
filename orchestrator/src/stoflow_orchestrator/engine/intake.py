"""A job to be created, with everything that its rows need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import uuid_utils.compat as uuid_utils
from stoflow.connector.v1.manifest_pb2 import TaskSpec


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task of a job to be created; its position is its place in the plan."""

    task_id: UUID
    name: str
    item_index: int | None
    once_name: str | None
    settle_seconds: float | None
    start_to_close_seconds: float
    schedule_to_start_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be created, if its request_id is new and no live job has the same subject."""

    request_id: UUID
    method: str
    body_sha256: bytes
    job_id: UUID
    tenant_id: int
    marketplace: str
    account_id: UUID
    product_id: UUID | None
    site: str
    action: str
    manifest_version: str
    assignment: bytes
    priority: int
    max_retries: int
    not_before_time: datetime | None
    expire_after_seconds: float
    tasks: tuple[PlannedTask, ...]
    is_duplicate: bool = False

    def expire_time(self, create_time: datetime) -> datetime:
        """Returns when it expires if nothing came of it; a delayed job's time counts from when it may start."""
        start = max(self.not_before_time or create_time, create_time)
        return start + timedelta(seconds=self.expire_after_seconds)


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a NewJob.

    Attributes:
        job_id: The job created now, or before under the same request_id.
        create_time: When it was created, if that was now.
        reused: Whether the request_id was used with another body.
        existing_job_id: The live job that has the same subject; nothing was created. With all three empty
            that job has just ended, and the caller may try again.
    """

    job_id: UUID | None = None
    reused: bool = False
    existing_job_id: UUID | None = None
    create_time: datetime | None = None


def plan_task(spec: TaskSpec, item_index: int | None) -> PlannedTask:
    """Makes one task of a step."""
    is_once = spec.HasField("once")
    return PlannedTask(
        task_id=uuid_utils.uuid7(),
        name=spec.name,
        item_index=item_index,
        once_name=spec.once.name if is_once else None,
        settle_seconds=spec.once.settle.ToTimedelta().total_seconds() if is_once else None,
        start_to_close_seconds=spec.start_to_close_timeout.ToTimedelta().total_seconds(),
        schedule_to_start_seconds=(
            spec.schedule_to_start_timeout.ToTimedelta().total_seconds()
            if spec.HasField("schedule_to_start_timeout")
            else None
        ),
    )
