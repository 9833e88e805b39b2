"""Tenants, and what makes mutations idempotent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase


class Tenant(PublicBase):
    """A seller; READY once its schema has been migrated."""

    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("tenant_id > 0", name="positive"),
        CheckConstraint("state IN ('PROVISIONING', 'READY')", name="state"),
    )

    tenant_id: Mapped[BigInt] = mapped_column(primary_key=True, autoincrement=True)
    display_name: Mapped[str]
    state: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class MutationRequest(PublicBase):
    """A request_id that was used: the same body gets the first answer, another body is refused.

    Written in the transaction of the mutation itself, so that neither exists without the other. tenant_id is
    0 for mutations outside any tenant.
    """

    __tablename__ = "mutation_requests"

    tenant_id: Mapped[BigInt] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    method: Mapped[str]
    body_sha256: Mapped[bytes]
    # What the mutation made, such as a job's id: the answer is read from there.
    result_id: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
