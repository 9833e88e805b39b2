"""Moves jobs that ended from the live tables to their tenant's schema, and batches after the last of their jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, sql

from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.repositories.batch_archive import archive_batches, find_finished

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

# One hindered tenant must not hold up the others for long.
_LOCK_TIMEOUTS: dict[bool, LiteralString] = {
    True: "SET LOCAL lock_timeout = '2s'",
    False: "SET LOCAL lock_timeout = '100ms'",
}

_PICK: LiteralString = """
    SELECT tenant_id, job_id FROM public.live_jobs
     WHERE tenant_id = ANY(%s) AND state IN ('COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED') AND admit_time IS NULL
     ORDER BY job_id LIMIT %s FOR UPDATE SKIP LOCKED"""

_COPY = sql.SQL("INSERT INTO {target} ({columns}) SELECT {columns} FROM {source} WHERE job_id = ANY(%s)")


async def archive_jobs(connection: Connection, tenant_ids: Sequence[int], limit: int) -> int:
    """Moves up to `limit` ended jobs of some tenants, and the batches that ended with them; returns how many jobs.

    Readers see each job exactly once: copying and deleting are one transaction. Called in a pipeline, since most
    tenants have few jobs and statements of their own.

    Raises:
        psycopg.errors.LockNotAvailable: A tenant is being migrated; sooner where there are several.
    """
    await connection.execute(_LOCK_TIMEOUTS[len(tenant_ids) == 1])
    picked = await connection.execute(_PICK, (list(tenant_ids), limit))
    by_tenant: dict[int, list[UUID]] = {}
    for tenant_id, job_id in await picked.fetchall():
        by_tenant.setdefault(tenant_id, []).append(job_id)
    # Everybody takes tenants in this order.
    for tenant_id in sorted(by_tenant):
        await _copy_jobs(connection, tenant_id, by_tenant[tenant_id])
    job_ids = [job_id for mine in by_tenant.values() for job_id in mine]
    if job_ids:
        for source in ("live_events", "live_tasks", "live_jobs"):
            statement = sql.SQL("DELETE FROM {source} WHERE job_id = ANY(%s)").format(
                source=sql.Identifier("public", source)
            )
            await connection.execute(statement, (job_ids,))
    # All of the tenants: one may be named for a batch whose last jobs another process moved at the same time.
    for tenant_id in await find_finished(connection, tenant_ids):
        await archive_batches(connection, tenant_id)
    return len(job_ids)


async def _copy_jobs(connection: Connection, tenant_id: int, job_ids: Sequence[UUID]) -> None:
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
