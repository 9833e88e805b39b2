"""Jobs that have not been archived yet: the tables that admission, dispatch and the reaper read.

A job lives here from its creation until the archiver moves it to its tenant's schema, so whatever polls
reads only `public` (decision 0002).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Identity, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase, UuidKey

JOB_STATES = "('PENDING', 'RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')"
TERMINAL_JOB_STATES = "('COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')"
LIVE_JOB_STATES = "('PENDING', 'RUNNING', 'PAUSED')"
TASK_STATES = "('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')"
TERMINAL_TASK_STATES = "('COMPLETED', 'FAILED', 'CANCELLED')"
WAIT_REASONS = (
    "('RETRY_BACKOFF', 'RATE_LIMITED', 'ACCOUNT_RECONNECT_REQUIRED', 'SELLER_OFFLINE', 'NEEDS_HUMAN', "
    "'CONNECTOR_UNAVAILABLE')"
)


class LiveJob(PublicBase):
    """A job; its row is the lock of everything that belongs to it."""

    __tablename__ = "live_jobs"
    __table_args__ = (
        CheckConstraint(f"state IN {JOB_STATES}", name="state"),
        CheckConstraint(f"wait_reason IN {WAIT_REASONS}", name="wait_reason"),
        CheckConstraint("wait_reason IS NULL OR state = 'PENDING'", name="only_pending_waits"),
        CheckConstraint("state <> 'RUNNING' OR admit_time IS NOT NULL", name="running_holds_slot"),
        # A paused job keeps its slot until the attempt that ran has stopped.
        CheckConstraint("state <> 'PENDING' OR admit_time IS NULL", name="waiting_holds_none"),
        CheckConstraint(
            f"(state IN {TERMINAL_JOB_STATES}) = (finish_time IS NOT NULL)", name="terminal_has_finish_time"
        ),
        CheckConstraint("priority BETWEEN 1 AND 4", name="priority"),
        CheckConstraint("run > 0", name="run"),
        # No second live job for the same thing: two browser tabs cannot publish twice.
        Index(
            "uq_live_jobs_subject",
            "account_id",
            "product_id",
            "action",
            "site",
            unique=True,
            postgresql_where=text(f"state IN {LIVE_JOB_STATES} AND NOT is_duplicate"),
            postgresql_nulls_not_distinct=True,
        ),
        # One admitted job for an account and product: the slot row itself is the lock.
        Index(
            "uq_live_jobs_slot",
            "account_id",
            "product_id",
            unique=True,
            postgresql_where=text("admit_time IS NOT NULL AND product_id IS NOT NULL"),
        ),
        # Jobs that wait for nothing but a slot, or for an earlier job on the same product. Admission reads a few of
        # each account; what waits for a time or a person does not stand in its way.
        Index(
            "ix_live_jobs_ready",
            "marketplace",
            "account_id",
            "priority",
            "sequence",
            postgresql_where=text("state = 'PENDING' AND next_time <= queue_time"),
        ),
        # Jobs that wait for a time; the reaper makes them ready.
        Index(
            "ix_live_jobs_held",
            "next_time",
            postgresql_where=text("state = 'PENDING' AND next_time > queue_time"),
        ),
        Index(
            "ix_live_jobs_reconnect",
            "account_id",
            postgresql_where=text("state = 'PENDING' AND wait_reason = 'ACCOUNT_RECONNECT_REQUIRED'"),
        ),
        Index(
            "ix_live_jobs_unsupported",
            "marketplace",
            "manifest_version",
            postgresql_where=text("state = 'PENDING' AND wait_reason = 'CONNECTOR_UNAVAILABLE'"),
        ),
        Index(
            "ix_live_jobs_offline",
            "account_id",
            postgresql_where=text("state = 'PENDING' AND wait_reason = 'SELLER_OFFLINE'"),
        ),
        # What uq_live_jobs_subject leaves out.
        Index(
            "ix_live_jobs_duplicates",
            "account_id",
            "product_id",
            postgresql_where=text(f"state IN {LIVE_JOB_STATES} AND is_duplicate"),
        ),
        Index(
            "ix_live_jobs_slots",
            "marketplace",
            "account_id",
            postgresql_where=text("admit_time IS NOT NULL"),
        ),
        Index(
            "ix_live_jobs_expire_time", "expire_time", postgresql_where=text(f"state IN {LIVE_JOB_STATES}")
        ),
        Index(
            "ix_live_jobs_archive",
            "tenant_id",
            postgresql_where=text(f"state IN {TERMINAL_JOB_STATES}"),
        ),
        Index("ix_live_jobs_tenant", "tenant_id", "job_id"),
        Index("ix_live_jobs_batch", "batch_id", "job_id", postgresql_where=text("batch_id IS NOT NULL")),
        Index("ix_live_jobs_paused", "batch_id", postgresql_where=text("state = 'PAUSED'")),
        # Most updates move the position alone: with a fill factor of 60 they stay in the row's page, and no index is
        # written.
    )

    job_id: Mapped[UuidKey]
    # Order of creation over all tenants.
    sequence: Mapped[BigInt] = mapped_column(Identity(always=True))
    tenant_id: Mapped[BigInt]
    marketplace: Mapped[str]
    account_id: Mapped[UUID]
    product_id: Mapped[UUID | None]
    # Null for a job that was submitted alone. No foreign key: the batch is archived after its jobs.
    batch_id: Mapped[UUID | None]
    site: Mapped[str]
    action: Mapped[str]
    manifest_version: Mapped[str]
    # Serialized stoflow.connector.v1.TaskAssignment with everything that all attempts of the job share.
    assignment: Mapped[bytes]
    # Whether the caller wanted it beside another live job for the same thing.
    is_duplicate: Mapped[bool] = mapped_column(server_default=text("false"))
    priority: Mapped[int]
    max_retries: Mapped[int]
    state: Mapped[str]
    wait_reason: Mapped[str | None]
    run: Mapped[int]
    # Position of the task that is next or runs.
    task_position: Mapped[int]
    # Serialized stoflow.common.v1.Failure.
    failure: Mapped[bytes | None]
    event_sequence: Mapped[BigInt]
    not_before_time: Mapped[datetime | None]
    # Earliest admission: not_before_time, or the end of a wait; not after queue_time once the job is ready.
    next_time: Mapped[datetime]
    expire_time: Mapped[datetime]
    create_time: Mapped[datetime]
    # When this run began to wait: at its creation, or at its retry.
    queue_time: Mapped[datetime] = mapped_column(server_default=func.now())
    # Not null while the job holds a slot.
    admit_time: Mapped[datetime | None]
    start_time: Mapped[datetime | None]
    finish_time: Mapped[datetime | None]


class LiveTask(PublicBase):
    """A task of a live job; PENDING and RUNNING ones carry their dispatch and lease."""

    __tablename__ = "live_tasks"
    __table_args__ = (
        # Deferrable, so that one statement may move the tasks behind a follow-up.
        UniqueConstraint("job_id", "position", deferrable=True, initially="IMMEDIATE"),
        CheckConstraint(f"state IN {TASK_STATES}", name="state"),
        CheckConstraint("(state = 'RUNNING') = (lease_token IS NOT NULL)", name="running_has_lease"),
        CheckConstraint("(lease_token IS NULL) = (lease_expire_time IS NULL)", name="lease_expires"),
        CheckConstraint("lease_token IS NULL OR deadline_time IS NOT NULL", name="lease_has_deadline"),
        CheckConstraint(
            "deadline_time IS NULL OR lease_token IS NOT NULL OR dispatch_time IS NOT NULL",
            name="idle_has_no_deadline",
        ),
        CheckConstraint("(lease_token IS NULL) = (instance_id IS NULL)", name="lease_has_holder"),
        CheckConstraint(
            f"(state IN {TERMINAL_TASK_STATES}) = (finish_time IS NOT NULL)", name="terminal_has_finish_time"
        ),
        CheckConstraint("dispatch_time IS NULL OR state = 'PENDING'", name="only_pending_is_dispatched"),
        CheckConstraint("(once_name IS NULL) = (settle_seconds IS NULL)", name="once_settles"),
        # No index on what changes with each attempt: the reaper finds active tasks by their jobs' slots, and with a
        # fill factor of 45 rows are updated within their page.
    )

    task_id: Mapped[UuidKey]
    # No foreign key: only the archiver deletes jobs, with their tasks; checking it was half the cost of inserting them.
    job_id: Mapped[UUID]
    position: Mapped[int]
    name: Mapped[str]
    item_index: Mapped[int | None]
    once_name: Mapped[str | None]
    settle_seconds: Mapped[float | None]
    start_to_close_seconds: Mapped[float]
    # How long a dispatch may wait for its start; null for as long as the job lives.
    schedule_to_start_seconds: Mapped[float | None]
    # What the result that appended the task gave it.
    input: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    state: Mapped[str]
    attempt_count: Mapped[int]
    # Attempts that burnt a retry.
    failure_count: Mapped[int]
    # Number of the newest command published for it. It never restarts: JetStream drops a repeated message id.
    dispatch: Mapped[BigInt]
    # When that command was published; null once it has been started.
    dispatch_time: Mapped[datetime | None]
    lease_token: Mapped[UUID | None]
    lease_expire_time: Mapped[datetime | None]
    # The attempt is taken for failed after this, heartbeats or not; before its start, if it has not started by then.
    deadline_time: Mapped[datetime | None]
    instance_id: Mapped[UUID | None]
    # Token of the report accepted last: the same report again is answered alike.
    accepted_token: Mapped[UUID | None]
    output: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    failure: Mapped[bytes | None]
    start_time: Mapped[datetime | None]
    finish_time: Mapped[datetime | None]


class LiveEvent(PublicBase):
    """One entry of a live job's history, numbered under the job row's lock."""

    __tablename__ = "live_events"

    # No foreign key: events are by far the most rows, and only the archiver deletes jobs, with their events.
    job_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[BigInt] = mapped_column(primary_key=True)
    type: Mapped[str]
    occur_time: Mapped[datetime]
    job_state: Mapped[str]
    wait_reason: Mapped[str | None]
    task_position: Mapped[int | None]
    task_name: Mapped[str | None]
    attempt: Mapped[int]
    failure: Mapped[bytes | None]
    actor: Mapped[str]


class OutboxMessage(PublicBase):
    """Names the result_events of a message that must reach JetStream; deleted once JetStream has acknowledged it."""

    __tablename__ = "outbox"

    message_id: Mapped[UuidKey]
    subject: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
