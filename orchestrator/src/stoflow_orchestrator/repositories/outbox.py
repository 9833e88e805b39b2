"""Messages that must reach JetStream."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, LiteralString

import uuid_utils
from psycopg import AsyncConnection

from stoflow_orchestrator.engine.publication import OutgoingEvents

Connection = AsyncConnection[Any]

_APPEND: LiteralString = """
    INSERT INTO public.outbox (message_id, subject, payload)
    SELECT u.message_id, %s, u.payload FROM unnest(%s::text[], %s::bytea[]) AS u(message_id, payload)
    RETURNING outbox_id, message_id"""

_FIND_LEFT: LiteralString = """
    SELECT outbox_id, subject, message_id, payload FROM public.outbox
     WHERE create_time < now() - make_interval(secs => %s)
     ORDER BY outbox_id LIMIT %s"""

_DELETE: LiteralString = "DELETE FROM public.outbox WHERE outbox_id = ANY(%s)"


async def append(connection: Connection, subject: str, payloads: Sequence[bytes]) -> list[OutgoingEvents]:
    """Stores messages for publication."""
    messages = {str(uuid_utils.uuid7()): payload for payload in payloads}
    cursor = await connection.execute(_APPEND, (subject, list(messages), list(messages.values())))
    return [
        OutgoingEvents(outbox_id, subject, message_id, messages[message_id])
        for outbox_id, message_id in await cursor.fetchall()
    ]


async def find_left(connection: Connection, older_than_seconds: float, limit: int) -> list[OutgoingEvents]:
    """Returns messages that nobody has acknowledged for a while: their publisher died, or NATS is away."""
    cursor = await connection.execute(_FIND_LEFT, (older_than_seconds, limit))
    return [OutgoingEvents(*row) for row in await cursor.fetchall()]


async def delete(connection: Connection, outbox_ids: Collection[int]) -> None:
    """Forgets messages that JetStream has acknowledged."""
    await connection.execute(_DELETE, (list(outbox_ids),))
