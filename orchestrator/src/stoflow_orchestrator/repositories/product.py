"""Products and their images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, Select, Uuid, any_, cast, func, literal, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Product, ProductImage

# Images come with their product in one statement, so that version and images always belong together.
_IMAGES = (
    select(
        func.coalesce(
            func.jsonb_agg(
                aggregate_order_by(
                    func.jsonb_build_object(
                        text("'image_id'"),
                        ProductImage.image_id,
                        text("'content_sha256'"),
                        ProductImage.content_sha256,
                        text("'content_type'"),
                        ProductImage.content_type,
                        text("'size_bytes'"),
                        ProductImage.size_bytes,
                        text("'width_pixels'"),
                        ProductImage.width_pixels,
                        text("'height_pixels'"),
                        ProductImage.height_pixels,
                    ),
                    ProductImage.position,
                ),
                type_=JSONB(),
            ),
            cast(text("'[]'"), JSONB()),
            type_=JSONB(),
        )
    )
    .where(ProductImage.product_id == Product.product_id)
    .correlate(Product)
    .scalar_subquery()
)


_FIELDS = [*((column.name, Any) for column in Product.__table__.columns), ("images", Any)]
_ProductTuple = NamedTuple("_ProductTuple", _FIELDS)  # type: ignore[misc]  # the model knows the columns


def _products() -> Select[*tuple[Any, ...]]:
    products: Select[*tuple[Any, ...]] = select(Product, _IMAGES.label("images"))
    return products


class ProductRepository:
    """Statements on a tenant's products and product_images; rows carry `images` as a list of objects."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def insert(self, product_id: UUID, content: dict[str, Any]) -> bool:
        """Inserts a product at version 1; tells whether its SKU was free."""
        inserted = await self._connection.execute(
            insert(Product)
            .values(product_id=product_id, version=1, **content)
            .on_conflict_do_nothing(index_elements=[Product.sku])
            .returning(Product.product_id)
        )
        return inserted.first() is not None

    async def find(self, product_id: UUID) -> Row[Any] | None:
        """Returns one product."""
        found = await self._connection.execute(_products().where(Product.product_id == product_id))
        row: Row[Any] | None = found.first()
        return row

    async def exists(self, product_id: UUID) -> bool:
        """Tells whether the tenant has the product."""
        found = await self._connection.execute(
            select(Product.product_id).where(Product.product_id == product_id)
        )
        return found.first() is not None

    async def list_page(
        self, sku: str, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns the next products, newest first.

        Args:
            sku: Only the product with this SKU; empty for all.
            before: create_time and product_id of the last product of the page before.
            limit: Most rows.
        """
        statement = _products().order_by(Product.create_time.desc(), Product.product_id.desc()).limit(limit)
        if sku:
            statement = statement.where(Product.sku == sku)
        if before is not None:
            statement = statement.where(tuple_(Product.create_time, Product.product_id) < tuple_(*before))
        rows: Sequence[Row[Any]] = (await self._connection.execute(statement)).all()
        return rows

    async def list_by_ids(self, product_ids: Sequence[UUID]) -> list[Any]:
        """Returns those of the products that exist, in no order, as plain tuples with names.

        Reading an attribute of SQLAlchemy's own rows takes ten times as long; a batch reads a quarter of a million.
        """
        # One array parameter: as many ids as callers like, and one statement text for any number of them.
        wanted = literal(list(product_ids), ARRAY(Uuid()))
        found = await self._connection.execute(_products().where(Product.product_id == any_(wanted)))
        return [_ProductTuple._make(row) for row in found]

    async def lock(self, product_id: UUID) -> bool:
        """Makes others wait who change the product; tells whether it exists."""
        found = await self._connection.execute(
            select(Product.product_id).where(Product.product_id == product_id).with_for_update()
        )
        return found.first() is not None

    async def count_images(self, product_id: UUID) -> int:
        """Counts a product's images."""
        counted = await self._connection.execute(
            select(func.count()).select_from(ProductImage).where(ProductImage.product_id == product_id)
        )
        return int(counted.scalar_one())

    async def append_image(self, product_id: UUID, image_id: UUID, **image: Any) -> None:
        """Adds an image behind the others and raises its product's version; the caller has locked it."""
        position = (
            select(func.coalesce(func.max(ProductImage.position) + 1, 0))
            .where(ProductImage.product_id == product_id)
            .scalar_subquery()
        )
        await self._connection.execute(
            insert(ProductImage).values(image_id=image_id, product_id=product_id, position=position, **image)
        )
        await self._connection.execute(
            update(Product)
            .where(Product.product_id == product_id)
            # Not now(): that is when this transaction began, before it waited for the lock.
            .values(version=Product.version + 1, update_time=func.clock_timestamp())
        )
