"""Reads batches wherever they are: live, or in their tenant's history.

Each read is one statement, so a batch that moves is seen exactly once and its counts belong together.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.repositories.batch_archive import BATCH_COLUMNS

Connection = AsyncConnection[Any]

# Jobs that have not ended are not counted in the batch's row: their states change too often for one row. Those that
# RUN are found among the account's slots, a few hundred rows, not among all jobs of the batch: OFFSET keeps
# PostgreSQL from turning that round.
_LIVE = sql.SQL("""
    SELECT b.*,
           (SELECT count(*)
              FROM (SELECT batch_id FROM public.live_jobs
                     WHERE marketplace = b.marketplace AND account_id = b.account_id AND admit_time IS NOT NULL
                       AND state = 'RUNNING' AND b.finish_time IS NULL OFFSET 0) AS r
             WHERE r.batch_id = b.batch_id) AS running_count,
           (SELECT count(*) FROM public.live_jobs
             WHERE batch_id = b.batch_id AND state = 'PAUSED' AND b.finish_time IS NULL) AS paused_count
      FROM ({live}) AS b""")

_FIND = sql.SQL("""
    {live}
    UNION ALL
    SELECT {columns}, 0, 0 FROM {batches} WHERE batch_id = %(batch_id)s""")

_FIND_LIVE = sql.SQL("""
    SELECT {columns} FROM public.live_batches WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s""")

# batch_id sorts by creation time, so it is order and page key in one.
_LIST = sql.SQL("""
    ({live})
    UNION ALL
    (SELECT {columns}, 0, 0 FROM {batches} WHERE {before} ORDER BY batch_id DESC LIMIT %(limit)s)
    ORDER BY batch_id DESC LIMIT %(limit)s""")

_LIST_LIVE = sql.SQL("""
    SELECT {columns} FROM public.live_batches WHERE tenant_id = %(tenant_id)s AND {before}
     ORDER BY batch_id DESC LIMIT %(limit)s""")


class BatchReader:
    """Reads the batches of tenants, with their counts."""

    def __init__(self, pool: AsyncConnectionPool[Connection]) -> None:
        self._pool = pool

    async def find(self, tenant_id: int, batch_id: UUID) -> Any | None:
        """Returns one batch."""
        live = _LIVE.format(live=_FIND_LIVE.format(columns=BATCH_COLUMNS))
        statement = _FIND.format(live=live, columns=BATCH_COLUMNS, batches=_table(tenant_id))
        rows = await self._fetch(statement, {"tenant_id": tenant_id, "batch_id": batch_id})
        return rows[0] if rows else None

    async def list_page(self, tenant_id: int, before: UUID | None, limit: int) -> list[Any]:
        """Returns the next batches, newest first.

        Args:
            tenant_id: Whose.
            before: The last batch of the page before.
            limit: Most rows.
        """
        narrowed = sql.SQL("true" if before is None else "batch_id < %(before)s")
        live = _LIVE.format(live=_LIST_LIVE.format(columns=BATCH_COLUMNS, before=narrowed))
        statement = _LIST.format(live=live, columns=BATCH_COLUMNS, before=narrowed, batches=_table(tenant_id))
        return await self._fetch(statement, {"tenant_id": tenant_id, "before": before, "limit": limit})

    async def _fetch(self, statement: sql.Composed, parameters: dict[str, Any]) -> list[Any]:
        with unavailable_when_unreachable():
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=namedtuple_row) as cursor,
            ):
                # Unprepared: each tenant has statements of its own.
                await cursor.execute(statement, parameters, prepare=False)
                return await cursor.fetchall()


def _table(tenant_id: int) -> sql.Identifier:
    return sql.Identifier(tenant_schema(tenant_id), "batch_jobs")
