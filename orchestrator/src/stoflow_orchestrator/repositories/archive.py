"""Moves jobs that ended from the live tables to their tenant's schema, and batches after the last of their jobs."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection, sql

from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.repositories.batch_archive import archive_batches

Connection = AsyncConnection[Any]

JOB_COLUMNS = sql.SQL(
    "job_id, sequence, marketplace, account_id, product_id, batch_id, site, action, manifest_version, assignment, "
    "is_duplicate, priority, max_retries, state, run, task_position, failure, event_sequence, not_before_time, "
    "expire_time, create_time, queue_time, start_time, finish_time"
)
TASK_COLUMNS = sql.SQL(
    "task_id, job_id, position, name, item_index, once_name, settle_seconds, start_to_close_seconds, "
    "schedule_to_start_seconds, input, state, attempt_count, failure_count, dispatch, accepted_token, output, "
    "failure, start_time, finish_time"
)
EVENT_COLUMNS = sql.SQL(
    "job_id, sequence, type, occur_time, job_state, wait_reason, task_position, task_name, attempt, failure, actor"
)

_PICK = """
    SELECT job_id, batch_id FROM public.live_jobs
     WHERE tenant_id = %s AND state IN ('COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED') AND admit_time IS NULL
     ORDER BY job_id LIMIT %s FOR UPDATE SKIP LOCKED"""

_COPY = sql.SQL("INSERT INTO {target} ({columns}) SELECT {columns} FROM {source} WHERE job_id = ANY(%s)")


async def archive_jobs(connection: Connection, tenant_id: int, limit: int) -> int:
    """Moves up to `limit` ended jobs of one tenant; returns how many.

    Readers see each job exactly once: copying and deleting are one transaction.
    """
    await connection.execute("SET LOCAL lock_timeout = '2s'")
    rows = await (await connection.execute(_PICK, (tenant_id, limit))).fetchall()
    job_ids = [row[0] for row in rows]
    if not job_ids:
        # Named for a batch whose last jobs another process moved at the same time.
        await archive_batches(connection, tenant_id)
        return 0
    schema = tenant_schema(tenant_id)
    for table, source, columns in (
        ("marketplace_jobs", "live_jobs", JOB_COLUMNS),
        ("marketplace_tasks", "live_tasks", TASK_COLUMNS),
        ("job_events", "live_events", EVENT_COLUMNS),
    ):
        statement = _COPY.format(
            target=sql.Identifier(schema, table), source=sql.Identifier("public", source), columns=columns
        )
        await connection.execute(statement, (job_ids,), prepare=False)
    for source in ("live_events", "live_tasks", "live_jobs"):
        statement = sql.SQL("DELETE FROM {source} WHERE job_id = ANY(%s)").format(
            source=sql.Identifier("public", source)
        )
        await connection.execute(statement, (job_ids,))
    if any(row[1] is not None for row in rows):
        await archive_batches(connection, tenant_id)
    return len(job_ids)
