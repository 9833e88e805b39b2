"""Listings: what is for sale where, and of which product it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Result, Row, Select, and_, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Listing, Order, OrderLine, Product
from stoflow_orchestrator.models.listing_update import DueListingUpdate

# Not a column: no change of a product can forget to set it.
_IS_STALE = and_(Listing.state == "LIVE", Product.version > Listing.product_version)


@dataclass(frozen=True, slots=True)
class ListingFilter:
    """Which listings; None, empty and False stand for all."""

    product_id: UUID | None = None
    account_id: UUID | None = None
    states: Sequence[str] = ()
    marketplace: str = ""
    sku: str = ""
    only_unlinked: bool = False
    only_stale: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        """Returns what must hold of a row."""
        conditions: list[ColumnElement[bool]] = []
        if self.product_id is not None:
            conditions.append(Listing.product_id == self.product_id)
        if self.account_id is not None:
            conditions.append(Listing.account_id == self.account_id)
        if self.states:
            conditions.append(Listing.state.in_(self.states))
        if self.marketplace:
            conditions.append(Listing.marketplace == self.marketplace)
        if self.sku:
            conditions.append(Listing.sku == self.sku)
        if self.only_unlinked:
            conditions.append(Listing.product_id.is_(None))
        if self.only_stale:
            conditions.append(_IS_STALE)
        return conditions


def _listings() -> Select[*tuple[Any, ...]]:
    listings: Select[*tuple[Any, ...]] = (
        select(
            Listing,
            func.coalesce(_IS_STALE, False).label("is_stale"),
            DueListingUpdate.due_time,
            DueListingUpdate.problem,
        )
        .outerjoin(Product, Product.product_id == Listing.product_id)
        .outerjoin(
            DueListingUpdate,
            # A plan or a problem of a listing that something else has brought up to date tells nothing.
            and_(
                _IS_STALE,
                DueListingUpdate.account_id == Listing.account_id,
                DueListingUpdate.product_id == Listing.product_id,
                DueListingUpdate.site == Listing.site,
            ),
        )
    )
    return listings


class ListingRepository:
    """Statements on a tenant's listings; rows carry is_stale, and due_time and problem of a planned update."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, listing_id: UUID) -> Row[Any] | None:
        """Returns one listing."""
        found = await self._connection.execute(_listings().where(Listing.listing_id == listing_id))
        row: Row[Any] | None = found.first()
        return row

    async def list_page(
        self, wanted: ListingFilter, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns the next listings, the one changed last first.

        Args:
            wanted: Which listings.
            before: update_time and listing_id of the last listing of the page before.
            limit: Most rows.
        """
        statement = _listings().where(*wanted.conditions())
        if before is not None:
            statement = statement.where(tuple_(Listing.update_time, Listing.listing_id) < tuple_(*before))
        statement = statement.order_by(Listing.update_time.desc(), Listing.listing_id.desc()).limit(limit)
        rows: Sequence[Row[Any]] = (await self._connection.execute(statement)).all()
        return rows

    async def lock(self, listing_id: UUID) -> Row[Any] | None:
        """Makes others wait who change the listing; returns product_id, link, account_id and remote_id."""
        found: Result[*tuple[Any, ...]] = await self._connection.execute(
            select(Listing.product_id, Listing.link, Listing.account_id, Listing.remote_id)
            .where(Listing.listing_id == listing_id)
            .with_for_update()
        )
        row: Row[Any] | None = found.first()
        return row

    async def link(self, listing_id: UUID, product_id: UUID | None, product_version: int) -> None:
        """Stores what the seller said of a locked listing; None for a product says that it shows none."""
        await self._connection.execute(
            update(Listing)
            .where(Listing.listing_id == listing_id)
            .values(
                product_id=product_id,
                link="SELLER",
                product_version=product_version,
                # Not now(): that is when this transaction began, before it waited for the row.
                update_time=func.clock_timestamp(),
            )
        )

    async def confirm_link(self, listing_id: UUID) -> None:
        """Makes the link of a locked listing, which a sync had found, the seller's own."""
        await self._connection.execute(
            update(Listing)
            .where(Listing.listing_id == listing_id)
            .values(link="SELLER", update_time=func.clock_timestamp())
        )

    async def link_order_lines(self, account_id: UUID, remote_id: str, product_id: UUID) -> None:
        """Names the product of a listing in those lines of orders that name none."""
        orders = select(Order.order_id).where(Order.account_id == account_id)
        await self._connection.execute(
            update(OrderLine)
            .where(
                OrderLine.listing_remote_id == remote_id,
                OrderLine.product_id.is_(None),
                OrderLine.order_id.in_(orders),
            )
            .values(product_id=product_id)
        )
