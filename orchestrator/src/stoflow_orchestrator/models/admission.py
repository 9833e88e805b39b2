"""What admission decides by: operators' limits and pauses, and the tenants' places in the queues."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase


class MarketplaceGate(PublicBase):
    """What an operator decided about a marketplace; without a row it is open and unlimited."""

    __tablename__ = "marketplace_gates"
    __table_args__ = (CheckConstraint("max_admitted_jobs > 0", name="max_admitted_jobs"),)

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    # Not null while no job is admitted.
    pause_time: Mapped[datetime | None]
    pause_reason: Mapped[str] = mapped_column(server_default="")
    # Until when the marketplace's limit of our application holds every job back; null or past when it does not.
    rate_limit_time: Mapped[datetime | None]
    # Greatest number of its jobs admitted at once, beside the connectors' slots; null for no limit of its own.
    max_admitted_jobs: Mapped[int | None]


class AdmissionTenant(PublicBase):
    """A tenant that has jobs ready in a queue, or that has had more of it than those who wait.

    A tenant without a row is where the queue's clock is: no credit, no debt.
    """

    __tablename__ = "admission_tenants"
    __table_args__ = (
        Index("ix_admission_tenants_next", "marketplace", "priority", "is_waiting", "tag", "tenant_id"),
    )

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    priority: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant_id: Mapped[BigInt] = mapped_column(primary_key=True, autoincrement=False)
    # Start tag of its next job; whoever has the least goes first.
    tag: Mapped[float]
    is_waiting: Mapped[bool]


class AdmissionClock(PublicBase):
    """Virtual time of a queue: the greatest start tag admitted; without a row it is zero."""

    __tablename__ = "admission_clocks"

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    priority: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    virtual_time: Mapped[float]
