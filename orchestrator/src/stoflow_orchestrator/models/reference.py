"""Reference data shared by all tenants, and its values at each marketplace."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from stoflow_orchestrator.models.base import PublicBase

_ATTRIBUTES = "attribute IN ('brand', 'category', 'color', 'condition', 'material', 'size')"


class ReferenceValue(PublicBase):
    """A value of our own vocabulary; a category's key is its path in the tree.

    The source says who named it: what comes with the software never renames what an operator named.
    """

    __tablename__ = "reference_values"
    __table_args__ = (
        CheckConstraint(_ATTRIBUTES, name="attribute"),
        CheckConstraint("source IN ('seed', 'operator')", name="source"),
        Index("ix_reference_values_order", "attribute", "position", "key"),
    )

    attribute: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    source: Mapped[str]
    # Orders values for people; those that operators added share the last one.
    position: Mapped[int]


class MarketplaceMapping(PublicBase):
    """A marketplace's own value for one value of a reference attribute.

    A manifest's default and an operator's choice stand beside each other; the operator's counts.
    """

    __tablename__ = "marketplace_mappings"
    __table_args__ = (
        CheckConstraint(_ATTRIBUTES, name="attribute"),
        CheckConstraint("source IN ('manifest', 'operator')", name="source"),
    )

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    attribute: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    source: Mapped[str] = mapped_column(primary_key=True)
