"""Live batches: created, counted, cancelled and archived."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, sql

from stoflow_orchestrator.engine.batch_counts import BatchDelta
from stoflow_orchestrator.engine.new_batch import NewBatch
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.repositories.mutation import Mutation

Connection = AsyncConnection[Any]


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


# In the columns' order.
COUNTED_STATES = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)

# Locked in the order of their ids, like jobs. A batch whose ended jobs change must be live: the division fails, and
# the transaction with it, unless each was found.
_ADD_COUNTS: LiteralString = """
    WITH u AS (
        SELECT *, completed + failed + cancelled + expired AS ended,
               (completed, failed, cancelled, expired) <> (0, 0, 0, 0) AS is_counted
          FROM unnest(%b::uuid[], %b::boolean[], %b::int[], %b::int[], %b::int[], %b::int[])
            AS u(batch_id, is_started, completed, failed, cancelled, expired)
    ), locked AS MATERIALIZED (
        SELECT b.batch_id FROM public.live_batches AS b JOIN u USING (batch_id)
         WHERE u.is_counted OR b.start_time IS NULL
         ORDER BY b.batch_id FOR NO KEY UPDATE OF b
    ), updated AS (
        UPDATE public.live_batches AS b
           SET completed_count = b.completed_count + u.completed, failed_count = b.failed_count + u.failed,
               cancelled_count = b.cancelled_count + u.cancelled, expired_count = b.expired_count + u.expired,
               start_time = CASE WHEN u.is_started THEN coalesce(b.start_time, now()) ELSE b.start_time END,
               finish_time = CASE WHEN b.completed_count + b.failed_count + b.cancelled_count + b.expired_count
                                     + u.ended = b.total_count THEN now() END,
               is_cancelling = b.is_cancelling
                           AND b.completed_count + b.failed_count + b.cancelled_count + b.expired_count
                             + u.ended < b.total_count
          FROM locked JOIN u USING (batch_id)
         WHERE b.batch_id = u.batch_id
        RETURNING u.is_counted
    )
    SELECT 1 / (count(*) FILTER (WHERE is_counted) = %b)::int FROM updated"""

# Waits for a concurrent transaction with the same request_id.
_CLAIM: LiteralString = """
    INSERT INTO public.mutation_requests (tenant_id, request_id, method, body_sha256, result_id)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1"""

_FIND_CLAIMED: LiteralString = """
    SELECT tenant_id, request_id, method, body_sha256, result_id FROM public.mutation_requests
     WHERE tenant_id = %s AND request_id = %s"""

_SET_RESULT: LiteralString = """
    UPDATE public.mutation_requests SET result_id = %s WHERE tenant_id = %s AND request_id = %s"""

_INSERT: LiteralString = """
    INSERT INTO public.live_batches (batch_id, tenant_id, account_id, marketplace, action, total_count, create_time)
    VALUES (%s, %s, %s, %s, %s, %s, now()) RETURNING create_time"""

_FIND_SUBJECTS: LiteralString = """
    SELECT product_id, job_id FROM public.live_jobs
     WHERE account_id = %s AND product_id = ANY(%b) AND action = %s AND site = %s
       AND state IN ('PENDING', 'RUNNING', 'PAUSED') AND NOT is_duplicate"""

BATCH_COLUMNS = sql.SQL(
    "batch_id, account_id, marketplace, action, total_count, completed_count, failed_count, cancelled_count, "
    "expired_count, create_time, start_time, cancel_time, finish_time"
)

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

# A retry that reopens the batch at this moment holds its row: the condition is checked again on what it leaves.
_ARCHIVE = sql.SQL("""
    WITH moved AS (
        DELETE FROM public.live_batches AS b
         WHERE b.tenant_id = %s AND b.finish_time IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM public.live_jobs AS j WHERE j.batch_id = b.batch_id)
        RETURNING *
    )
    INSERT INTO {batches} ({columns}) SELECT {columns} FROM moved""")


async def claim(connection: Connection, mutation: Mutation) -> Mutation | None:
    """Records a request_id; returns the mutation that used it before, if one did."""
    parameters = (
        mutation.tenant_id,
        mutation.request_id,
        mutation.method,
        mutation.body_sha256,
        mutation.result_id,
    )
    cursor = await connection.execute(_CLAIM, parameters)
    if await cursor.fetchone() is not None:
        return None
    cursor = await connection.execute(_FIND_CLAIMED, (mutation.tenant_id, mutation.request_id))
    row = await cursor.fetchone()
    return None if row is None else Mutation(*row)


async def set_result(connection: Connection, mutation: Mutation, result_id: str) -> None:
    """Completes a mutation claimed in this transaction whose result was not known then."""
    await connection.execute(_SET_RESULT, (result_id, mutation.tenant_id, mutation.request_id))


async def insert(connection: Connection, batch: NewBatch) -> datetime:
    """Inserts the batch's own row; returns the transaction's time."""
    cursor = await connection.execute(
        _INSERT,
        (
            batch.batch_id,
            batch.tenant_id,
            batch.account_id,
            batch.marketplace,
            batch.action,
            len(batch.jobs),
        ),
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("an INSERT of one row returned none")
    create_time: datetime = row[0]
    return create_time


async def find_live_subjects(connection: Connection, batch: NewBatch) -> dict[UUID, UUID]:
    """Returns, by product, the live jobs that have the subjects of the batch's jobs."""
    product_ids = [job.product_id for job in batch.jobs]
    cursor = await connection.execute(
        _FIND_SUBJECTS, (batch.account_id, product_ids, batch.action, batch.site)
    )
    return dict(await cursor.fetchall())


async def cancel(connection: Connection, tenant_id: int, batch_id: UUID) -> bool:
    """Makes a live batch CANCELLED, its live jobs to be cancelled one by one; tells whether there is one."""
    cursor = await connection.execute(_CANCEL, (tenant_id, batch_id))
    return cursor.rowcount == 1


async def find_end(connection: Connection, tenant_id: int, batch_id: UUID) -> BatchEnd | None:
    """Tells whether a batch was cancelled and whether all its jobs ended, wherever it is."""
    statement = _FIND_END.format(batches=_table(tenant_id))
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


async def unarchive_batches(connection: Connection, tenant_id: int, job_ids: Collection[UUID]) -> None:
    """Moves the archived batches of jobs that were just moved back to the live tables after them."""
    # Only the archiver's deletion conflicts with this lock: once it is held, a batch is in one place or the other.
    await connection.execute(_SHARE_OF_JOBS, (list(job_ids),))
    statement = _UNARCHIVE.format(batches=_table(tenant_id), columns=BATCH_COLUMNS)
    await connection.execute(statement, (list(job_ids), tenant_id), prepare=False)


async def archive_batches(connection: Connection, tenant_id: int) -> int:
    """Moves the tenant's batches that ended and have no live jobs left to its schema; returns how many."""
    statement = _ARCHIVE.format(batches=_table(tenant_id), columns=BATCH_COLUMNS)
    cursor = await connection.execute(statement, (tenant_id,), prepare=False)
    return cursor.rowcount


async def add_counts(connection: Connection, deltas: Mapping[UUID, BatchDelta]) -> None:
    """Adds to the counts of live batches; the transaction fails with DivisionByZero if one is not there."""
    columns: list[list[Any]] = [list(deltas), [delta.is_started for delta in deltas.values()]]
    columns += [[delta.ended.get(state, 0) for delta in deltas.values()] for state in COUNTED_STATES]
    counted = sum(any(delta.ended.values()) for delta in deltas.values())
    await connection.execute(_ADD_COUNTS, [*columns, counted])


def _table(tenant_id: int) -> sql.Identifier:
    return sql.Identifier(tenant_schema(tenant_id), "batch_jobs")
