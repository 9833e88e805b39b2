"""First tables of `public`.

Runs before the code that needs it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

# A first, small tree of our own; keys are paths.
CATEGORIES = (
    ("clothing/women/dresses", "Dresses"),
    ("clothing/women/tops", "Tops"),
    ("clothing/women/jeans", "Jeans"),
    ("clothing/men/shirts", "Shirts"),
    ("clothing/men/jeans", "Jeans"),
    ("clothing/men/jackets", "Jackets"),
    ("shoes/women/sneakers", "Sneakers"),
    ("shoes/men/sneakers", "Sneakers"),
    ("accessories/bags", "Bags"),
    ("home/decoration", "Decoration"),
)


def upgrade() -> None:
    op.create_table(
        "account_gates",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("max_admitted_jobs", sa.Integer(), nullable=True),
        sa.Column("pause_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("max_admitted_jobs > 0", name=op.f("ck_account_gates_max_admitted_jobs")),
        sa.CheckConstraint(
            "state IN ('CONNECTED', 'RECONNECT_REQUIRED')", name=op.f("ck_account_gates_state")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_gates")),
        schema="public",
    )
    op.create_index(
        "ix_account_gates_tenant",
        "account_gates",
        ["tenant_id", "marketplace"],
        unique=False,
        schema="public",
    )
    op.create_table(
        "admission_clocks",
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("virtual_time", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("marketplace", "priority", name=op.f("pk_admission_clocks")),
        schema="public",
    )
    op.create_table(
        "admission_tenants",
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.Float(), nullable=False),
        sa.Column("is_waiting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("marketplace", "priority", "tenant_id", name=op.f("pk_admission_tenants")),
        schema="public",
    )
    op.create_index(
        "ix_admission_tenants_next",
        "admission_tenants",
        ["marketplace", "priority", "is_waiting", "tag", "tenant_id"],
        unique=False,
        schema="public",
    )
    op.create_table(
        "categories",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_categories")),
        schema="public",
    )
    op.create_table(
        "connector_instances",
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("versions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("drain_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "register_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("slots >= 0", name=op.f("ck_connector_instances_slots")),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_connector_instances")),
        schema="public",
    )
    op.create_index(
        op.f("ix_connector_instances_marketplace"),
        "connector_instances",
        ["marketplace"],
        unique=False,
        schema="public",
    )
    op.create_table(
        "connector_manifests",
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column(
            "register_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("marketplace", "version", name=op.f("pk_connector_manifests")),
        schema="public",
    )
    op.create_table(
        "dead_letters",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=False),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('FAILED', 'EXPIRED')", name=op.f("ck_dead_letters_state")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_dead_letters")),
        schema="public",
    )
    op.create_index(
        "ix_dead_letters_finish_time",
        "dead_letters",
        ["finish_time", "job_id"],
        unique=False,
        schema="public",
    )
    op.create_index(
        "ix_dead_letters_tenant",
        "dead_letters",
        ["tenant_id", "finish_time", "job_id"],
        unique=False,
        schema="public",
    )
    op.create_table(
        "effects",
        sa.Column("effect_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("last_send_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state <> 'DONE' OR remote_id <> ''", name=op.f("ck_effects_done_has_remote_id")),
        sa.CheckConstraint("state IN ('UNRESOLVED', 'DONE', 'NOT_SENT')", name=op.f("ck_effects_state")),
        sa.CheckConstraint("generation > 0", name=op.f("ck_effects_generation")),
        sa.CheckConstraint("mode IN ('EXECUTE', 'PROBE')", name=op.f("ck_effects_mode")),
        sa.PrimaryKeyConstraint("effect_id", name=op.f("pk_effects")),
        sa.UniqueConstraint(
            "account_id",
            "product_id",
            "site",
            "name",
            name=op.f("uq_effects_account_id_product_id_site_name"),
        ),
        schema="public",
    )
    op.create_index(
        "ix_effects_unresolved",
        "effects",
        ["effect_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state = 'UNRESOLVED'"),
    )
    op.create_table(
        "live_batches",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("total_count", sa.BigInteger(), nullable=False),
        sa.Column("completed_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancelled_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expired_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_cancelling", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(completed_count + failed_count + cancelled_count + expired_count = total_count) "
            "= (finish_time IS NOT NULL)",
            name=op.f("ck_live_batches_ended_has_finish_time"),
        ),
        sa.CheckConstraint(
            "NOT is_cancelling OR cancel_time IS NOT NULL AND finish_time IS NULL",
            name=op.f("ck_live_batches_cancelling_is_cancelled"),
        ),
        sa.CheckConstraint(
            "completed_count + failed_count + cancelled_count + expired_count <= total_count",
            name=op.f("ck_live_batches_no_job_counts_twice"),
        ),
        sa.CheckConstraint(
            "least(completed_count, failed_count, cancelled_count, expired_count) >= 0",
            name=op.f("ck_live_batches_no_negative_count"),
        ),
        sa.CheckConstraint("total_count > 0", name=op.f("ck_live_batches_total_count")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_live_batches")),
        schema="public",
    )
    op.create_index(
        "ix_live_batches_cancelling",
        "live_batches",
        ["batch_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("is_cancelling"),
    )
    op.create_index(
        "ix_live_batches_ended",
        "live_batches",
        ["tenant_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("finish_time IS NOT NULL"),
    )
    op.create_index(
        "ix_live_batches_tenant", "live_batches", ["tenant_id", "batch_id"], unique=False, schema="public"
    )
    op.create_table(
        "live_events",
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
        sa.PrimaryKeyConstraint("job_id", "sequence", name=op.f("pk_live_events")),
        schema="public",
    )
    op.create_table(
        "live_jobs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("manifest_version", sa.Text(), nullable=False),
        sa.Column("assignment", sa.LargeBinary(), nullable=False),
        sa.Column("is_duplicate", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("wait_reason", sa.Text(), nullable=True),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("task_position", sa.Integer(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.Column("event_sequence", sa.BigInteger(), nullable=False),
        sa.Column("not_before_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queue_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("admit_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')) = (finish_time IS NOT NULL)",
            name=op.f("ck_live_jobs_terminal_has_finish_time"),
        ),
        sa.CheckConstraint(
            "state <> 'RUNNING' OR admit_time IS NOT NULL", name=op.f("ck_live_jobs_running_holds_slot")
        ),
        sa.CheckConstraint(
            "state IN ('PENDING', 'RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')",
            name=op.f("ck_live_jobs_state"),
        ),
        sa.CheckConstraint(
            "state <> 'PENDING' OR admit_time IS NULL", name=op.f("ck_live_jobs_waiting_holds_none")
        ),
        sa.CheckConstraint(
            "wait_reason IN ('RETRY_BACKOFF', 'RATE_LIMITED', 'ACCOUNT_RECONNECT_REQUIRED', "
            "'SELLER_OFFLINE', 'NEEDS_HUMAN', 'CONNECTOR_UNAVAILABLE')",
            name=op.f("ck_live_jobs_wait_reason"),
        ),
        sa.CheckConstraint(
            "wait_reason IS NULL OR state = 'PENDING'", name=op.f("ck_live_jobs_only_pending_waits")
        ),
        sa.CheckConstraint("priority BETWEEN 1 AND 4", name=op.f("ck_live_jobs_priority")),
        sa.CheckConstraint("run > 0", name=op.f("ck_live_jobs_run")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_live_jobs")),
        schema="public",
    )
    op.create_index(
        "ix_live_jobs_archive",
        "live_jobs",
        ["tenant_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state IN ('COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')"),
    )
    op.create_index(
        "ix_live_jobs_batch",
        "live_jobs",
        ["batch_id", "job_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_live_jobs_duplicates",
        "live_jobs",
        ["account_id", "product_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state IN ('PENDING', 'RUNNING', 'PAUSED') AND is_duplicate"),
    )
    op.create_index(
        "ix_live_jobs_expire_time",
        "live_jobs",
        ["expire_time"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state IN ('PENDING', 'RUNNING', 'PAUSED')"),
    )
    op.create_index(
        "ix_live_jobs_held",
        "live_jobs",
        ["next_time"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state = 'PENDING' AND next_time > queue_time"),
    )
    op.create_index(
        "ix_live_jobs_ready",
        "live_jobs",
        ["marketplace", "account_id", "priority", "sequence"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state = 'PENDING' AND next_time <= queue_time"),
    )
    op.create_index(
        "ix_live_jobs_reconnect",
        "live_jobs",
        ["account_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state = 'PENDING' AND wait_reason = 'ACCOUNT_RECONNECT_REQUIRED'"),
    )
    op.create_index(
        "ix_live_jobs_slots",
        "live_jobs",
        ["marketplace", "account_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("admit_time IS NOT NULL"),
    )
    op.create_index(
        "ix_live_jobs_tenant", "live_jobs", ["tenant_id", "job_id"], unique=False, schema="public"
    )
    op.create_index(
        "uq_live_jobs_slot",
        "live_jobs",
        ["account_id", "product_id"],
        unique=True,
        schema="public",
        postgresql_where=sa.text("admit_time IS NOT NULL AND product_id IS NOT NULL"),
    )
    op.create_index(
        "uq_live_jobs_subject",
        "live_jobs",
        ["account_id", "product_id", "action", "site"],
        unique=True,
        schema="public",
        postgresql_where=sa.text("state IN ('PENDING', 'RUNNING', 'PAUSED') AND NOT is_duplicate"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "marketplace_gates",
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("pause_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("max_admitted_jobs", sa.Integer(), nullable=True),
        sa.CheckConstraint("max_admitted_jobs > 0", name=op.f("ck_marketplace_gates_max_admitted_jobs")),
        sa.PrimaryKeyConstraint("marketplace", name=op.f("pk_marketplace_gates")),
        schema="public",
    )
    op.create_table(
        "marketplace_mappings",
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("attribute", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "attribute IN ('category', 'condition')", name=op.f("ck_marketplace_mappings_attribute")
        ),
        sa.CheckConstraint("source IN ('manifest', 'operator')", name=op.f("ck_marketplace_mappings_source")),
        sa.PrimaryKeyConstraint("marketplace", "attribute", "key", name=op.f("pk_marketplace_mappings")),
        schema="public",
    )
    op.create_table(
        "mutation_requests",
        sa.Column("tenant_id", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("result_id", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "request_id", name=op.f("pk_mutation_requests")),
        schema="public",
    )
    op.create_index(
        op.f("ix_mutation_requests_create_time"),
        "mutation_requests",
        ["create_time"],
        unique=False,
        schema="public",
    )
    op.create_table(
        "outbox",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_outbox")),
        schema="public",
    )
    op.create_index(op.f("ix_outbox_create_time"), "outbox", ["create_time"], unique=False, schema="public")
    op.create_table(
        "result_events",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column(
            "transaction_id",
            sa.BigInteger(),
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            nullable=False,
        ),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("ended_counts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_result_events")),
        schema="public",
    )
    op.create_index(
        "ix_result_events_create_time", "result_events", ["create_time"], unique=False, schema="public"
    )
    op.create_index(
        "ix_result_events_order",
        "result_events",
        ["transaction_id", "message_id"],
        unique=False,
        schema="public",
    )
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('PROVISIONING', 'READY')", name=op.f("ck_tenants_state")),
        sa.CheckConstraint("tenant_id > 0", name=op.f("ck_tenants_positive")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenants")),
        schema="public",
    )
    op.create_table(
        "live_tasks",
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
        sa.Column("dispatch_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("accepted_token", sa.Uuid(), nullable=True),
        sa.Column("output", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'RUNNING') = (lease_token IS NOT NULL)", name=op.f("ck_live_tasks_running_has_lease")
        ),
        sa.CheckConstraint(
            "(state IN ('COMPLETED', 'FAILED', 'CANCELLED')) = (finish_time IS NOT NULL)",
            name=op.f("ck_live_tasks_terminal_has_finish_time"),
        ),
        sa.CheckConstraint(
            "dispatch_time IS NULL OR state = 'PENDING'",
            name=op.f("ck_live_tasks_only_pending_is_dispatched"),
        ),
        sa.CheckConstraint(
            "state IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')",
            name=op.f("ck_live_tasks_state"),
        ),
        sa.CheckConstraint(
            "lease_token IS NULL OR deadline_time IS NOT NULL", name=op.f("ck_live_tasks_lease_has_deadline")
        ),
        sa.CheckConstraint(
            "deadline_time IS NULL OR lease_token IS NOT NULL OR dispatch_time IS NOT NULL",
            name=op.f("ck_live_tasks_idle_has_no_deadline"),
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (instance_id IS NULL)", name=op.f("ck_live_tasks_lease_has_holder")
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_expire_time IS NULL)", name=op.f("ck_live_tasks_lease_expires")
        ),
        sa.CheckConstraint(
            "(once_name IS NULL) = (settle_seconds IS NULL)", name=op.f("ck_live_tasks_once_settles")
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_live_tasks")),
        sa.UniqueConstraint(
            "job_id",
            "position",
            deferrable=True,
            initially="IMMEDIATE",
            name=op.f("uq_live_tasks_job_id_position"),
        ),
        schema="public",
    )
    op.create_index(
        "ix_live_tasks_deadline",
        "live_tasks",
        ["deadline_time"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("deadline_time IS NOT NULL"),
    )
    op.create_index(
        "ix_live_tasks_dispatch",
        "live_tasks",
        ["dispatch_time"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("dispatch_time IS NOT NULL"),
    )
    op.create_index(
        "ix_live_tasks_instance",
        "live_tasks",
        ["instance_id"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state = 'RUNNING'"),
    )
    op.create_index(
        "ix_live_tasks_lease",
        "live_tasks",
        ["lease_expire_time"],
        unique=False,
        schema="public",
        postgresql_where=sa.text("state = 'RUNNING'"),
    )

    categories = sa.table(
        "categories", sa.column("key", sa.Text()), sa.column("name", sa.Text()), schema="public"
    )
    op.bulk_insert(categories, [{"key": key, "name": name} for key, name in CATEGORIES])
