"""The history of result events, over all tenants, in the order of their transactions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

Connection = AsyncConnection[Any]

# Ids below the oldest open transaction are complete: nothing can appear among them any more. The bounds spare a reader
# of some days the rest: a thousand groups are far more than can be open at once, so none outside them has an id inside.
_READ: LiteralString = """
    SELECT e.transaction_id, e.message_id, e.payload
      FROM public.result_events AS e
     WHERE e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
       AND (e.transaction_id, e.message_id) >= (%(transaction_id)s::bigint, %(message_id)s::uuid)
       AND e.transaction_id >= coalesce(
               (SELECT min(f.transaction_id)
                  FROM (SELECT transaction_id FROM public.result_events
                         WHERE create_time >= %(from_time)s::timestamptz ORDER BY create_time LIMIT 1000) AS f), 0)
       AND e.transaction_id <= coalesce(
               (SELECT max(l.transaction_id)
                  FROM (SELECT transaction_id FROM public.result_events
                         WHERE create_time < %(to_time)s::timestamptz ORDER BY create_time DESC LIMIT 1000) AS l),
               9223372036854775807)
       AND (%(from_time)s::timestamptz IS NULL OR e.create_time >= %(from_time)s)
       AND (%(to_time)s::timestamptz IS NULL OR e.create_time < %(to_time)s)
     ORDER BY e.transaction_id, e.message_id LIMIT %(limit)s"""


class Position(NamedTuple):
    """Where a reader stands: behind the first `taken` events of a message."""

    transaction_id: int
    message_id: UUID
    taken: int


START = Position(0, UUID(int=0), 0)


class EventsRow(NamedTuple):
    """One message."""

    transaction_id: int
    message_id: UUID
    payload: bytes


async def read(
    connection: Connection,
    start: Position,
    from_time: datetime | None,
    to_time: datetime | None,
    limit: int,
) -> list[EventsRow]:
    """Returns messages from the one at which the reader stands."""
    parameters = {
        "transaction_id": start.transaction_id,
        "message_id": start.message_id,
        "from_time": from_time,
        "to_time": to_time,
        "limit": limit,
    }
    cursor = await connection.execute(_READ, parameters)
    return [EventsRow(*row) for row in await cursor.fetchall()]
