"""Messages that must reach JetStream."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, LiteralString
from uuid import UUID

import uuid_utils.compat as uuid_utils
from psycopg import AsyncConnection

from stoflow_orchestrator.engine.publication import OutgoingEvents

Connection = AsyncConnection[Any]

_APPEND: LiteralString = """
    INSERT INTO public.outbox (message_id, subject, payload)
    SELECT u.message_id, %s, u.payload FROM unnest(%b::uuid[], %b::bytea[]) AS u(message_id, payload)"""

_FIND_LEFT: LiteralString = """
    SELECT message_id, subject, payload FROM public.outbox
     WHERE create_time < now() - make_interval(secs => %s)
     ORDER BY create_time LIMIT %s"""

_DELETE: LiteralString = "DELETE FROM public.outbox WHERE message_id = ANY(%b)"


async def append(connection: Connection, subject: str, payloads: Sequence[bytes]) -> list[OutgoingEvents]:
    """Stores messages for publication."""
    messages = [OutgoingEvents(uuid_utils.uuid7(), subject, payload) for payload in payloads]
    columns = ([m.message_id for m in messages], [m.payload for m in messages])
    await connection.execute(_APPEND, (subject, *columns))
    return messages


async def find_left(connection: Connection, older_than_seconds: float, limit: int) -> list[OutgoingEvents]:
    """Returns messages that nobody has acknowledged for a while: their publisher died, or NATS is away."""
    cursor = await connection.execute(_FIND_LEFT, (older_than_seconds, limit))
    return [OutgoingEvents(*row) for row in await cursor.fetchall()]


async def delete(connection: Connection, message_ids: Collection[UUID]) -> None:
    """Forgets messages that JetStream has acknowledged."""
    await connection.execute(_DELETE, (list(message_ids),))
