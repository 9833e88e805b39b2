"""Reference data of all tenants: categories, mappings to marketplaces, and what marketplaces declare."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, Text, and_, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.connector import ConnectorManifest
from stoflow_orchestrator.models.reference import Category, MarketplaceMapping


class ReferenceRepository:
    """Statements on public's categories, marketplace_mappings and connector_manifests."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def category_exists(self, key: str) -> bool:
        """Tells whether the category is known."""
        found = await self._connection.execute(select(Category.key).where(Category.key == key))
        return found.first() is not None

    async def list_category_keys(self, limit: int) -> Sequence[str]:
        """Returns the first categories, ordered by key."""
        return (
            (await self._connection.execute(select(Category.key).order_by(Category.key).limit(limit)))
            .scalars()
            .all()
        )

    async def list_mappings(
        self, marketplace: str, categories: Collection[str], conditions: Collection[str]
    ) -> Sequence[Row[str, str, str]]:
        """Returns a marketplace's values (attribute, key, value) of the categories and conditions."""

        def wanted(attribute: str, keys: Collection[str]) -> Any:
            return and_(
                MarketplaceMapping.attribute == attribute,
                MarketplaceMapping.key == any_(literal(list(keys), ARRAY(Text()))),
            )

        found = await self._connection.execute(
            select(MarketplaceMapping.attribute, MarketplaceMapping.key, MarketplaceMapping.value).where(
                MarketplaceMapping.marketplace == marketplace,
                or_(wanted("category", categories), wanted("condition", conditions)),
            )
        )
        return found.all()

    async def find_newest_manifest(self, marketplace: str) -> bytes | None:
        """Returns the serialized manifest that was registered last; None for an unknown marketplace."""
        found = await self._connection.execute(
            select(ConnectorManifest.manifest)
            .where(ConnectorManifest.marketplace == marketplace)
            .order_by(ConnectorManifest.register_time.desc(), ConnectorManifest.version.desc())
            .limit(1)
        )
        return found.scalar_one_or_none()
