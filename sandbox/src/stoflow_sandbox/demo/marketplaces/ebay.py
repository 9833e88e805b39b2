"""eBay in the demo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stoflow_sandbox.demo.marketplaces.base import LIVE, SellerAccount, ShownListing, TradingMarketplace
from stoflow_sandbox.demo.secrets_file import Secrets
from stoflow_sandbox.marketplaces.control import AsyncSandboxControl, SandboxControlError

SITE = "EBAY_US"
SELLER = "demo-seller"
CLIENT_ID = "StoFlow-Demo"
LOCATION = {"key": "main", "country": "US", "postal_code": "95125", "city": "San Jose"}
NOT_FOUND = 404


class EbayDemo(TradingMarketplace):
    """A seller on EBAY_US with business policies, a stock location and a refresh token."""

    name = "ebay"
    label = "eBay"
    sandbox_module = "stoflow_sandbox.marketplaces.ebay"
    connector_module = "stoflow_connector_ebay"

    def connector_environment(self, sandbox_url: str, secrets: Secrets) -> Mapping[str, str]:
        return {
            "EBAY_API_URL": sandbox_url,
            "EBAY_MEDIA_URL": sandbox_url,
            "EBAY_AUTH_URL": sandbox_url,
            "EBAY_IDENTITY_URL": sandbox_url,
            "EBAY_CONSENT_URL": sandbox_url,
            "EBAY_CLIENT_ID": CLIENT_ID,
            "EBAY_CLIENT_SECRET": secrets.token("ebay client secret"),
        }

    async def prepare_seller(self, sandbox_url: str, secrets: Secrets) -> SellerAccount:
        async with AsyncSandboxControl(sandbox_url) as control:
            seller = await control.seed_seller(
                SELLER,
                client_id=CLIENT_ID,
                client_secret=secrets.token("ebay client secret"),
                refresh_token=f"v^1.1#r^1#{secrets.token('ebay refresh token')}",
                marketplaces=[SITE],
                locations=[LOCATION],
            )
        return SellerAccount(
            display_name=f"eBay seller {seller.username}",
            sites=[SITE],
            settings={SITE: {**seller.policies[SITE], "merchantLocationKey": seller.locations[0]}},
            refresh_token=seller.refresh_token,
        )

    async def find_listing(self, sandbox_url: str, remote_id: str) -> ShownListing | None:
        async with AsyncSandboxControl(sandbox_url) as control:
            try:
                listing = await control.listing(remote_id)
            except SandboxControlError as error:
                if error.status == NOT_FOUND:
                    return None
                raise
        return _shown(listing)

    async def buy(self, sandbox_url: str, remote_id: str) -> None:
        async with AsyncSandboxControl(sandbox_url) as control:
            await control.place_order(SELLER, remote_id, quantity=1)


def _shown(listing: Mapping[str, Any]) -> ShownListing:
    price = listing["price"]
    return ShownListing(
        state=LIVE if listing["status"] == "ACTIVE" else listing["status"],
        remote_id=listing["listingId"],
        url=listing["url"],
        details=[
            ("title", listing["title"]),
            ("price", f"{price['value']} {price['currency']}, {listing['quantity']} in stock"),
            ("condition", listing["condition"]),
            ("pictures", str(len(listing["imageUrls"]))),
            (
                "specifics",
                ", ".join(f"{name}: {'/'.join(values)}" for name, values in listing["aspects"].items()),
            ),
            ("site", f"{listing['marketplaceId']}, sold by {listing['seller']}"),
        ],
    )
