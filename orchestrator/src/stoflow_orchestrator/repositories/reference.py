"""Reference data of all tenants, and what marketplaces declare."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Integer, Row, and_, bindparam, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.connector import ConnectorManifest
from stoflow_orchestrator.models.reference import MarketplaceMapping, ReferenceValue

# Values that operators add come behind those of the seed.
LAST_POSITION = 2**31 - 1

_FIND_MAPPINGS = text("""
    SELECT m.attribute, m.key, m.value
      FROM unnest(CAST(:attributes AS text[]), CAST(:keys AS text[])) AS u(attribute, key)
      JOIN public.marketplace_mappings AS m
        ON m.marketplace = :marketplace AND m.attribute = u.attribute AND m.key = u.key
     -- An operator's come last, so that they replace a manifest's.
     ORDER BY m.source""")

# Locked in the order of their keys, so that two imports wait for each other instead of deadlocking.
_IMPORT_VALUES = text("""
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:attributes AS text[]), CAST(:keys AS text[]), CAST(:names AS text[]))
            AS u(attribute, key, name)
    ), written AS (
        INSERT INTO public.reference_values AS v (attribute, key, name, source, position)
        SELECT attribute, key, name, 'operator', :last FROM wanted ORDER BY attribute, key
            ON CONFLICT (attribute, key) DO UPDATE SET name = excluded.name, source = 'operator'
             WHERE v.name <> excluded.name
        RETURNING v.xmax = 0 AS is_new
    )
    SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written
""").bindparams(bindparam("last", LAST_POSITION, Integer()))

_FIND_VALUES = text("""
    SELECT v.attribute, v.key
      FROM unnest(CAST(:attributes AS text[]), CAST(:keys AS text[])) AS u(attribute, key)
      JOIN public.reference_values AS v USING (attribute, key)""")


class ReferenceRepository:
    """Statements on public.reference_values and connector_manifests, and the reading of mappings for products."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list_category_keys(self, limit: int) -> Sequence[str]:
        """Returns the first categories, in their natural order."""
        listed = await self._connection.execute(
            select(ReferenceValue.key)
            .where(ReferenceValue.attribute == "category")
            .order_by(ReferenceValue.position, ReferenceValue.key)
            .limit(limit)
        )
        return listed.scalars().all()

    async def find_existing(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Returns those of the (attribute, key) that are known."""
        found = await self._connection.execute(_FIND_VALUES, _columns(keys))
        return {(row.attribute, row.key) for row in found}

    async def find_mappings(
        self, marketplace: str, keys: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], str]:
        """Returns a marketplace's value of each (attribute, key) that has one."""
        found = await self._connection.execute(_FIND_MAPPINGS, {"marketplace": marketplace, **_columns(keys)})
        return {(attribute, key): value for attribute, key, value in found}

    async def list_values(
        self, attribute: str, parent: str, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns the next values of an attribute in their natural order.

        Args:
            attribute: Whose values.
            parent: Only those directly below this category; empty for all.
            after: position and key of the last value of the page before.
            limit: Most rows.
        """
        return await self._list(attribute, [_is_below(parent)] if parent else [], after, limit)

    async def list_unmapped(
        self, marketplace: str, attribute: str, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns the next values of an attribute for which the marketplace has none; arguments as above."""
        mapping = select(MarketplaceMapping.key).where(
            MarketplaceMapping.marketplace == marketplace,
            MarketplaceMapping.attribute == ReferenceValue.attribute,
            MarketplaceMapping.key == ReferenceValue.key,
        )
        return await self._list(attribute, [~mapping.exists()], after, limit)

    async def _list(
        self, attribute: str, conditions: Sequence[Any], after: tuple[int, str] | None, limit: int
    ) -> Sequence[Row[Any]]:
        statement = select(ReferenceValue).where(ReferenceValue.attribute == attribute, *conditions)
        if after is not None:
            statement = statement.where(tuple_(ReferenceValue.position, ReferenceValue.key) > tuple_(*after))
        statement = statement.order_by(ReferenceValue.position, ReferenceValue.key).limit(limit)
        rows: Sequence[Row[Any]] = (await self._connection.execute(statement)).all()
        return rows

    async def import_values(self, names: Mapping[tuple[str, str], str]) -> tuple[int, int]:
        """Inserts and renames values (attribute, key); returns how many are new and how many were renamed."""
        parameters = {**_columns(names), "names": list(names.values())}
        created, changed = (await self._connection.execute(_IMPORT_VALUES, parameters)).one()
        return created, changed

    async def find_newest_manifest(self, marketplace: str) -> bytes | None:
        """Returns the serialized manifest that was registered last; None for an unknown marketplace."""
        found = await self._connection.execute(
            select(ConnectorManifest.manifest)
            .where(ConnectorManifest.marketplace == marketplace)
            .order_by(ConnectorManifest.register_time.desc(), ConnectorManifest.version.desc())
            .limit(1)
        )
        return found.scalar_one_or_none()


def _is_below(parent: str) -> Any:
    start = f"{parent}/"
    behind = func.substr(ReferenceValue.key, len(start) + 1)
    return and_(func.starts_with(ReferenceValue.key, start), func.strpos(behind, "/") == 0)


def _columns(keys: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    return {"attributes": [attribute for attribute, _ in keys], "keys": [key for _, key in keys]}
