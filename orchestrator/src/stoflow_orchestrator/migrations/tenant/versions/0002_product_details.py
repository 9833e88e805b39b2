"""Everything that marketplaces ask of a product, and the answers of imports.

Runs before the code that needs it; the columns' defaults let the code before go on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Named outright: Alembic does not translate the schema in an ALTER TABLE.
    schema = context.config.attributes["schema"]
    texts = postgresql.ARRAY(sa.Text())
    json = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
    for column in (
        sa.Column("colors", texts, server_default="{}", nullable=False),
        sa.Column("size", sa.Text(), server_default="", nullable=False),
        sa.Column("materials", texts, server_default="{}", nullable=False),
        sa.Column("gender", sa.Text(), server_default="", nullable=False),
        sa.Column("measurements_mm", json, server_default="{}", nullable=False),
        sa.Column("weight_grams", sa.Integer(), server_default="0", nullable=False),
        sa.Column("package_size", json, server_default="{}", nullable=False),
        sa.Column("origin", json, nullable=True),
    ):
        op.add_column("products", column, schema=schema)
    op.create_check_constraint(op.f("ck_products_weight"), "products", "weight_grams >= 0", schema=schema)
    op.create_table(
        "product_imports",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_product_imports")),
        schema=schema,
    )
