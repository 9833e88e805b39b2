"""Batches: counted while they live, archived once every job of theirs is, and read wherever they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.engine.batch_counts import BatchDelta
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
         ORDER BY b.batch_id FOR UPDATE OF b
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


async def add_counts(connection: Connection, deltas: Mapping[UUID, BatchDelta]) -> None:
    """Adds to the counts of live batches; the transaction fails with DivisionByZero if one is not there."""
    columns: list[list[Any]] = [list(deltas), [delta.is_started for delta in deltas.values()]]
    columns += [[delta.ended.get(state, 0) for delta in deltas.values()] for state in COUNTED_STATES]
    counted = sum(any(delta.ended.values()) for delta in deltas.values())
    await connection.execute(_ADD_COUNTS, [*columns, counted])
