"""What a late report of an archived job says that it made."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.records import EffectKey
from stoflow_orchestrator.repositories import effect as effect_repository


async def keep_late_remote_id(
    pool: AsyncConnectionPool[AsyncConnection[Any]], key: EffectKey, remote_id: str
) -> None:
    """Records it, whichever job has begun the same effect since."""
    async with pool.connection() as connection, connection.transaction():
        now = await effect_repository.get_time(connection)
        for effect in await effect_repository.lock_effects(connection, [key]):
            changes = Changes(now)
            changes.keep_late_remote_id(effect, remote_id)
            if changes.changed_effects:
                await effect_repository.save_effects(connection, [effect])
            await effect_repository.add_late_remote_ids(connection, changes.late_remote_ids)
