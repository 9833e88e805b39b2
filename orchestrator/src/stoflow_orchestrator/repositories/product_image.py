"""The images of products; their bytes lie in the image store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, all_, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import ProductImage


class ProductImageRepository:
    """Statements on a tenant's product_images; the caller has locked the product and raises its version."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list_ids(self, product_id: UUID) -> list[UUID]:
        """Returns the ids of a product's images, in order."""
        found = await self._connection.execute(
            select(ProductImage.image_id)
            .where(ProductImage.product_id == product_id)
            .order_by(ProductImage.position)
        )
        return list(found.scalars())

    async def append(self, product_id: UUID, image_id: UUID, **image: Any) -> None:
        """Adds an image behind the others."""
        position = (
            select(func.coalesce(func.max(ProductImage.position) + 1, 0))
            .where(ProductImage.product_id == product_id)
            .scalar_subquery()
        )
        await self._connection.execute(
            insert(ProductImage).values(image_id=image_id, product_id=product_id, position=position, **image)
        )

    async def arrange(self, product_id: UUID, image_ids: Sequence[UUID]) -> None:
        """Gives a product's images this order and removes those that are not named."""
        kept = literal(list(image_ids), ARRAY(Uuid()))
        of_product = ProductImage.product_id == product_id
        await self._connection.execute(
            delete(ProductImage).where(of_product, ProductImage.image_id != all_(kept))
        )
        # Out of the way first: the unique key is checked row by row.
        await self._connection.execute(
            update(ProductImage).where(of_product).values(position=-1 - ProductImage.position)
        )
        await self._connection.execute(
            update(ProductImage)
            .where(of_product)
            .values(position=func.array_position(kept, ProductImage.image_id) - 1)
        )
