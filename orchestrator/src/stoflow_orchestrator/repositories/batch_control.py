"""What cancelling and retrying whole batches need."""

from __future__ import annotations

from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, sql

from stoflow_orchestrator.migrations.runner import tenant_schema

Connection = AsyncConnection[Any]

# One whose jobs have all ended is left alone, unless it was cancelled before.
_CANCEL: LiteralString = """
    UPDATE public.live_batches
       SET cancel_time = coalesce(cancel_time, now()), is_cancelling = finish_time IS NULL
     WHERE tenant_id = %s AND batch_id = %s AND (finish_time IS NULL OR cancel_time IS NOT NULL)"""

_FIND_END = sql.SQL("""
    SELECT cancel_time IS NOT NULL, finish_time IS NOT NULL FROM public.live_batches
     WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s
    UNION ALL
    SELECT cancel_time IS NOT NULL, true FROM {batches} WHERE batch_id = %(batch_id)s""")

_LIST_CANCELLING: LiteralString = """
    SELECT j.job_id FROM public.live_batches AS b JOIN public.live_jobs AS j USING (batch_id)
     WHERE b.batch_id = %s AND b.is_cancelling AND j.state IN ('PENDING', 'RUNNING', 'PAUSED')
     ORDER BY j.job_id LIMIT %s"""

_LIST_FAILED = sql.SQL("""
    SELECT f.job_id, f.is_archived, f.is_leased, NOT f.is_duplicate AND EXISTS (
               SELECT 1 FROM public.live_jobs AS l
                WHERE l.account_id = f.account_id AND l.product_id IS NOT DISTINCT FROM f.product_id
                  AND l.action = f.action AND l.site = f.site
                  AND l.state IN ('PENDING', 'RUNNING', 'PAUSED') AND NOT l.is_duplicate)
      FROM (SELECT job_id, account_id, product_id, action, site, is_duplicate, false AS is_archived,
                   admit_time IS NOT NULL AS is_leased
              FROM public.live_jobs WHERE batch_id = %(batch_id)s AND state IN ('FAILED', 'EXPIRED')
            UNION ALL
            SELECT job_id, account_id, product_id, action, site, is_duplicate, true, false
              FROM {jobs} WHERE batch_id = %(batch_id)s AND state IN ('FAILED', 'EXPIRED')) AS f
     ORDER BY f.job_id""")


class BatchEnd(NamedTuple):
    """Whether a batch was cancelled, and whether all its jobs have ended."""

    is_cancelled: bool
    is_ended: bool


class FailedJob(NamedTuple):
    """A job that failed or expired.

    Attributes:
        is_leased: An attempt of it still runs.
        is_replaced: Another live job has its subject.
    """

    job_id: UUID
    is_archived: bool
    is_leased: bool
    is_replaced: bool


async def cancel(connection: Connection, tenant_id: int, batch_id: UUID) -> bool:
    """Makes a live batch CANCELLED, its live jobs to be cancelled one by one; tells whether there is one."""
    cursor = await connection.execute(_CANCEL, (tenant_id, batch_id))
    return cursor.rowcount == 1


async def find_end(connection: Connection, tenant_id: int, batch_id: UUID) -> BatchEnd | None:
    """Tells whether a batch was cancelled and whether all its jobs ended, wherever it is."""
    statement = _FIND_END.format(batches=sql.Identifier(tenant_schema(tenant_id), "batch_jobs"))
    parameters = {"tenant_id": tenant_id, "batch_id": batch_id}
    row = await (await connection.execute(statement, parameters, prepare=False)).fetchone()
    return None if row is None else BatchEnd(*row)


async def list_cancelling_jobs(connection: Connection, batch_id: UUID, limit: int) -> list[UUID]:
    """Returns jobs that a cancelled batch still has to cancel, oldest first."""
    cursor = await connection.execute(_LIST_CANCELLING, (batch_id, limit))
    return [row[0] for row in await cursor.fetchall()]


async def list_failed_jobs(connection: Connection, tenant_id: int, batch_id: UUID) -> list[FailedJob]:
    """Returns the jobs of a batch that failed or expired, in the order of their ids."""
    jobs = sql.Identifier(tenant_schema(tenant_id), "marketplace_jobs")
    cursor = await connection.execute(_LIST_FAILED.format(jobs=jobs), {"batch_id": batch_id}, prepare=False)
    return [FailedJob(*row) for row in await cursor.fetchall()]
