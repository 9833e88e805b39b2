"""What is in the database, read without the service's code."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.integration.stats_service.events import JOB_COLUMNS, TASK_COLUMNS


def stored_rows(database_url: str) -> dict[str, dict[Any, tuple[Any, ...]]]:
    """Returns the three tables of counters, shaped as `recount` shapes them."""
    key = "tenant_id, hour, marketplace, action"
    where = "WHERE generation = (SELECT generation FROM stats.generations WHERE state = 'ACTIVE')"
    queries = {
        "jobs": (4, f"SELECT {key}, {JOB_COLUMNS} FROM stats.marketplace_job_stats {where}"),
        "tasks": (5, f"SELECT {key}, task_name, {TASK_COLUMNS} FROM stats.marketplace_task_stats {where}"),
        "errors": (
            7,
            f"SELECT {key}, scope, error_class, code, error_count FROM stats.marketplace_error_stats {where}",
        ),
    }
    with psycopg.connect(database_url) as connection:
        return {
            name: {row[:width]: row[width:] for row in connection.execute(query.encode()).fetchall()}
            for name, (width, query) in queries.items()
        }


def counted_events(database_url: str) -> int:
    """Returns how many events are remembered as counted; 0 while there is no table."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT to_regclass('stats.generations')").fetchone()
        if row is None or row[0] is None:
            return 0
        counted = connection.execute(
            "SELECT count(*) FROM stats.counted_events JOIN stats.generations USING (generation)"
            " WHERE state = 'ACTIVE'"
        ).fetchone()
    assert counted is not None
    return int(counted[0])


def total_runs(database_url: str) -> int:
    """Returns the sum of all runs in the counters."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(total_count), 0) FROM stats.marketplace_job_stats"
            " JOIN stats.generations USING (generation) WHERE state = 'ACTIVE'"
        ).fetchone()
    assert row is not None
    return int(row[0])
