"""Updates of listings that are planned, over all tenants: whoever looks for what is due reads only `public`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import BigInt, PublicBase


class DueListingUpdate(PublicBase):
    """A stale listing to be brought up to date by a job once its product has rested.

    Written in the transaction that changes the product, so that neither is there without the other; gone once the job
    is there.
    """

    __tablename__ = "due_listing_updates"
    __table_args__ = (
        CheckConstraint("(due_time IS NULL) = (problem <> '')", name="due"),
        CheckConstraint("action IN ('update', 'delete')", name="action"),
        Index("ix_due_listing_updates_due_time", "due_time"),
        Index("ix_due_listing_updates_product_id", "product_id"),
    )

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    site: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[BigInt]
    # "delete" when a sale elsewhere left nothing of the product.
    action: Mapped[str] = mapped_column(server_default="update")
    # The request_id of the job; another with each change of the product.
    update_id: Mapped[UUID]
    first_time: Mapped[datetime]
    # Null when there is a problem.
    due_time: Mapped[datetime | None]
    # Why no job could be made; the next change of the product tries again.
    problem: Mapped[str]
