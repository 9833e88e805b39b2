"""eBay's Fulfillment API v1: orders, read only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from stoflow_connector_ebay.clients.caller import EbayCaller
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import EbayRefusedError
from stoflow_connector_sdk import MarketplaceHttpClient

Json = Mapping[str, Any]

MAX_PAGE_SIZE = 200
_PATH = "/sell/fulfillment/v1"
# "Invalid order ID", which eBay says of an order that is not the seller's.
_ORDER_NOT_FOUND = frozenset({32100})


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of orders.

    Attributes:
        orders: As eBay returned them; of a cancellation they only say that there is one.
        total: Orders on all pages.
    """

    orders: Sequence[Json]
    total: int


class FulfillmentClient:
    """Calls the Fulfillment API; every method may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, api_url: str) -> None:
        self._caller = EbayCaller(http, f"{api_url}{_PATH}")

    async def list_orders(self, seller: Seller, since: datetime, offset: int, limit: int) -> OrderPage:
        """Returns orders that were changed since a moment.

        Args:
            seller: Whose orders.
            since: The moment; eBay takes at most two years.
            offset: How many records to skip: no page number, unlike the Inventory API's.
            limit: Records wanted, at most 200.
        """
        # With creationdate beside it eBay would ignore lastmodifieddate; without an end a change during the scan
        # does not take an order out of the window.
        params = {
            "filter": f"lastmodifieddate:[{_stamp(since)}..]",
            "limit": str(limit),
            "offset": str(offset),
        }
        content = await self._caller.get(seller, "/order", "list orders", requires="total", params=params)
        orders = content.get("orders") or []
        return OrderPage([order for order in orders if isinstance(order, dict)], int(content["total"]))

    async def find_order(self, seller: Seller, order_id: str) -> Json | None:
        """Returns an order with its cancellation requests, which lists leave out; None when eBay knows none."""
        path = f"/order/{quote(order_id, safe='')}"
        try:
            return await self._caller.get(seller, path, f"read order {order_id}", requires="orderId")
        except EbayRefusedError as error:
            if error.has(_ORDER_NOT_FOUND):
                return None
            raise


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
