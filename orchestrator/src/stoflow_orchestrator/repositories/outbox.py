"""Messages that must reach JetStream."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.engine.publication import OutgoingEvents

Connection = AsyncConnection[Any]

_FIND_LEFT: LiteralString = """
    SELECT message_id, o.subject, e.payload FROM public.outbox AS o JOIN public.result_events AS e USING (message_id)
     WHERE o.create_time < now() - make_interval(secs => %s)
     ORDER BY o.create_time LIMIT %s"""

_DELETE: LiteralString = "DELETE FROM public.outbox WHERE message_id = ANY(%b)"


async def find_left(connection: Connection, older_than_seconds: float, limit: int) -> list[OutgoingEvents]:
    """Returns messages that nobody has acknowledged for a while: their publisher died, or NATS is away."""
    cursor = await connection.execute(_FIND_LEFT, (older_than_seconds, limit))
    return [OutgoingEvents(*row) for row in await cursor.fetchall()]


async def delete(connection: Connection, message_ids: Collection[UUID]) -> None:
    """Forgets messages that JetStream has acknowledged."""
    await connection.execute(_DELETE, (list(message_ids),))
