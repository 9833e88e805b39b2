"""Generations of figures, sketches, the hour of each counted event, and days that were reconciled.

Runs before the code that needs it. Replicas of the release before cannot count beside it: what they pull comes again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

SCHEMA = "stats"
KEYS = {
    "counted_events": ("event_id",),
    "marketplace_job_stats": ("tenant_id", "hour", "marketplace", "action"),
    "marketplace_task_stats": ("tenant_id", "hour", "marketplace", "action", "task_name"),
    "marketplace_error_stats": (
        *("tenant_id", "hour", "marketplace", "action"),
        *("scope", "error_class", "code"),
    ),
}
SKETCHES = {
    "marketplace_job_stats": ("run_sketch", "queue_sketch"),
    "marketplace_task_stats": ("duration_sketch",),
}


def upgrade() -> None:
    _create_generations()
    _create_reconciled_days()
    _add_hour_to_counted_events()
    for table, key in KEYS.items():
        # Everything that is there is the first generation.
        op.add_column(
            table, sa.Column("generation", sa.BigInteger, nullable=False, server_default="1"), schema=SCHEMA
        )
        op.alter_column(table, "generation", server_default=None, schema=SCHEMA)
        op.drop_constraint(f"pk_{table}", table, schema=SCHEMA)
        op.create_primary_key(f"pk_{table}", table, ["generation", *key], schema=SCHEMA)
        op.create_index(f"ix_{table}_hour", table, ["hour"], schema=SCHEMA, postgresql_using="brin")
    for table, columns in SKETCHES.items():
        for column in columns:
            op.add_column(table, sa.Column(column, ARRAY(sa.BigInteger)), schema=SCHEMA)
    _add_queue_range()


def _create_generations() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "generations",
        sa.Column("generation", sa.BigInteger, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("start_hour", time, nullable=False),
        sa.Column("hours_start", time, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("request_digest", sa.Text),
        sa.Column("first_day", time),
        sa.Column("drop_unlisted", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("page_token", sa.Text, nullable=False, server_default=""),
        sa.Column("event_count", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("problem", sa.Text, nullable=False, server_default=""),
        sa.Column("create_time", time, nullable=False, server_default=sa.func.now()),
        sa.Column("finish_time", time),
        sa.PrimaryKeyConstraint("generation", name=op.f("pk_generations")),
        sa.CheckConstraint(
            "state IN ('BUILDING', 'ACTIVE', 'RETIRED', 'FAILED')", name=op.f("ck_generations_state")
        ),
        sa.CheckConstraint(
            "(state = 'BUILDING') = (finish_time IS NULL)", name=op.f("ck_generations_finished")
        ),
        sa.CheckConstraint(
            "extract(epoch from hours_start)::bigint % 86400 = 0"
            " AND extract(epoch from start_hour)::bigint % 3600 = 0",
            name=op.f("ck_generations_whole_days"),
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_generations_request_id", "generations", ["request_id"], unique=True, schema=SCHEMA)
    for state in ("active", "building"):
        op.create_index(
            f"ix_generations_{state}",
            "generations",
            ["state"],
            unique=True,
            schema=SCHEMA,
            postgresql_where=sa.text(f"state = '{state.upper()}'"),
        )
    op.execute(
        "INSERT INTO stats.generations (generation, state, start_hour, hours_start, finish_time)"
        " VALUES (1, 'ACTIVE', '1970-01-01 00:00Z', '1970-01-01 00:00Z', now())"
    )


def _create_reconciled_days() -> None:
    op.create_table(
        "reconciled_days",
        sa.Column("day", sa.Date),
        sa.Column("check_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("event_count", sa.BigInteger, nullable=False),
        sa.Column("difference_count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_reconciled_days")),
        schema=SCHEMA,
    )


def _add_hour_to_counted_events() -> None:
    op.add_column("counted_events", sa.Column("hour", sa.DateTime(timezone=True)), schema=SCHEMA)
    # When they occurred is not known any more; they were counted soon after.
    op.execute("UPDATE stats.counted_events SET hour = date_trunc('hour', count_time, 'UTC')")
    op.alter_column("counted_events", "hour", nullable=False, schema=SCHEMA)
    op.drop_index("ix_counted_events_count_time", "counted_events", schema=SCHEMA)
    op.drop_column("counted_events", "count_time", schema=SCHEMA)


def _add_queue_range() -> None:
    for column in ("queue_us_min", "queue_us_max"):
        op.add_column("marketplace_job_stats", sa.Column(column, sa.BigInteger), schema=SCHEMA)
    op.create_check_constraint(
        op.f("ck_marketplace_job_stats_queue_measured"),
        "marketplace_job_stats",
        "num_nulls(queue_us_min, queue_us_max) IN (0, 2) AND (queue_us_min IS NULL"
        " OR (queue_count > 0 AND queue_us_min >= 0 AND queue_us_max >= queue_us_min))",
        schema=SCHEMA,
    )
