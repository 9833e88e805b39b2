"""Moves batches between the live table and their tenant's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, sql

from stoflow_orchestrator.migrations.runner import tenant_schema

Connection = AsyncConnection[Any]

BATCH_COLUMNS = sql.SQL(
    "batch_id, account_id, marketplace, action, total_count, completed_count, failed_count, cancelled_count, "
    "expired_count, create_time, start_time, cancel_time, finish_time"
)

_SHARE_OF_JOBS: LiteralString = """
    SELECT 1 FROM public.live_batches
     WHERE batch_id IN (SELECT batch_id FROM public.live_jobs WHERE job_id = ANY(%s))
     ORDER BY batch_id FOR KEY SHARE"""

_UNARCHIVE = sql.SQL("""
    WITH moved AS (
        DELETE FROM {batches}
         WHERE batch_id IN (SELECT batch_id FROM public.live_jobs WHERE job_id = ANY(%s))
        RETURNING *
    )
    INSERT INTO public.live_batches (tenant_id, {columns}) SELECT %s, {columns} FROM moved""")

_FIND_FINISHED: LiteralString = """
    SELECT DISTINCT b.tenant_id FROM public.live_batches AS b
     WHERE b.tenant_id = ANY(%s) AND b.finish_time IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM public.live_jobs AS j WHERE j.batch_id = b.batch_id)
     ORDER BY b.tenant_id"""

# A retry that reopens the batch at this moment holds its row: the condition is checked again on what it leaves.
_ARCHIVE = sql.SQL("""
    WITH moved AS (
        DELETE FROM public.live_batches AS b
         WHERE b.tenant_id = %s AND b.finish_time IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM public.live_jobs AS j WHERE j.batch_id = b.batch_id)
        RETURNING *
    )
    INSERT INTO {batches} ({columns}) SELECT {columns} FROM moved""")


async def find_finished(connection: Connection, tenant_ids: Sequence[int]) -> list[int]:
    """Returns those of the tenants that have batches which ended and have no live jobs left."""
    cursor = await connection.execute(_FIND_FINISHED, (list(tenant_ids),))
    return [row[0] for row in await cursor.fetchall()]


async def archive_batches(connection: Connection, tenant_id: int) -> None:
    """Moves the tenant's batches that ended and have no live jobs left to its schema."""
    statement = _ARCHIVE.format(batches=_table(tenant_id), columns=BATCH_COLUMNS)
    await connection.execute(statement, (tenant_id,), prepare=False)


async def unarchive_batches(connection: Connection, tenant_id: int, job_ids: Collection[UUID]) -> None:
    """Moves the archived batches of jobs that were just moved back to the live tables after them."""
    # Only the archiver's deletion conflicts with this lock: once it is held, a batch is in one place or the other.
    await connection.execute(_SHARE_OF_JOBS, (list(job_ids),))
    statement = _UNARCHIVE.format(batches=_table(tenant_id), columns=BATCH_COLUMNS)
    await connection.execute(statement, (list(job_ids), tenant_id), prepare=False)


def _table(tenant_id: int) -> sql.Identifier:
    return sql.Identifier(tenant_schema(tenant_id), "batch_jobs")
