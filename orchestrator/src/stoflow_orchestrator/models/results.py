"""What became of jobs, over all tenants: result events for readers that come later, and jobs that failed for good."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase, UuidKey


class ResultEvents(PublicBase):
    """The result events of one group, written with what they tell of; kept for as long as retention says."""

    __tablename__ = "result_events"
    __table_args__ = (
        # Readers go by transaction: numbers of a sequence become visible in another order than they were drawn.
        Index("ix_result_events_order", "transaction_id", "message_id"),
        Index("ix_result_events_create_time", "create_time"),
    )

    # The id of the message that carries them.
    message_id: Mapped[UuidKey]
    transaction_id: Mapped[int] = mapped_column(
        BigInteger(), server_default=text("pg_current_xact_id()::text::bigint")
    )
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    # Serialized stoflow.events.v1.EventBatch.
    payload: Mapped[bytes]
    # How many runs ended, by "marketplace/priority".
    ended_counts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class DeadLetter(PublicBase):
    """A job that is FAILED or EXPIRED, wherever its own row is; gone when it is retried or deleted."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        CheckConstraint("state IN ('FAILED', 'EXPIRED')", name="state"),
        Index("ix_dead_letters_finish_time", "finish_time", "job_id"),
        Index("ix_dead_letters_tenant", "tenant_id", "finish_time", "job_id"),
    )

    job_id: Mapped[UuidKey]
    tenant_id: Mapped[BigInt]
    marketplace: Mapped[str]
    account_id: Mapped[UUID]
    product_id: Mapped[UUID | None]
    action: Mapped[str]
    site: Mapped[str]
    run: Mapped[int]
    state: Mapped[str]
    # The failure's own; empty when it has none.
    error_code: Mapped[str]
    error_class: Mapped[str]
    # Serialized stoflow.common.v1.Failure.
    failure: Mapped[bytes]
    finish_time: Mapped[datetime]
