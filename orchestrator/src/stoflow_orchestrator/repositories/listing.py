"""Listings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Listing


class ListingRepository:
    """Statements on a tenant's listings."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list_page(
        self,
        product_id: UUID | None,
        account_id: UUID | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[Row[Any]]:
        """Returns the next listings, the one changed last first.

        Args:
            product_id: Only listings of this product.
            account_id: Only listings of this account.
            before: update_time and listing_id of the last listing of the page before.
            limit: Most rows.
        """
        statement = select(Listing).order_by(Listing.update_time.desc(), Listing.listing_id.desc())
        if product_id is not None:
            statement = statement.where(Listing.product_id == product_id)
        if account_id is not None:
            statement = statement.where(Listing.account_id == account_id)
        if before is not None:
            statement = statement.where(tuple_(Listing.update_time, Listing.listing_id) < tuple_(*before))
        return (await self._connection.execute(statement.limit(limit))).all()
