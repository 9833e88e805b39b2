"""Planned updates of listings.

Runs before the code that needs it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "due_listing_updates",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("update_id", sa.Uuid(), nullable=False),
        sa.Column("first_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.CheckConstraint("(due_time IS NULL) = (problem <> '')", name=op.f("ck_due_listing_updates_due")),
        sa.PrimaryKeyConstraint("account_id", "product_id", "site", name=op.f("pk_due_listing_updates")),
        schema="public",
    )
    for column in ("due_time", "product_id"):
        op.create_index(f"ix_due_listing_updates_{column}", "due_listing_updates", [column], schema="public")
