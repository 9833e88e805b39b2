"""Reference data shared by all tenants, and its values at each marketplace."""

from __future__ import annotations

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import PublicBase


class Category(PublicBase):
    """A node of our own category tree; the key is its path."""

    __tablename__ = "categories"

    key: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class MarketplaceMapping(PublicBase):
    """A marketplace's own value for one value of a reference attribute.

    The source says who set it: a manifest's defaults never replace an operator's choice.
    """

    __tablename__ = "marketplace_mappings"
    __table_args__ = (
        CheckConstraint("attribute IN ('category', 'condition')", name="attribute"),
        CheckConstraint("source IN ('manifest', 'operator')", name="source"),
    )

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    attribute: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    source: Mapped[str]
