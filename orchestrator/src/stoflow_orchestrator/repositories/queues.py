"""What operators see of queues and connectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row

Connection = AsyncConnection[Any]

_LIST_MARKETPLACES: LiteralString = """
    SELECT m.marketplace, coalesce(i.slots, 0)::bigint AS slots, g.max_admitted_jobs, g.pause_time,
           coalesce(g.pause_reason, '') AS pause_reason,
           CASE WHEN g.rate_limit_time > now() THEN g.rate_limit_time END AS rate_limit_time
      FROM (SELECT DISTINCT marketplace FROM public.connector_manifests) AS m
      LEFT JOIN (SELECT marketplace, sum(slots) AS slots FROM public.connector_instances
                  WHERE expire_time > now() AND drain_time IS NULL GROUP BY marketplace) AS i USING (marketplace)
      LEFT JOIN public.marketplace_gates AS g USING (marketplace)
     WHERE %(marketplace)s::text = '' OR m.marketplace = %(marketplace)s
     ORDER BY m.marketplace"""

# Whoever waits for nothing has no reason, and its time has come.
_COUNT_JOBS: LiteralString = """
    SELECT marketplace, priority, wait_reason,
           count(*) FILTER (WHERE state = 'PENDING') AS waiting,
           count(*) FILTER (WHERE admit_time IS NOT NULL) AS running,
           count(*) FILTER (WHERE state = 'PAUSED') AS paused,
           now() - min(queue_time) FILTER (
               WHERE state = 'PENDING' AND next_time <= queue_time AND wait_reason IS NULL) AS oldest_age
      FROM public.live_jobs
     WHERE (state IN ('PENDING', 'PAUSED') OR admit_time IS NOT NULL)
       AND (%(marketplace)s::text = '' OR marketplace = %(marketplace)s)
     GROUP BY marketplace, priority, wait_reason"""

_COUNT_ENDED: LiteralString = """
    SELECT split_part(c.key, '/', 1) AS marketplace, split_part(c.key, '/', 2)::int AS priority,
           sum(c.value::bigint)::bigint AS ended
      FROM public.result_events AS e CROSS JOIN LATERAL jsonb_each_text(e.ended_counts) AS c
     WHERE e.create_time > now() - interval '1 minute' AND e.ended_counts IS NOT NULL
     GROUP BY 1, 2"""

_LIST_CONNECTORS: LiteralString = """
    SELECT i.instance_id, i.marketplace, i.versions, i.slots, i.drain_time, i.register_time, i.expire_time,
           (SELECT count(*) FROM public.live_jobs AS j
              JOIN public.live_tasks AS t ON t.job_id = j.job_id AND t.position = j.task_position
             WHERE j.marketplace = i.marketplace AND j.admit_time IS NOT NULL
               AND t.instance_id = i.instance_id AND t.state = 'RUNNING')::int AS running_tasks
      FROM public.connector_instances AS i
     WHERE i.expire_time > now()
       AND (%(marketplace)s::text = '' OR i.marketplace = %(marketplace)s)
       AND (%(instance_id)s::uuid IS NULL OR i.instance_id = %(instance_id)s)
     ORDER BY i.marketplace, i.instance_id"""

_DRAIN: LiteralString = """
    UPDATE public.connector_instances SET drain_time = coalesce(drain_time, now())
     WHERE instance_id = %s AND expire_time > now() RETURNING marketplace"""


async def list_marketplaces(connection: Connection, marketplace: str) -> Sequence[Any]:
    """Returns every registered marketplace, or one, with its slots and gate."""
    return await _fetch(connection, _LIST_MARKETPLACES, {"marketplace": marketplace})


async def count_jobs(connection: Connection, marketplace: str) -> Sequence[Any]:
    """Returns how many live jobs there are by marketplace, priority and reason to wait."""
    return await _fetch(connection, _COUNT_JOBS, {"marketplace": marketplace})


async def count_ended(connection: Connection) -> dict[tuple[str, int], int]:
    """Returns how many runs ended within the last minute, by marketplace and priority."""
    rows = await _fetch(connection, _COUNT_ENDED, {})
    return {(row.marketplace, row.priority): row.ended for row in rows}


async def list_connectors(
    connection: Connection, marketplace: str = "", instance_id: UUID | None = None
) -> Sequence[Any]:
    """Returns the connectors whose registration holds."""
    return await _fetch(
        connection, _LIST_CONNECTORS, {"marketplace": marketplace, "instance_id": instance_id}
    )


async def drain(connection: Connection, instance_id: UUID) -> str | None:
    """Takes a live connector out of service; returns its marketplace, or None when it is not alive."""
    row = await (await connection.execute(_DRAIN, (instance_id,))).fetchone()
    return None if row is None else str(row[0])


async def _fetch(
    connection: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> Sequence[Any]:
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()
