"""One table for the vocabulary of every attribute; operators' mappings beside those of manifests.

Runs before the code that needs it. The code before it cannot go on beside it: it reads categories from a table that is
gone here, so its CreateProduct and RegisterConnector fail until it is replaced.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

ATTRIBUTES = "attribute IN ('brand', 'category', 'color', 'condition', 'material', 'size')"


def upgrade() -> None:
    op.create_table(
        "reference_values",
        sa.Column("attribute", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.CheckConstraint(ATTRIBUTES, name=op.f("ck_reference_values_attribute")),
        sa.CheckConstraint("source IN ('seed', 'operator')", name=op.f("ck_reference_values_source")),
        sa.PrimaryKeyConstraint("attribute", "key", name=op.f("pk_reference_values")),
        schema="public",
    )
    op.create_index(
        "ix_reference_values_order", "reference_values", ["attribute", "position", "key"], schema="public"
    )
    op.execute(
        "INSERT INTO public.reference_values (attribute, key, name, source, position)"
        " SELECT 'category', key, name, 'seed', 0 FROM public.categories"
    )
    op.drop_table("categories", schema="public")
    op.drop_constraint(
        op.f("ck_marketplace_mappings_attribute"), "marketplace_mappings", schema="public", type_="check"
    )
    op.create_check_constraint(
        op.f("ck_marketplace_mappings_attribute"), "marketplace_mappings", ATTRIBUTES, schema="public"
    )
    op.drop_constraint(
        op.f("pk_marketplace_mappings"), "marketplace_mappings", schema="public", type_="primary"
    )
    op.create_primary_key(
        op.f("pk_marketplace_mappings"),
        "marketplace_mappings",
        ["marketplace", "attribute", "key", "source"],
        schema="public",
    )
