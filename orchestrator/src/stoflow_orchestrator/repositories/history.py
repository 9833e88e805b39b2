"""What became of jobs that were archived, and their way back to the live tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql

from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.repositories.archive import EVENT_COLUMNS, JOB_COLUMNS, TASK_COLUMNS
from stoflow_orchestrator.repositories.batch_archive import unarchive_batches

Connection = AsyncConnection[Any]

_FIND_STATE = sql.SQL("SELECT state FROM {jobs} WHERE job_id = %s")

# Who comes second finds the row gone and the job live.
_LOCK = sql.SQL("""
    SELECT job_id FROM {jobs} WHERE job_id = ANY(%s) AND state IN ('FAILED', 'EXPIRED')
     ORDER BY job_id FOR UPDATE""")

_COPY_JOBS = sql.SQL("""
    INSERT INTO public.live_jobs (tenant_id, next_time, {columns}) OVERRIDING SYSTEM VALUE
    SELECT %s, now(), {columns} FROM {source} WHERE job_id = ANY(%s)""")

_COPY = sql.SQL("INSERT INTO {target} ({columns}) SELECT {columns} FROM {source} WHERE job_id = ANY(%s)")

_DELETE = sql.SQL("DELETE FROM {jobs} WHERE job_id = ANY(%s)")


async def find_state(connection: Connection, tenant_id: int, job_id: UUID) -> JobState | None:
    """Returns the state of an archived job."""
    statement = _FIND_STATE.format(jobs=sql.Identifier(tenant_schema(tenant_id), "marketplace_jobs"))
    row = await (await connection.execute(statement, (job_id,), prepare=False)).fetchone()
    return None if row is None else JobState(row[0])


async def unarchive_jobs(connection: Connection, tenant_id: int, job_ids: Collection[UUID]) -> int:
    """Moves those of a tenant's archived jobs that failed or expired back to the live tables, as they ended.

    They are to begin another run in the same transaction, or the archiver takes them again. Returns how many.

    Raises:
        LockNotAvailable: The tenant is being migrated.
    """
    schema = tenant_schema(tenant_id)
    await connection.execute("SET LOCAL lock_timeout = '2s'")
    jobs = sql.Identifier(schema, "marketplace_jobs")
    cursor = await connection.execute(_LOCK.format(jobs=jobs), (list(job_ids),), prepare=False)
    found = [row[0] for row in await cursor.fetchall()]
    if found:
        copy_jobs = _COPY_JOBS.format(columns=JOB_COLUMNS, source=jobs)
        await connection.execute(copy_jobs, (tenant_id, found), prepare=False)
        for target, source, columns in (
            ("live_tasks", "marketplace_tasks", TASK_COLUMNS),
            ("live_events", "job_events", EVENT_COLUMNS),
        ):
            statement = _COPY.format(
                target=sql.Identifier("public", target),
                source=sql.Identifier(schema, source),
                columns=columns,
            )
            await connection.execute(statement, (found,), prepare=False)
        # Their tasks and events go with them.
        await connection.execute(_DELETE.format(jobs=jobs), (found,), prepare=False)
        await unarchive_batches(connection, tenant_id, found)
    await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
    return len(found)
