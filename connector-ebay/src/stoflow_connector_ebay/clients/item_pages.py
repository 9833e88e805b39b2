"""The seller's whole inventory at eBay, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoflow_connector_ebay.clients.caller import EbayCaller
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_sdk import MarketplaceHttpClient

Json = Mapping[str, Any]

_PATH = "/sell/inventory/v1"


@dataclass(frozen=True, slots=True)
class ItemPage:
    """One page of inventory items.

    Attributes:
        items: As eBay returned them.
        total: Items on all pages.
    """

    items: Sequence[Json]
    total: int


class ItemPagesClient:
    """Calls getInventoryItems; it may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, api_url: str) -> None:
        self._caller = EbayCaller(http, f"{api_url}{_PATH}")

    async def list_items(self, seller: Seller, page: int, limit: int) -> ItemPage:
        """Returns one page.

        Args:
            seller: Whose items.
            page: Number of the page from 0; eBay calls it `offset`, but it does not count records.
            limit: Items a page, at most 200; it must be the same for all pages.
        """
        content = await self._caller.get(
            seller,
            "/inventory_item",
            "list inventory items",
            requires="total",
            params={"limit": str(limit), "offset": str(page)},
        )
        items = content.get("inventoryItems") or []
        return ItemPage([item for item in items if isinstance(item, dict)], int(content["total"]))
