"""Which jobs get the free slots of a marketplace."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

Connection = AsyncConnection[Any]

# A blocking lock: with a try-lock a pass that gives up loses the wake-up that it was meant to serve.
_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('admission:' || %s, 0))"

_COUNT_FREE: LiteralString = """
    SELECT (SELECT coalesce(sum(slots), 0) FROM public.connector_instances
             WHERE marketplace = %(marketplace)s AND expire_time > now())
         - (SELECT count(*) FROM public.live_jobs
             WHERE marketplace = %(marketplace)s AND admit_time IS NOT NULL)"""

# By priority, then oldest first; an earlier job for the same account and product goes before a later one, so that a
# publish and a delete end in the order in which they were asked for.
_FIND_CANDIDATES: LiteralString = """
    WITH ready AS (
        SELECT j.job_id, j.priority, j.sequence, j.account_id, g.max_admitted_jobs,
               row_number() OVER (PARTITION BY j.account_id ORDER BY j.priority, j.sequence) AS place
          FROM public.live_jobs AS j JOIN public.account_gates AS g USING (account_id)
         WHERE j.marketplace = %(marketplace)s AND j.state = 'PENDING' AND j.next_time <= now()
           AND j.expire_time > now()
           AND j.wait_reason IS DISTINCT FROM 'NEEDS_HUMAN' AND g.state = 'CONNECTED'
           AND NOT EXISTS (
                   SELECT 1 FROM public.live_jobs AS e
                    WHERE e.account_id = j.account_id AND e.product_id = j.product_id
                      AND (e.admit_time IS NOT NULL
                           OR e.sequence < j.sequence AND e.state IN ('PENDING', 'PAUSED')))
    )
    SELECT j.job_id
      FROM ready AS r JOIN public.live_jobs AS j USING (job_id)
     WHERE r.max_admitted_jobs IS NULL
        OR r.place + (SELECT count(*) FROM public.live_jobs AS a
                       WHERE a.account_id = r.account_id AND a.admit_time IS NOT NULL) <= r.max_admitted_jobs
     ORDER BY r.priority, r.sequence
     LIMIT %(limit)s"""


async def lock(connection: Connection, marketplace: str) -> None:
    """Makes passes over one marketplace follow one another."""
    await connection.execute(_LOCK, (marketplace,))


async def count_free_slots(connection: Connection, marketplace: str) -> int:
    """Returns the slots of live connectors less the jobs that hold one; may be negative."""
    cursor = await connection.execute(_COUNT_FREE, {"marketplace": marketplace})
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def find_candidates(connection: Connection, marketplace: str, limit: int) -> list[UUID]:
    """Returns the jobs to admit, in order."""
    parameters = {"marketplace": marketplace, "limit": limit}
    cursor = await connection.execute(_FIND_CANDIDATES, parameters)
    return [row[0] for row in await cursor.fetchall()]
