"""A tenant's finished jobs: what the archiver moved out of the live tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, TenantBase, UuidKey
from stoflow_orchestrator.models.live import TERMINAL_JOB_STATES, TERMINAL_TASK_STATES


class MarketplaceJob(TenantBase):
    """A job that ended."""

    __tablename__ = "marketplace_jobs"
    __table_args__ = (
        CheckConstraint(f"state IN {TERMINAL_JOB_STATES}", name="state"),
        # One for each filter of ListJobs that would read the whole history without it (benchmarks/list_queries.py).
        Index("ix_marketplace_jobs_state", "state", "job_id"),
        Index("ix_marketplace_jobs_product_id", "product_id", "job_id"),
        # With the state, so that an account's jobs are counted without reading them.
        Index("ix_marketplace_jobs_account_id", "account_id", "job_id", postgresql_include=["state"]),
        # Both have few values. Rare ones are found through it; for frequent ones the newest jobs are read in order.
        Index("ix_marketplace_jobs_action", "marketplace", "action", "job_id"),
        Index(
            "ix_marketplace_jobs_batch",
            "batch_id",
            "job_id",
            postgresql_where=text("batch_id IS NOT NULL"),
        ),
    )

    job_id: Mapped[UuidKey]
    sequence: Mapped[BigInt]
    marketplace: Mapped[str]
    account_id: Mapped[UUID]
    product_id: Mapped[UUID | None]
    batch_id: Mapped[UUID | None]
    site: Mapped[str]
    action: Mapped[str]
    manifest_version: Mapped[str]
    assignment: Mapped[bytes]
    is_duplicate: Mapped[bool]
    priority: Mapped[int]
    max_retries: Mapped[int]
    state: Mapped[str]
    run: Mapped[int]
    task_position: Mapped[int]
    failure: Mapped[bytes | None]
    event_sequence: Mapped[BigInt]
    not_before_time: Mapped[datetime | None]
    expire_time: Mapped[datetime]
    create_time: Mapped[datetime]
    queue_time: Mapped[datetime]
    start_time: Mapped[datetime | None]
    finish_time: Mapped[datetime]


class MarketplaceTask(TenantBase):
    """A task of a job that ended."""

    __tablename__ = "marketplace_tasks"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        CheckConstraint(f"state IN {TERMINAL_TASK_STATES}", name="state"),
    )

    task_id: Mapped[UuidKey]
    job_id: Mapped[UUID] = mapped_column(ForeignKey(MarketplaceJob.job_id, ondelete="CASCADE"))
    position: Mapped[int]
    name: Mapped[str]
    item_index: Mapped[int | None]
    once_name: Mapped[str | None]
    settle_seconds: Mapped[float | None]
    start_to_close_seconds: Mapped[float]
    schedule_to_start_seconds: Mapped[float | None]
    input: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    state: Mapped[str]
    attempt_count: Mapped[int]
    failure_count: Mapped[int]
    dispatch: Mapped[BigInt]
    accepted_token: Mapped[UUID | None]
    output: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    failure: Mapped[bytes | None]
    start_time: Mapped[datetime | None]
    finish_time: Mapped[datetime]


class JobEvent(TenantBase):
    """One entry of the history of a job that ended."""

    __tablename__ = "job_events"

    job_id: Mapped[UUID] = mapped_column(
        ForeignKey(MarketplaceJob.job_id, ondelete="CASCADE"), primary_key=True
    )
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
