"""eBay's Inventory API v1: where a seller's stock lies."""

from urllib.parse import quote

from stoflow_connector_ebay.clients.caller import EbayCaller
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import EbayRefusedError
from stoflow_connector_sdk import MarketplaceHttpClient

_PATH = "/sell/inventory/v1/location"
# merchantLocationKey Not Found.
_LOCATION_NOT_FOUND = frozenset({25805})


class LocationClient:
    """Calls the location part of the Inventory API; it may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, api_url: str) -> None:
        self._caller = EbayCaller(http, f"{api_url}{_PATH}")

    async def find_status(self, seller: Seller, key: str) -> str | None:
        """Returns ENABLED or DISABLED, or None when eBay says that there is no such location."""
        try:
            content = await self._caller.get(
                seller,
                f"/{quote(key, safe='')}",
                f"read location {key}",
                requires="merchantLocationStatus",
            )
        except EbayRefusedError as error:
            if error.has(_LOCATION_NOT_FOUND):
                return None
            raise
        return str(content["merchantLocationStatus"])
