"""Rows of listings as messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from stoflow.catalog.v1.listing_pb2 import Listing, ListingState
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.messages.times import to_timestamp

LISTING_STATE_PREFIX = "LISTING_STATE_"


def listing_message(tenant_id: int, row: Row[Any]) -> Listing:
    """Converts a listing."""
    price = None
    if row.price_currency is not None:
        price = Money(currency_code=row.price_currency, amount_minor=row.price_minor)
    return Listing(
        listing_id=str(row.listing_id),
        tenant_id=tenant_id,
        marketplace=row.marketplace,
        account_id=str(row.account_id),
        product_id=str(row.product_id),
        site=row.site,
        remote_id=row.remote_id,
        url=row.url,
        state=ListingState.Value(LISTING_STATE_PREFIX + row.state),
        price=price,
        product_version=row.product_version,
        update_time=to_timestamp(row.update_time),
    )
