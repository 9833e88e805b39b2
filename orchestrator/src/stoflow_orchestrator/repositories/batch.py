"""Live batches: created with their jobs, counted as those end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.engine.batch_counts import BatchDelta
from stoflow_orchestrator.engine.new_batch import NewBatch
from stoflow_orchestrator.lifecycle import JobState

Connection = AsyncConnection[Any]


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

_INSERT: LiteralString = """
    INSERT INTO public.live_batches (batch_id, tenant_id, account_id, marketplace, action, total_count, create_time)
    VALUES (%s, %s, %s, %s, %s, %s, now()) RETURNING create_time"""

_FIND_SUBJECTS: LiteralString = """
    SELECT product_id, job_id FROM public.live_jobs
     WHERE account_id = %s AND product_id = ANY(%b) AND action = %s AND site = %s
       AND state IN ('PENDING', 'RUNNING', 'PAUSED') AND NOT is_duplicate"""


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


async def add_counts(connection: Connection, deltas: Mapping[UUID, BatchDelta]) -> None:
    """Adds to the counts of live batches; the transaction fails with DivisionByZero if one is not there."""
    columns: list[list[Any]] = [list(deltas), [delta.is_started for delta in deltas.values()]]
    columns += [[delta.ended.get(state, 0) for delta in deltas.values()] for state in COUNTED_STATES]
    counted = sum(any(delta.ended.values()) for delta in deltas.values())
    await connection.execute(_ADD_COUNTS, [*columns, counted])
