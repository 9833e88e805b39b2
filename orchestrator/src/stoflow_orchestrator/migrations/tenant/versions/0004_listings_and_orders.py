"""Listings that syncs found, orders, and whether listings follow their products by themselves.

Runs before the code that needs it; the columns' defaults let the code before go on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None

STATES = "state IN ('PLACED', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED', 'REFUNDED')"


def upgrade() -> None:
    # Named outright: Alembic does not translate the schema in an ALTER TABLE.
    schema = context.config.attributes["schema"]
    op.alter_column("listings", "product_id", nullable=True, schema=schema)
    for column in (
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), server_default="", nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
    ):
        op.add_column("listings", column, schema=schema)
    op.create_check_constraint(
        op.f("ck_listings_link"), "listings", "link IN ('SKU', 'SELLER')", schema=schema
    )
    op.add_column("accounts", sa.Column("update_quiet_seconds", sa.Integer(), nullable=True), schema=schema)
    _create_orders(schema)


def _create_orders(schema: str) -> None:
    op.create_table(
        "orders",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("total_currency", sa.Text(), nullable=True),
        sa.Column("total_minor", sa.BigInteger(), nullable=True),
        sa.Column("place_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("change_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(STATES, name=op.f("ck_orders_state")),
        sa.CheckConstraint("(total_currency IS NULL) = (total_minor IS NULL)", name=op.f("ck_orders_total")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_orders")),
        sa.UniqueConstraint("account_id", "remote_id", name=op.f("uq_orders_account_id_remote_id")),
        schema=schema,
    )
    op.create_index("ix_orders_place_time", "orders", ["place_time", "order_id"], schema=schema)
    op.create_table(
        "order_lines",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("listing_remote_id", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price_currency", sa.Text(), nullable=True),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_lines_quantity")),
        sa.CheckConstraint(
            "(price_currency IS NULL) = (price_minor IS NULL)", name=op.f("ck_order_lines_price")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            [f"{schema}.orders.order_id"],
            name=op.f("fk_order_lines_order_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("order_id", "remote_id", name=op.f("pk_order_lines")),
        schema=schema,
    )
    for column in ("product_id", "listing_remote_id"):
        op.create_index(f"ix_order_lines_{column}", "order_lines", [column], schema=schema)
