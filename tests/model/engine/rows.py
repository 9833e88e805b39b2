"""What the reference model remembers; times are whole seconds of its own clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason

MINUTE = 60
LEASE = MINUTE
DISPATCH_TIMEOUT = MINUTE
START_TO_CLOSE = 3 * MINUTE
SETTLE = MINUTE
EXPIRE_AFTER = 15 * MINUTE
RATE_LIMITED = 2 * MINUTE
RETRY_BASE = MINUTE
RETRY_CAP = 4 * MINUTE
REGISTRATION = MINUTE
FOREVER = 36_500 * 24 * 3600
CRITICAL = 1
NO_PRODUCT = UUID(int=0)


START_SOON = MINUTE
START_WITHIN = 2 * MINUTE


class Step(NamedTuple):
    """A task of a plan.

    Attributes:
        name: Of its method.
        once: Its effect, if that must happen once.
        start_within: How long a dispatch may wait for its start; None for as long as the job lives.
    """

    name: str
    once: str | None = None
    start_within: int | None = None


PLANS: dict[str, tuple[Step, ...]] = {
    "publish": (Step("create", "listing"), Step("finish")),
    "relist": (Step("create", "listing"),),
    "update": (Step("first", start_within=START_SOON), Step("second", start_within=START_WITHIN)),
    "sync": (Step("page", start_within=START_WITHIN),),
}


class EffectKey(NamedTuple):
    account: UUID
    product: UUID
    name: str


@dataclass
class EffectRow:
    """What is known of something that must happen once."""

    state: str
    mode: str
    generation: int
    task: UUID
    # None: settled before, so that nothing of the past can still appear.
    last_send: int | None
    remote_id: str = ""


@dataclass
class TaskRow:
    task_id: UUID
    step: Step
    position: int
    state: TaskState = TaskState.PENDING
    attempts: int = 0
    failures: int = 0
    dispatch: int = 0
    dispatched_at: int | None = None
    token: UUID | None = None
    started_at: int = 0
    lease_until: int | None = None
    deadline: int | None = None
    instance: UUID | None = None
    accepted: UUID | None = None
    output: str | None = None


class Entry(NamedTuple):
    """An entry of a job's history."""

    type: str
    state: str
    wait_reason: str | None
    position: int | None
    attempt: int


@dataclass
class JobRow:
    job_id: UUID
    tenant: int
    account: UUID
    product: UUID | None
    action: str
    priority: int
    max_retries: int
    is_duplicate: bool
    sequence: int
    expire_at: int
    tasks: list[TaskRow]
    not_before: int | None = None
    # Until when it is held back; None when it is ready for admission.
    held_until: int | None = None
    state: JobState = JobState.PENDING
    wait_reason: WaitReason | None = None
    run: int = 1
    position: int = 0
    has_slot: bool = False
    failure: str | None = None
    is_archived: bool = False
    history: list[Entry] = field(default_factory=list)

    @property
    def current(self) -> TaskRow | None:
        return self.tasks[self.position] if self.position < len(self.tasks) else None

    @property
    def is_live(self) -> bool:
        return self.state in (JobState.PENDING, JobState.RUNNING, JobState.PAUSED)

    def effect_key(self, task: TaskRow) -> EffectKey:
        assert task.step.once is not None
        return EffectKey(self.account, self.product or NO_PRODUCT, task.step.once)


class Bell(NamedTuple):
    """A published task command."""

    tenant: int
    job: UUID
    task: UUID
    number: int


@dataclass
class InstanceRow:
    slots: int
    version: str
    # None: not registered.
    until: int | None


@dataclass(frozen=True)
class Outcome:
    """What a connector reports: an error class, or None for success."""

    error_class: str | None = None
    effect: str = "UNKNOWN"
    remote_id: str = ""
    output: str | None = None
    retry_after: int | None = None
