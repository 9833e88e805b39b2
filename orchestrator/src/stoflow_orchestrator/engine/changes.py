"""What a group of commands changes: rows loaded under their jobs' locks, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import structlog
import uuid_utils.compat as uuid_utils
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import task_pb2
from stoflow.events.v1 import event_pb2

from stoflow_orchestrator.engine.contention import Contention
from stoflow_orchestrator.engine.durations import set_timestamp
from stoflow_orchestrator.engine.records import Effect, EffectKey, Instance, Job, Output, Task

if TYPE_CHECKING:
    from stoflow_orchestrator.engine.follow_ups import Room

log = structlog.get_logger(__name__)

ORCHESTRATOR_ACTOR = "orchestrator"
# Characters of a failure in an event.
MAX_EVENT_TEXT = 500
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1_000)
def connector_actor(instance_id: UUID) -> str:
    """Names a connector instance in histories."""
    return f"connector:{instance_id}"


class HistoryEntry(NamedTuple):
    """A row of live_events."""

    job_id: UUID
    sequence: int
    type: str
    job_state: str
    wait_reason: str | None
    task_position: int | None
    task_name: str | None
    attempt: int
    failure: bytes | None
    actor: str


class Dispatch(NamedTuple):
    """A task command to publish after the commit."""

    marketplace: str
    tenant_id: int
    job_id: UUID
    task_id: UUID
    number: int


class ListingUpdate(NamedTuple):
    """What a result says of a listing, for the tenant's own table."""

    job: Job
    product_version: int
    change: task_pb2.ListingChange


class Findings(NamedTuple):
    """What a sync found at the marketplace, for the tenant's own tables.

    Attributes:
        observed_time: When the attempt began: what was written since is newer than what it saw.
    """

    job: Job
    observed_time: datetime
    listings: Sequence[task_pb2.ListingChange]
    orders: Sequence[task_pb2.OrderChange]


@dataclass(slots=True)
class Changes:
    """One group's view of the live tables; commands read and change it, the committer writes it.

    Attributes:
        now: The database's time at the start of the transaction.
    """

    now: datetime
    jobs: dict[UUID, Job] = field(default_factory=dict)
    tasks: dict[UUID, Task] = field(default_factory=dict)
    effects: dict[EffectKey, Effect] = field(default_factory=dict)
    instances: dict[UUID, Instance] = field(default_factory=dict)
    # What earlier tasks gave, for jobs of which a task is started.
    outputs: dict[UUID, list[Output]] = field(default_factory=dict)
    # What may be appended to jobs whose results append something.
    rooms: dict[UUID, Room] = field(default_factory=dict)
    # Tasks to be inserted.
    appended_tasks: list[Task] = field(default_factory=list)
    # Jobs of which only position and history number changed, unless they are among changed_jobs.
    progressed_jobs: dict[UUID, Job] = field(default_factory=dict)
    changed_jobs: dict[UUID, Job] = field(default_factory=dict)
    changed_tasks: dict[UUID, Task] = field(default_factory=dict)
    changed_effects: dict[EffectKey, Effect] = field(default_factory=dict)
    # What attempts without a lease said that they made, by effect.
    late_remote_ids: list[tuple[UUID, str]] = field(default_factory=list)
    # Jobs whose tasks beyond the current one must be cancelled with them.
    ended_jobs: set[UUID] = field(default_factory=set)
    # Jobs whose next run begins.
    restarted_jobs: set[UUID] = field(default_factory=set)
    history: list[HistoryEntry] = field(default_factory=list)
    facts: list[event_pb2.Event] = field(default_factory=list)
    dispatches: list[Dispatch] = field(default_factory=list)
    listings: list[ListingUpdate] = field(default_factory=list)
    findings: list[Findings] = field(default_factory=list)
    # Accounts whose authorization the marketplace refused, by tenant: when the newest such attempt began.
    refused_accounts: dict[tuple[int, UUID], datetime] = field(default_factory=dict)
    # Until when limits hold jobs back: of accounts, and of marketplaces.
    limited_accounts: dict[UUID, datetime] = field(default_factory=dict)
    limited_marketplaces: dict[str, datetime] = field(default_factory=dict)
    # Leases (marketplace, instance) whose holders should hear of it before their next heartbeat is due.
    directives: set[tuple[str, UUID]] = field(default_factory=set)
    # Marketplaces in which a slot may have become free or a job may have become ready.
    stirred: set[str] = field(default_factory=set)
    contention: Contention = field(default_factory=Contention)
    _by_position: dict[tuple[UUID, int], Task] = field(default_factory=dict)

    def add_tasks(self, tasks: Iterable[Task]) -> None:
        """Takes loaded rows in."""
        for task in tasks:
            self.tasks[task.task_id] = task
            self._by_position[task.job_id, task.position] = task

    def insert_tasks(self, job: Job, position: int, tasks: Sequence[Task]) -> None:
        """Puts new tasks behind a position and moves those that stand there."""
        behind = [t for t in self.tasks.values() if t.job_id == job.job_id and t.position > position]
        for task in behind:
            del self._by_position[job.job_id, task.position]
        for task in behind:
            task.position += len(tasks)
        self.add_tasks([*behind, *tasks])
        self.appended_tasks.extend(tasks)

    def find_task_at(self, job_id: UUID, position: int) -> Task | None:
        """Returns the job's task at a position; None when there is none or it was not loaded."""
        return self._by_position.get((job_id, position))

    def touch_job(self, job: Job) -> None:
        """Marks a job to be written; one whose position alone changed needs only its entry in the history."""
        self.changed_jobs[job.job_id] = job

    def touch_task(self, task: Task) -> None:
        """Marks a task to be written."""
        self.changed_tasks[task.task_id] = task

    def record(
        self,
        job: Job,
        type_: str,
        *,
        task: Task | None = None,
        failure: bytes | None = None,
        actor: str = ORCHESTRATOR_ACTOR,
    ) -> None:
        """Appends to the job's history, under the next number."""
        job.event_sequence += 1
        self.progressed_jobs[job.job_id] = job
        self.history.append(
            HistoryEntry(
                job_id=job.job_id,
                sequence=job.event_sequence,
                type=type_,
                job_state=job.state,
                wait_reason=job.wait_reason,
                task_position=None if task is None else task.position,
                task_name=None if task is None else task.name,
                attempt=0 if task is None else task.attempt_count,
                failure=failure,
                actor=actor,
            )
        )

    def dispatch(self, job: Job, task: Task) -> None:
        """Publishes the task's next command after the commit."""
        task.dispatch += 1
        task.dispatch_time = self.now
        if task.schedule_to_start_seconds is not None and task.deadline_time is None:
            task.deadline_time = self.now + timedelta(seconds=task.schedule_to_start_seconds)
        self.changed_tasks[task.task_id] = task
        self.dispatches.append(
            Dispatch(job.marketplace, job.tenant_id, job.job_id, task.task_id, task.dispatch)
        )

    def refuse_account(self, job: Job, task: Task) -> None:
        """Notes that the marketplace refused the account's authorization in an attempt."""
        key, begun = (job.tenant_id, job.account_id), task.start_time or self.now
        self.refused_accounts[key] = max(begun, self.refused_accounts.get(key, begun))

    def hold_back(self, job: Job, scope: failure_pb2.RateLimitScope.ValueType, until: datetime) -> None:
        """Notes that a limit of the marketplace holds the account's jobs back, or all of the marketplace."""
        if scope == failure_pb2.RATE_LIMIT_SCOPE_ACCOUNT:
            account_id = job.account_id
            self.limited_accounts[account_id] = max(until, self.limited_accounts.get(account_id, until))
        elif scope == failure_pb2.RATE_LIMIT_SCOPE_MARKETPLACE:
            name = job.marketplace
            self.limited_marketplaces[name] = max(until, self.limited_marketplaces.get(name, until))

    def withdraw(self, task: Task) -> None:
        """Makes a published command of the task worth nothing."""
        task.dispatch_time = None
        task.deadline_time = None
        self.changed_tasks[task.task_id] = task

    def new_fact(self, job: Job, event_id: str) -> event_pb2.Event:
        """Appends a result event; the caller fills in the fact."""
        event = event_pb2.Event(
            event_id=event_id,
            tenant_id=job.tenant_id,
            marketplace=job.marketplace,
            action=job.action,
            job_id=job.text_id,
            run=job.run,
        )
        set_timestamp(event.occur_time, self.now)
        self.facts.append(event)
        return event

    def begin_effect(self, job: Job, task: Task, key: EffectKey) -> Effect:
        """Returns the effect, UNRESOLVED and held by this attempt, as it must be before anything is sent."""
        effect = self.effects.get(key)
        if effect is None:
            effect = Effect(
                effect_id=uuid_utils.uuid7(),
                key=key,
                tenant_id=job.tenant_id,
                state="UNRESOLVED",
                mode="EXECUTE",
                generation=1,
                remote_id="",
                job_id=job.job_id,
                task_id=task.task_id,
                last_send_time=self.now,
            )
            self.effects[key] = effect
        elif effect.mode == "ADOPT" and effect.task_id == task.task_id:
            # A person settled it for this very task, and no attempt since could send anything.
            pass
        elif effect.state == "UNRESOLVED":
            effect.mode = "PROBE"
        else:
            # A new generation, so that a receiver that remembers request ids takes this for a new request.
            effect.generation += 1
            effect.mode = "PROBE" if effect.state == "DONE" else "EXECUTE"
            # Settled: nothing of the past can still appear.
            effect.last_send_time = LONG_AGO
        effect.state = "UNRESOLVED"
        effect.job_id = job.job_id
        effect.task_id = task.task_id
        self.changed_effects[key] = effect
        return effect

    def keep_late_remote_id(self, effect: Effect, remote_id: str) -> None:
        """Keeps what an attempt made whose lease was over: for operators, and for the next probe.

        Not for the probe where something else is done: then it happened twice.
        """
        if effect.remote_id == remote_id and effect.state != "NOT_SENT":
            return
        self.late_remote_ids.append((effect.effect_id, remote_id))
        if effect.state == "DONE":
            log.error(
                "effect_happened_twice",
                effect_id=str(effect.effect_id),
                job_id=str(effect.job_id),
                recorded_remote_id=effect.remote_id,
                late_remote_id=remote_id,
            )
        elif effect.mode != "ADOPT":
            if effect.state == "NOT_SENT":
                # It was believed; so nothing has been tried since.
                effect.state = "UNRESOLVED"
                effect.last_send_time = self.now
            # A running attempt that sends nothing proves nothing about this one.
            effect.mode = "PROBE"
            effect.remote_id = remote_id
            self.changed_effects[effect.key] = effect


def shorten_failure(failure: failure_pb2.Failure) -> failure_pb2.Failure:
    """Returns the failure as events carry it: class and codes, and no text of unbounded size.

    A hundred events travel in one message of at most 1 MiB.
    """
    return failure_pb2.Failure(
        error_class=failure.error_class,
        effect_outcome=failure.effect_outcome,
        message=failure.message[:MAX_EVENT_TEXT],
        code=failure.code,
        http_status=failure.http_status,
    )
