"""Messages that must reach JetStream."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

import uuid_utils.compat as uuid_utils
from psycopg import AsyncConnection

from stoflow_orchestrator.engine.publication import OutgoingEvents

Connection = AsyncConnection[Any]

# The events stay when the outbox has done its work: readers that come later find them there.
_APPEND: LiteralString = """
    WITH kept AS (
        INSERT INTO public.result_events (message_id, payload, ended_counts)
        SELECT u.message_id, u.payload, u.ended_counts::jsonb
          FROM unnest(%b::uuid[], %b::bytea[], %b::text[]) AS u(message_id, payload, ended_counts)
        RETURNING message_id
    )
    INSERT INTO public.outbox (message_id, subject) SELECT message_id, %s FROM kept"""

_FIND_LEFT: LiteralString = """
    SELECT message_id, o.subject, e.payload FROM public.outbox AS o JOIN public.result_events AS e USING (message_id)
     WHERE o.create_time < now() - make_interval(secs => %s)
     ORDER BY o.create_time LIMIT %s"""

_DELETE: LiteralString = "DELETE FROM public.outbox WHERE message_id = ANY(%b)"


async def append(
    connection: Connection, subject: str, payloads: Sequence[bytes], ended_counts: Mapping[str, int]
) -> list[OutgoingEvents]:
    """Stores messages for publication and for later readers.

    Args:
        connection: In the transaction of what they tell of.
        subject: Where they are published.
        payloads: Serialized batches of events, at least one.
        ended_counts: How many runs ended, by "marketplace/priority".
    """
    messages = [OutgoingEvents(uuid_utils.uuid7(), subject, payload) for payload in payloads]
    counts: list[str | None] = [None] * len(messages)
    if ended_counts:
        counts[0] = json.dumps(ended_counts)
    columns = ([m.message_id for m in messages], [m.payload for m in messages], counts)
    await connection.execute(_APPEND, (*columns, subject))
    return messages


async def find_left(connection: Connection, older_than_seconds: float, limit: int) -> list[OutgoingEvents]:
    """Returns messages that nobody has acknowledged for a while: their publisher died, or NATS is away."""
    cursor = await connection.execute(_FIND_LEFT, (older_than_seconds, limit))
    return [OutgoingEvents(*row) for row in await cursor.fetchall()]


async def delete(connection: Connection, message_ids: Collection[UUID]) -> None:
    """Forgets messages that JetStream has acknowledged."""
    await connection.execute(_DELETE, (list(message_ids),))
