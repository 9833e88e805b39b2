"""The ledger of effects that must happen once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.engine.records import Effect, EffectKey

Connection = AsyncConnection[Any]

_LOCK_EFFECTS: LiteralString = """
    SELECT e.effect_id, e.account_id, e.product_id, e.site, e.name, e.tenant_id, e.state, e.mode, e.generation,
           e.remote_id, e.job_id, e.task_id, e.last_send_time
      FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::text[]) AS k(account_id, product_id, site, name)
      JOIN public.effects AS e USING (account_id, product_id, site, name)
     ORDER BY e.effect_id
       FOR UPDATE OF e"""

# The division fails, and the transaction with it, when another transaction has created one of them meanwhile.
_SAVE_EFFECTS: LiteralString = """
    WITH saved AS (
    INSERT INTO public.effects AS e (effect_id, account_id, product_id, site, name, tenant_id, state, mode,
                                     generation, remote_id, job_id, task_id, last_send_time, update_time)
    SELECT u.*, now()
      FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::bigint[], %b::text[],
                  %b::text[], %b::int[], %b::text[], %b::uuid[], %b::uuid[], %b::timestamptz[]) AS u
        ON CONFLICT (account_id, product_id, site, name) DO UPDATE
           SET state = excluded.state, mode = excluded.mode, generation = excluded.generation,
               remote_id = excluded.remote_id, job_id = excluded.job_id, task_id = excluded.task_id,
               last_send_time = excluded.last_send_time, update_time = now()
         WHERE e.effect_id = excluded.effect_id
    RETURNING 1
    )
    SELECT 1 / (count(*) = %b)::int FROM saved"""

_ADD_LATE_REMOTE_ID: LiteralString = """
    UPDATE public.effects SET late_remote_ids = late_remote_ids || %(remote_id)s::text, update_time = now()
     WHERE effect_id = %(effect_id)s AND NOT %(remote_id)s::text = ANY(late_remote_ids)"""


async def lock_effects(connection: Connection, keys: Collection[EffectKey]) -> list[Effect]:
    """Locks the effects that exist."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    cursor = await connection.execute(_LOCK_EFFECTS, columns)
    return [
        Effect(row[0], EffectKey(*row[1:5]), *row[5:])  # type: ignore[call-arg, unused-ignore]
        for row in await cursor.fetchall()
    ]


async def get_time(connection: Connection) -> datetime:
    """Returns when the transaction began, by PostgreSQL's clock."""
    cursor = await connection.execute("SELECT now()")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - for the type checker
    time: datetime = row[0]
    return time


async def add_late_remote_ids(connection: Connection, late: Iterable[tuple[UUID, str]]) -> None:
    """Keeps what late reports named, by effect; so rare that each is a statement of its own."""
    for effect_id, remote_id in late:
        await connection.execute(_ADD_LATE_REMOTE_ID, {"effect_id": effect_id, "remote_id": remote_id})


async def save_effects(connection: Connection, effects: Collection[Effect]) -> None:
    """Writes new and changed effects.

    The transaction fails with DivisionByZero if another one has created one of them since they were loaded.
    """
    rows = [
        (
            e.effect_id,
            *e.key,
            e.tenant_id,
            e.state,
            e.mode,
            e.generation,
            e.remote_id,
            e.job_id,
            e.task_id,
            e.last_send_time,
        )
        for e in effects
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    await connection.execute(_SAVE_EFFECTS, [*columns, len(rows)])
