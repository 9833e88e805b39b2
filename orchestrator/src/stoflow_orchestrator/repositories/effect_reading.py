"""Effects as operators see and settle them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row

Connection = AsyncConnection[Any]

_COLUMNS: LiteralString = """
    SELECT e.effect_id, e.tenant_id, e.account_id, e.product_id, e.site, e.name, e.state, e.generation, e.remote_id,
           e.job_id, e.task_id, e.last_send_time, e.update_time,
           array_remove(e.late_remote_ids, e.remote_id) AS late_remote_ids,
           coalesce(j.state = 'PENDING' AND j.wait_reason = 'NEEDS_HUMAN', false) AS needs_human
      FROM public.effects AS e LEFT JOIN public.live_jobs AS j USING (job_id)"""

_FIND: LiteralString = _COLUMNS + " WHERE e.effect_id = %s"

_IN_STATE: LiteralString = " WHERE e.state = %(state)s"
# The first half is the index's.
_LATE: LiteralString = """
     WHERE e.late_remote_ids <> '{}' AND array_remove(e.late_remote_ids, e.remote_id) <> '{}'
       AND %(state)s IN ('', e.state)"""

# Ids sort by the time of creation.
_NARROW: LiteralString = """
       AND e.effect_id > %(after)s
       AND (%(tenant_id)s = 0 OR e.tenant_id = %(tenant_id)s)
       AND (NOT %(needs_human)s OR j.state = 'PENDING' AND j.wait_reason = 'NEEDS_HUMAN')
     ORDER BY e.effect_id LIMIT %(limit)s"""

# Only as it was read: an attempt may have begun meanwhile.
_SETTLE: LiteralString = """
    UPDATE public.effects SET state = %(state)s, remote_id = %(remote_id)s, update_time = now(),
           mode = CASE %(state)s WHEN 'DONE' THEN 'ADOPT' ELSE 'EXECUTE' END
     WHERE effect_id = %(effect_id)s AND state = 'UNRESOLVED' AND task_id = %(task_id)s
    RETURNING 1"""


async def find(connection: Connection, effect_id: UUID) -> Any | None:
    """Returns one effect."""
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(_FIND, (effect_id,))
        return await cursor.fetchone()


async def list_page(
    connection: Connection,
    *,
    tenant_id: int,
    state: str,
    needs_human: bool,
    has_late: bool,
    after: UUID,
    limit: int,
) -> Sequence[Any]:
    """Returns effects, oldest first.

    Args:
        connection: On `public`.
        tenant_id: Whose; 0 for all tenants'.
        state: In which; empty for any, which needs `has_late`.
        needs_human: Only those whose job waits for a person.
        has_late: Only those of which late reports named other ids.
        after: The last effect of the page before.
        limit: Most rows.
    """
    statement = _COLUMNS + (_LATE if has_late else _IN_STATE) + _NARROW
    parameters = {
        "tenant_id": tenant_id,
        "state": state,
        "needs_human": needs_human,
        "after": after,
        "limit": limit,
    }
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


async def settle(connection: Connection, effect_id: UUID, task_id: UUID, state: str, remote_id: str) -> bool:
    """Settles an effect whose job is not live; tells whether it was unresolved."""
    parameters = {"effect_id": effect_id, "task_id": task_id, "state": state, "remote_id": remote_id}
    return await (await connection.execute(_SETTLE, parameters)).fetchone() is not None
