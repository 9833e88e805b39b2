"""Marketplaces' own values, as operators read and set them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

_LIST = text("""
    SELECT attribute, key, max(value) FILTER (WHERE source = 'operator') AS operator_value,
           max(value) FILTER (WHERE source = 'manifest') AS default_value
      FROM public.marketplace_mappings
     WHERE marketplace = :marketplace AND (:attribute = '' OR attribute = :attribute)
       AND (attribute, key) > (:after_attribute, :after_key)
     GROUP BY attribute, key ORDER BY attribute, key LIMIT :limit""")

# Locked in the order of their keys, so that two imports wait for each other instead of deadlocking.
_IMPORT = text("""
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:attributes AS text[]), CAST(:keys AS text[]), CAST(:values AS text[]))
            AS u(attribute, key, value)
    ), written AS (
        INSERT INTO public.marketplace_mappings AS m (marketplace, attribute, key, value, source)
        SELECT :marketplace, attribute, key, value, 'operator' FROM wanted ORDER BY attribute, key
            ON CONFLICT (marketplace, attribute, key, source) DO UPDATE SET value = excluded.value
             WHERE m.value <> excluded.value
        RETURNING m.xmax = 0 AS is_new
    )
    SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written""")

_DELETE = text("""
    WITH locked AS (
        SELECT m.attribute, m.key
          FROM public.marketplace_mappings AS m
          JOIN unnest(CAST(:attributes AS text[]), CAST(:keys AS text[])) AS u(attribute, key) USING (attribute, key)
         WHERE m.marketplace = :marketplace AND m.source = 'operator'
         ORDER BY m.attribute, m.key FOR UPDATE OF m
    )
    DELETE FROM public.marketplace_mappings AS m USING locked AS l
     WHERE m.marketplace = :marketplace AND m.source = 'operator' AND (m.attribute, m.key) = (l.attribute, l.key)""")


class MappingRepository:
    """Statements on public.marketplace_mappings, but for those of products."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list_page(
        self, marketplace: str, attribute: str, after: tuple[str, str] | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns the next mappings, ordered by attribute and key.

        Args:
            marketplace: Whose.
            attribute: Only this one's; empty for all.
            after: attribute and key of the last mapping of the page before.
            limit: Most rows.
        """
        after_attribute, after_key = after or ("", "")
        parameters = {
            "marketplace": marketplace,
            "attribute": attribute,
            "after_attribute": after_attribute,
            "after_key": after_key,
            "limit": limit,
        }
        return (await self._connection.execute(_LIST, parameters)).all()

    async def import_values(self, marketplace: str, values: Mapping[tuple[str, str], str]) -> tuple[int, int]:
        """Sets an operator's values by (attribute, key); returns how many are new and how many were changed."""
        parameters = {"marketplace": marketplace, **_columns(values), "values": list(values.values())}
        created, changed = (await self._connection.execute(_IMPORT, parameters)).one()
        return created, changed

    async def delete(self, marketplace: str, keys: Collection[tuple[str, str]]) -> int:
        """Deletes operators' values; returns how many there were."""
        parameters = {"marketplace": marketplace, **_columns(keys)}
        deleted = await self._connection.execute(_DELETE, parameters)
        return int(deleted.rowcount)


def _columns(keys: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    return {"attributes": [attribute for attribute, _ in keys], "keys": [key for _, key in keys]}
