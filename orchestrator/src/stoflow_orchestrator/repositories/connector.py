"""Manifests and live connector instances, as the engine reads and writes them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from stoflow_orchestrator.engine.records import Instance

Connection = AsyncConnection[Any]

_LIST_INSTANCES: LiteralString = """
    SELECT instance_id, marketplace, versions, expire_time, drain_time IS NOT NULL FROM public.connector_instances
     WHERE instance_id = ANY(%s) AND expire_time > now()"""

# A version that is registered again is the newest again: its times plan, not those of a variant tried in between.
_STORE_MANIFEST: LiteralString = """
    INSERT INTO public.connector_manifests (marketplace, version, manifest) VALUES (%s, %s, %s)
        ON CONFLICT (marketplace, version) DO UPDATE SET register_time = now()"""

_REPLACE_MANIFEST: LiteralString = """
    UPDATE public.connector_manifests SET manifest = %s WHERE marketplace = %s AND version = %s"""

_READ_MANIFEST: LiteralString = """
    SELECT manifest FROM public.connector_manifests WHERE marketplace = %s AND version = %s"""

# A manifest plans new jobs once every live instance supports its version; the newest such one does. Without live
# instances the newest of all plans, and its jobs wait.
_FIND_PLANNING_MANIFEST: LiteralString = """
    SELECT m.manifest FROM public.connector_manifests AS m
     WHERE m.marketplace = %(marketplace)s
     ORDER BY NOT EXISTS (
                  SELECT 1 FROM public.connector_instances AS i
                   WHERE i.marketplace = m.marketplace AND i.expire_time > now() AND i.drain_time IS NULL
                     AND NOT split_part(m.version, '+', 1) = ANY(i.versions)
              ) DESC, m.register_time DESC
     LIMIT 1"""

_SAVE_DEFAULT_MAPPINGS: LiteralString = """
    INSERT INTO public.marketplace_mappings AS m (marketplace, attribute, key, value, source)
    SELECT %s, u.attribute, u.key, u.value, 'manifest'
      FROM unnest(%s::text[], %s::text[], %s::text[]) AS u(attribute, key, value)
        ON CONFLICT (marketplace, attribute, key, source) DO UPDATE SET value = excluded.value
         WHERE m.value <> excluded.value"""

_REGISTER: LiteralString = """
    INSERT INTO public.connector_instances (instance_id, marketplace, versions, slots, expire_time)
    VALUES (%s, %s, %s, %s, now() + %s)
        ON CONFLICT (instance_id) DO UPDATE
           SET marketplace = excluded.marketplace, versions = excluded.versions, slots = excluded.slots,
               expire_time = excluded.expire_time"""

_REFRESH: LiteralString = """
    UPDATE public.connector_instances AS i SET slots = %(slots)s, expire_time = now() + %(ttl)s
      FROM (SELECT instance_id, slots FROM public.connector_instances WHERE instance_id = %(instance_id)s
               FOR UPDATE) AS before
     WHERE i.instance_id = before.instance_id AND i.expire_time > now()
    RETURNING i.marketplace, before.slots, i.drain_time IS NOT NULL"""

_DEREGISTER: LiteralString = """
    DELETE FROM public.connector_instances WHERE instance_id = %s RETURNING marketplace"""

_DELETE_EXPIRED: LiteralString = """
    DELETE FROM public.connector_instances WHERE expire_time < now() - interval '1 hour'"""


async def load_instances(connection: Connection, instance_ids: Collection[UUID]) -> AsyncCursor[Any]:
    """Loads those of the instances whose registration is valid; `read_instances` reads the answer."""
    return await connection.execute(_LIST_INSTANCES, (list(instance_ids),))


async def read_instances(cursor: AsyncCursor[Any]) -> list[Instance]:
    """Returns the loaded instances."""
    return [Instance(row[0], row[1], tuple(row[2]), *row[3:]) for row in await cursor.fetchall()]


async def store_manifest(connection: Connection, marketplace: str, version: str, manifest: bytes) -> bytes:
    """Stores a manifest unless its version is known; returns what is stored under the version."""
    await connection.execute(_STORE_MANIFEST, (marketplace, version, manifest))
    cursor = await connection.execute(_READ_MANIFEST, (marketplace, version))
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError(f"manifest {marketplace} {version} vanished while it was stored")
    return bytes(row[0])


async def replace_manifest(connection: Connection, marketplace: str, version: str, manifest: bytes) -> None:
    """Replaces what is stored under a version."""
    await connection.execute(_REPLACE_MANIFEST, (manifest, marketplace, version))


async def find_planning_manifest(connection: Connection, marketplace: str) -> bytes | None:
    """Returns the manifest that plans new jobs; None when no connector ever registered."""
    cursor = await connection.execute(_FIND_PLANNING_MANIFEST, {"marketplace": marketplace})
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


async def save_default_mappings(
    connection: Connection, marketplace: str, mappings: Collection[tuple[str, str, str]]
) -> None:
    """Stores a manifest's (attribute, key, value); an operator's stand beside them and count."""
    columns = [list(column) for column in zip(*sorted(mappings), strict=True)]
    await connection.execute(_SAVE_DEFAULT_MAPPINGS, (marketplace, *columns))


async def register(
    connection: Connection,
    instance_id: UUID,
    marketplace: str,
    versions: list[str],
    slots: int,
    ttl: timedelta,
) -> None:
    """Makes an instance known until its registration runs out."""
    await connection.execute(_REGISTER, (instance_id, marketplace, versions, slots, ttl))
    await connection.execute(_DELETE_EXPIRED)


async def refresh(
    connection: Connection, instance_id: UUID, slots: int, ttl: timedelta
) -> tuple[str, bool, bool] | None:
    """Extends a registration.

    Returns:
        The marketplace, whether the number of slots grew, and whether an operator drains the instance; None when it
        must register again.
    """
    parameters = {"instance_id": instance_id, "slots": slots, "ttl": ttl}
    row = await (await connection.execute(_REFRESH, parameters)).fetchone()
    return None if row is None else (row[0], slots > row[1], row[2])


async def deregister(connection: Connection, instance_id: UUID) -> None:
    """Forgets an instance that ends."""
    await connection.execute(_DEREGISTER, (instance_id,))
