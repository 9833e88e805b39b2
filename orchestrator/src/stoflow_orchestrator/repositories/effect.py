"""The ledger of effects that must happen once."""

from __future__ import annotations

from collections.abc import Collection
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

_KEEP_LATE_REMOTE_ID: LiteralString = """
    WITH kept AS (
        UPDATE public.effects SET remote_id = %(remote_id)s, update_time = now()
         WHERE task_id = %(task_id)s AND state = 'UNRESOLVED'
    )
    SELECT remote_id FROM public.effects
     WHERE task_id = %(task_id)s AND state = 'DONE' AND remote_id <> %(remote_id)s"""


async def lock_effects(connection: Connection, keys: Collection[EffectKey]) -> list[Effect]:
    """Locks the effects that exist."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    cursor = await connection.execute(_LOCK_EFFECTS, columns)
    return [
        Effect(row[0], EffectKey(*row[1:5]), *row[5:])  # type: ignore[call-arg, unused-ignore]
        for row in await cursor.fetchall()
    ]


async def keep_late_remote_id(connection: Connection, task_id: UUID, remote_id: str) -> str | None:
    """Stores what a stale report of an archived job says that it made, where nothing else is known.

    Returns:
        The remote id that is recorded as done, if it is another one: the effect happened twice.
    """
    cursor = await connection.execute(_KEEP_LATE_REMOTE_ID, {"task_id": task_id, "remote_id": remote_id})
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


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
