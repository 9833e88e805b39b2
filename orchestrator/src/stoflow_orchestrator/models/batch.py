"""Batches: live until every job of theirs is archived, then their tenant's.

A batch's state is not stored: it follows from these facts (`lifecycle.batch_state`), so it can never contradict them.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase, TenantBase, UuidKey

_ENDED = "completed_count + failed_count + cancelled_count + expired_count"
_NO_NEGATIVE = "least(completed_count, failed_count, cancelled_count, expired_count) >= 0"


class LiveBatch(PublicBase):
    """Many jobs submitted together; its row counts those that have ended."""

    __tablename__ = "live_batches"
    __table_args__ = (
        CheckConstraint("total_count > 0", name="total_count"),
        CheckConstraint(_NO_NEGATIVE, name="no_negative_count"),
        CheckConstraint(
            f"({_ENDED} = total_count) = (finish_time IS NOT NULL)", name="ended_has_finish_time"
        ),
        CheckConstraint(f"{_ENDED} <= total_count", name="no_job_counts_twice"),
        CheckConstraint(
            "NOT is_cancelling OR cancel_time IS NOT NULL AND finish_time IS NULL",
            name="cancelling_is_cancelled",
        ),
        Index("ix_live_batches_tenant", "tenant_id", "batch_id"),
        Index("ix_live_batches_ended", "tenant_id", postgresql_where=text("finish_time IS NOT NULL")),
        Index("ix_live_batches_cancelling", "batch_id", postgresql_where=text("is_cancelling")),
    )

    batch_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    account_id: Mapped[UUID]
    marketplace: Mapped[str]
    action: Mapped[str]
    total_count: Mapped[BigInt]
    completed_count: Mapped[BigInt] = mapped_column(server_default="0")
    failed_count: Mapped[BigInt] = mapped_column(server_default="0")
    cancelled_count: Mapped[BigInt] = mapped_column(server_default="0")
    expired_count: Mapped[BigInt] = mapped_column(server_default="0")
    create_time: Mapped[datetime]
    # When the first of its jobs was admitted.
    start_time: Mapped[datetime | None]
    # When a person cancelled it; it stays cancelled.
    cancel_time: Mapped[datetime | None]
    # Jobs that were live when it was cancelled may still have to be cancelled one by one.
    is_cancelling: Mapped[bool] = mapped_column(server_default=text("false"))
    # When its last job ended; null again while one of them is retried.
    finish_time: Mapped[datetime | None]


class BatchJob(TenantBase):
    """A batch whose jobs have all ended and moved to the tenant."""

    __tablename__ = "batch_jobs"
    __table_args__ = (CheckConstraint(f"{_ENDED} = total_count", name="all_ended"),)

    batch_id: Mapped[UuidKey]
    account_id: Mapped[UUID]
    marketplace: Mapped[str]
    action: Mapped[str]
    total_count: Mapped[BigInt]
    completed_count: Mapped[BigInt]
    failed_count: Mapped[BigInt]
    cancelled_count: Mapped[BigInt]
    expired_count: Mapped[BigInt]
    create_time: Mapped[datetime]
    start_time: Mapped[datetime | None]
    cancel_time: Mapped[datetime | None]
    finish_time: Mapped[datetime]
