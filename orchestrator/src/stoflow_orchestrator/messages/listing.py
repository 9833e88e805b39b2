"""Rows of listings as messages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row
from stoflow.catalog.v1.listing_pb2 import Listing, ListingLink, ListingState, UpdatePolicy
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.messages.times import to_timestamp

LISTING_STATE_PREFIX = "LISTING_STATE_"
NOT_LINKED = "LISTING_LINK_UNSPECIFIED"


def listing_message(tenant_id: int, row: Row[Any]) -> Listing:
    """Converts a listing."""
    price = None
    if row.price_currency is not None:
        price = Money(currency_code=row.price_currency, amount_minor=row.price_minor)
    is_linked = row.product_id is not None
    return Listing(
        listing_id=str(row.listing_id),
        tenant_id=tenant_id,
        marketplace=row.marketplace,
        account_id=str(row.account_id),
        product_id=str(row.product_id) if is_linked else "",
        site=row.site,
        remote_id=row.remote_id,
        url=row.url,
        state=ListingState.Value(LISTING_STATE_PREFIX + row.state),
        price=price,
        product_version=row.product_version,
        update_time=to_timestamp(row.update_time),
        sku=row.sku,
        title=row.title,
        link=ListingLink.Value(f"LISTING_LINK_{row.link or 'JOB'}" if is_linked else NOT_LINKED),
        is_stale=row.is_stale,
        update_due_time=None if row.due_time is None else to_timestamp(row.due_time),
        update_problem=row.problem or "",
    )


def policy_message(account_id: UUID, quiet_seconds: int | None) -> UpdatePolicy:
    """Converts whether an account's listings follow their products."""
    policy = UpdatePolicy(account_id=str(account_id), is_automatic=quiet_seconds is not None)
    if quiet_seconds is not None:
        policy.quiet_period.FromSeconds(quiet_seconds)
    return policy
