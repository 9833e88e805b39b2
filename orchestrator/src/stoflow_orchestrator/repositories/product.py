"""Products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Uuid,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Listing, Product, ProductImage
from stoflow_orchestrator.models.live import LiveJob
from stoflow_orchestrator.repositories.listing_update import ListingUpdateRepository

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


# What nobody published through us: a job that would list the product again must not begin.
_FOUND_LISTINGS = (
    select(
        func.jsonb_agg(
            func.jsonb_build_array(Listing.account_id, Listing.site, Listing.remote_id), type_=JSONB()
        )
    )
    .where(
        Listing.product_id == Product.product_id,
        Listing.state.in_(("DRAFT", "LIVE")),
        Listing.link.is_not(None),
    )
    .correlate(Product)
    .scalar_subquery()
)

_FIELDS = [
    *((column.name, Any) for column in Product.__table__.columns),
    ("images", Any),
    ("found_listings", Any),
]
_ProductTuple = NamedTuple("_ProductTuple", _FIELDS)  # type: ignore[misc]  # the model knows the columns


def _products() -> Select[*tuple[Any, ...]]:
    products: Select[*tuple[Any, ...]] = select(Product, _IMAGES.label("images"))
    return products


# Built once: building costs more than running it. One array parameter: as many ids as callers like, and one statement
# text for any number of them.
_LIST_BY_IDS = (
    _products()
    .add_columns(_FOUND_LISTINGS.label("found_listings"))
    .where(Product.product_id == any_(bindparam("product_ids", type_=ARRAY(Uuid()))))
)


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Which products to list; an empty or absent value lists all.

    Attributes:
        sku: Only this SKU.
        text: In title or SKU, in any case.
        category: This one and those below it.
        brand: In any case.
        condition: A state without its prefix.
        is_in_stock: Whether any piece is left.
        update_time_from: Changed then or later.
        product_ids: Only these.
    """

    sku: str = ""
    text: str = ""
    category: str = ""
    brand: str = ""
    condition: str = ""
    is_in_stock: bool | None = None
    update_time_from: datetime | None = None
    product_ids: Sequence[UUID] = ()

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yields what a listed product fulfils."""
        if self.sku:
            yield Product.sku == self.sku
        if self.text:
            yield or_(
                Product.title.icontains(self.text, autoescape=True),
                Product.sku.icontains(self.text, autoescape=True),
            )
        if self.category:
            below = Product.category.startswith(f"{self.category}/", autoescape=True)
            yield or_(Product.category == self.category, below)
        if self.brand:
            yield func.lower(Product.brand) == func.lower(self.brand)
        if self.condition:
            yield Product.condition == self.condition
        if self.is_in_stock is not None:
            yield Product.stock_quantity > 0 if self.is_in_stock else Product.stock_quantity == 0
        if self.update_time_from is not None:
            yield Product.update_time >= self.update_time_from
        if self.product_ids:
            yield Product.product_id == any_(literal(list(self.product_ids), ARRAY(Uuid())))


class ProductRepository:
    """Statements on a tenant's products; rows carry `images` as a list of objects."""

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
        self, wanted: ProductFilter, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns the next products, newest first.

        Args:
            wanted: Which products.
            before: create_time and product_id of the last product of the page before.
            limit: Most rows.
        """
        statement = _products().order_by(Product.create_time.desc(), Product.product_id.desc()).limit(limit)
        statement = statement.where(*wanted.conditions())
        if before is not None:
            statement = statement.where(tuple_(Product.create_time, Product.product_id) < tuple_(*before))
        rows: Sequence[Row[Any]] = (await self._connection.execute(statement)).all()
        return rows

    async def list_by_ids(self, product_ids: Sequence[UUID]) -> list[Any]:
        """Returns those of the products that exist, in no order, as plain tuples with names.

        They carry `found_listings` as well: account, site and remote id of those that are linked and no job made.

        Reading an attribute of SQLAlchemy's own rows takes ten times as long; a batch reads a quarter of a million.
        """
        found = await self._connection.execute(_LIST_BY_IDS, {"product_ids": list(product_ids)})
        return [_ProductTuple._make(row) for row in found]

    async def lock(self, product_id: UUID) -> int | None:
        """Makes others wait who change the product; returns its version, None when it does not exist."""
        found = await self._connection.execute(
            select(Product.version).where(Product.product_id == product_id).with_for_update()
        )
        return found.scalar_one_or_none()

    async def change(self, product_id: UUID, values: dict[str, Any]) -> None:
        """Sets columns, raises the version and plans updates of listings; the caller has locked the product."""
        await self._connection.execute(
            update(Product)
            .where(Product.product_id == product_id)
            # Not now(): that is when this transaction began, before it waited for the lock.
            .values(version=Product.version + 1, update_time=func.clock_timestamp(), **values)
        )
        await ListingUpdateRepository(self._connection).plan_product(product_id)

    async def delete(self, product_id: UUID) -> None:
        """Removes a product with its images' rows and the planned updates of its listings."""
        await self._connection.execute(delete(Product).where(Product.product_id == product_id))
        await ListingUpdateRepository(self._connection).drop_product(product_id)

    async def is_listed(self, product_id: UUID) -> bool:
        """Tells whether a listing shows the product, or is prepared to."""
        found = await self._connection.execute(
            select(Listing.listing_id)
            .where(Listing.product_id == product_id, Listing.state.in_(("DRAFT", "LIVE")))
            .limit(1)
        )
        return found.first() is not None

    async def has_live_job(self, tenant_id: int, product_id: UUID) -> bool:
        """Tells whether a job on the product has not ended."""
        found = await self._connection.execute(
            select(LiveJob.job_id)
            .where(
                LiveJob.tenant_id == tenant_id,
                LiveJob.product_id == product_id,
                LiveJob.finish_time.is_(None),
            )
            .limit(1)
        )
        return found.first() is not None
