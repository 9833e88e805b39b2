"""Rows of the live tables while a group of commands is decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason

NO_PRODUCT = UUID(int=0)


@dataclass(slots=True)
class Job:
    """A row of live_jobs; the fields above the line never change within a run."""

    job_id: UUID
    tenant_id: int
    marketplace: str
    account_id: UUID
    product_id: UUID | None
    site: str
    action: str
    manifest_version: str
    assignment: bytes
    max_retries: int
    run: int
    # When this run began to wait.
    queue_time: datetime
    # -- mutable --
    state: JobState
    wait_reason: WaitReason | None
    task_position: int
    failure: bytes | None
    event_sequence: int
    next_time: datetime
    admit_time: datetime | None
    start_time: datetime | None
    finish_time: datetime | None
    # -- for its batch --
    batch_id: UUID | None = None
    # The queue that it waits in.
    priority: int = 3
    # The state that the batch's row counts the job in.
    loaded_state: JobState | None = None
    _text_id: str = ""

    @property
    def text_id(self) -> str:
        """The job's id as messages carry it."""
        if not self._text_id:
            self._text_id = str(self.job_id)
        return self._text_id


@dataclass(slots=True)
class Task:
    """A row of live_tasks; the fields above the line never change."""

    task_id: UUID
    job_id: UUID
    position: int
    name: str
    item_index: int | None
    once_name: str | None
    settle_seconds: float | None
    start_to_close_seconds: float
    schedule_to_start_seconds: float | None
    # What the result that appended it gave it, as JSON text.
    input: str | None
    # -- mutable --
    state: TaskState
    attempt_count: int
    failure_count: int
    dispatch: int
    dispatch_time: datetime | None
    lease_token: UUID | None
    lease_expire_time: datetime | None
    # Of the running attempt, or of the start of a dispatched one.
    deadline_time: datetime | None
    instance_id: UUID | None
    accepted_token: UUID | None
    # JSON text.
    output: str | None
    failure: bytes | None
    start_time: datetime | None
    finish_time: datetime | None
    _text_id: str = ""

    @property
    def text_id(self) -> str:
        """The task's id as messages carry it."""
        if not self._text_id:
            self._text_id = str(self.task_id)
        return self._text_id

    @property
    def is_once(self) -> bool:
        """Whether its effect must happen once."""
        return self.once_name is not None


class EffectKey(NamedTuple):
    """What an effect is unique by."""

    account_id: UUID
    # NO_PRODUCT for actions without one, so that equality and the unique key mean the same.
    product_id: UUID
    site: str
    name: str


@dataclass(slots=True)
class Effect:
    """A row of effects."""

    effect_id: UUID
    key: EffectKey
    tenant_id: int
    state: str
    # How the attempt that holds it began: EXECUTE, PROBE or ADOPT; or, settled by a person, how the next one begins.
    mode: str
    generation: int
    remote_id: str
    job_id: UUID
    task_id: UUID
    last_send_time: datetime


class Output(NamedTuple):
    """What a completed task gave, as JSON text; None for nothing."""

    name: str
    item_index: int | None
    output: str | None


class Instance(NamedTuple):
    """A registered connector process."""

    instance_id: UUID
    marketplace: str
    versions: tuple[str, ...]
    expire_time: datetime
    is_draining: bool = False


def base_version(version: str) -> str:
    """Returns a manifest version without its variant: "1" for "1+timeout.5".

    Variants of a version differ in times only, so an instance that runs one runs them all.
    """
    return version.partition("+")[0]


def effect_key(job: Job, task: Task) -> EffectKey:
    """Names the effect of a ONCE task."""
    if task.once_name is None:
        raise ValueError(f"task {task.name} has no effect that must happen once")
    return EffectKey(job.account_id, job.product_id or NO_PRODUCT, job.site, task.once_name)
