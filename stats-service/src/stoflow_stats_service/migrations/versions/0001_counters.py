"""Counted events and the three tables of counters.

Runs before the code that needs it.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

SCHEMA = "stats"
WHOLE_HOUR = "extract(epoch from hour)::bigint % 3600 = 0"


def upgrade() -> None:
    op.create_table(
        "counted_events",
        _name("event_id"),
        sa.Column("count_time", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_counted_events"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_counted_events_count_time",
        "counted_events",
        ["count_time"],
        schema=SCHEMA,
        postgresql_using="brin",
    )
    _create_job_stats()
    _create_task_stats()
    _create_error_stats()


def _create_job_stats() -> None:
    counts = ("total", "success", "failure", "cancelled", "expired", "retried")
    _create_counters(
        "marketplace_job_stats",
        [],
        [
            *(_figure(f"{name}_count") for name in counts),
            *_durations("run"),
            _figure("queue_count"),
            _figure("queue_us_sum"),
        ],
        {
            "every_run_ended": "total_count"
            " = success_count + failure_count + cancelled_count + expired_count",
            "plausible": "total_count > 0 AND queue_us_sum >= 0"
            " AND least(success_count, failure_count, cancelled_count, expired_count, retried_count) >= 0"
            " AND greatest(retried_count, run_count, queue_count) <= total_count",
            "run_measured": _measured("run"),
        },
    )


def _create_task_stats() -> None:
    counts = ("attempt", "completed", "retried", "failed")
    _create_counters(
        "marketplace_task_stats",
        [_name("task_name")],
        [*(_figure(f"{name}_count") for name in counts), *_durations("duration")],
        {
            "every_attempt_ended": "attempt_count = completed_count + retried_count + failed_count",
            "plausible": "attempt_count > 0 AND least(completed_count, retried_count, failed_count) >= 0"
            " AND duration_count <= attempt_count",
            "duration_measured": _measured("duration"),
        },
    )


def _create_error_stats() -> None:
    _create_counters(
        "marketplace_error_stats",
        [_name("scope"), sa.Column("error_class", sa.Integer, nullable=False), _name("code")],
        [_figure("error_count")],
        {"scope": "scope IN ('RUN', 'ATTEMPT')", "plausible": "error_count > 0"},
    )


def _create_counters(
    table: str, key: list[sa.Column[Any]], figures: list[sa.Column[int]], checks: dict[str, str]
) -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        _name("marketplace"),
        _name("action"),
        *key,
    ]
    # op.f: the names are final, no naming convention is applied to them.
    constraints = [
        sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))
        for name, condition in {"whole_hour": WHOLE_HOUR, **checks}.items()
    ]
    primary_key = sa.PrimaryKeyConstraint(*(column.name for column in columns), name=op.f(f"pk_{table}"))
    op.create_table(table, *columns, *figures, primary_key, *constraints, schema=SCHEMA)


def _name(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _figure(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _durations(prefix: str) -> list[sa.Column[int]]:
    return [
        _figure(f"{prefix}_count"),
        _figure(f"{prefix}_us_sum"),
        _figure(f"{prefix}_us_min", nullable=True),
        _figure(f"{prefix}_us_max", nullable=True),
    ]


def _measured(prefix: str) -> str:
    return (
        f"({prefix}_count = 0 AND {prefix}_us_sum = 0 AND num_nulls({prefix}_us_min, {prefix}_us_max) = 2)"
        f" OR ({prefix}_count > 0 AND num_nulls({prefix}_us_min, {prefix}_us_max) = 0"
        f" AND {prefix}_us_min >= 0 AND {prefix}_us_max >= {prefix}_us_min"
        f" AND {prefix}_us_sum >= {prefix}_us_max)"
    )
