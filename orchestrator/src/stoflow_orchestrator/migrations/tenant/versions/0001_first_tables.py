"""First tables of a tenant.

Runs before the code that needs it.
Schema "tenant" is a placeholder: the runner's schema_translate_map names the tenant's own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sites", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("settings", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=False),
        sa.Column("access_token_expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.Column("grant_instance_id", sa.Uuid(), nullable=True),
        sa.Column("grant_expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('CONNECTED', 'RECONNECT_REQUIRED')", name=op.f("ck_accounts_state")),
        sa.CheckConstraint(
            "(grant_id IS NULL) = (grant_expire_time IS NULL)", name=op.f("ck_accounts_grant_expires")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_accounts")),
        schema="tenant",
    )
    op.create_index(
        "ix_accounts_create_time", "accounts", ["create_time", "account_id"], unique=False, schema="tenant"
    )
    op.create_table(
        "batch_jobs",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("total_count", sa.BigInteger(), nullable=False),
        sa.Column("completed_count", sa.BigInteger(), nullable=False),
        sa.Column("failed_count", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_count", sa.BigInteger(), nullable=False),
        sa.Column("expired_count", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "completed_count + failed_count + cancelled_count + expired_count = total_count",
            name=op.f("ck_batch_jobs_all_ended"),
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch_jobs")),
        schema="tenant",
    )
    op.create_table(
        "listings",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("price_currency", sa.Text(), nullable=True),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("product_version", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('DRAFT', 'LIVE', 'ENDED', 'SOLD')", name=op.f("ck_listings_state")),
        sa.CheckConstraint(
            "(price_currency IS NULL) = (price_minor IS NULL)", name=op.f("ck_listings_price")
        ),
        sa.PrimaryKeyConstraint("listing_id", name=op.f("pk_listings")),
        sa.UniqueConstraint("account_id", "remote_id", name=op.f("uq_listings_account_id_remote_id")),
        schema="tenant",
    )
    op.create_index("ix_listings_product_id", "listings", ["product_id"], unique=False, schema="tenant")
    op.create_index(
        "ix_listings_update_time", "listings", ["update_time", "listing_id"], unique=False, schema="tenant"
    )
    op.create_table(
        "marketplace_jobs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("manifest_version", sa.Text(), nullable=False),
        sa.Column("assignment", sa.LargeBinary(), nullable=False),
        sa.Column("is_duplicate", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("task_position", sa.Integer(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.Column("event_sequence", sa.BigInteger(), nullable=False),
        sa.Column("not_before_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queue_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')", name=op.f("ck_marketplace_jobs_state")
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_marketplace_jobs")),
        schema="tenant",
    )
    op.create_index(
        "ix_marketplace_jobs_batch",
        "marketplace_jobs",
        ["batch_id", "job_id"],
        unique=False,
        schema="tenant",
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_marketplace_jobs_product_id",
        "marketplace_jobs",
        ["product_id", "job_id"],
        unique=False,
        schema="tenant",
    )
    op.create_index(
        "ix_marketplace_jobs_state", "marketplace_jobs", ["state", "job_id"], unique=False, schema="tenant"
    )
    op.create_table(
        "products",
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("price_currency", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("stock_quantity", sa.Integer(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("attributes", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("overrides", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("price_minor >= 0", name=op.f("ck_products_price")),
        sa.CheckConstraint("stock_quantity >= 0", name=op.f("ck_products_stock")),
        sa.CheckConstraint("version > 0", name=op.f("ck_products_version")),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_products")),
        sa.UniqueConstraint("sku", name=op.f("uq_products_sku")),
        schema="tenant",
    )
    op.create_index(
        "ix_products_create_time", "products", ["create_time", "product_id"], unique=False, schema="tenant"
    )
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occur_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("job_state", sa.Text(), nullable=False),
        sa.Column("wait_reason", sa.Text(), nullable=True),
        sa.Column("task_position", sa.Integer(), nullable=True),
        sa.Column("task_name", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["tenant.marketplace_jobs.job_id"],
            name=op.f("fk_job_events_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "sequence", name=op.f("pk_job_events")),
        schema="tenant",
    )
    op.create_table(
        "marketplace_tasks",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("item_index", sa.Integer(), nullable=True),
        sa.Column("once_name", sa.Text(), nullable=True),
        sa.Column("settle_seconds", sa.Double(), nullable=True),
        sa.Column("start_to_close_seconds", sa.Double(), nullable=False),
        sa.Column("schedule_to_start_seconds", sa.Double(), nullable=True),
        sa.Column("input", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("failure_count", sa.Integer(), nullable=False),
        sa.Column("dispatch", sa.BigInteger(), nullable=False),
        sa.Column("accepted_token", sa.Uuid(), nullable=True),
        sa.Column("output", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('COMPLETED', 'FAILED', 'CANCELLED')", name=op.f("ck_marketplace_tasks_state")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["tenant.marketplace_jobs.job_id"],
            name=op.f("fk_marketplace_tasks_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_marketplace_tasks")),
        sa.UniqueConstraint("job_id", "position", name=op.f("uq_marketplace_tasks_job_id_position")),
        schema="tenant",
    )
    op.create_table(
        "product_images",
        sa.Column("image_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width_pixels", sa.Integer(), nullable=False),
        sa.Column("height_pixels", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"],
            ["tenant.products.product_id"],
            name=op.f("fk_product_images_product_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_product_images")),
        sa.UniqueConstraint("product_id", "position", name=op.f("uq_product_images_product_id_position")),
        schema="tenant",
    )
