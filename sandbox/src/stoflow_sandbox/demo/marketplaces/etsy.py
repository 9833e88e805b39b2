"""Etsy in the demo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stoflow_sandbox.demo.marketplaces.base import LIVE, DemoMarketplace, SellerAccount, ShownListing
from stoflow_sandbox.demo.secrets_file import Secrets
from stoflow_sandbox.marketplaces.control import SandboxControlError
from stoflow_sandbox.marketplaces.etsy.control import AsyncEtsySandboxControl

SELLER = "demo-seller"
KEYSTRING = "StoFlow-Demo"
NOT_FOUND = 404


class EtsyDemo(DemoMarketplace):
    """A seller with one shop, its profiles and policies, and a refresh token."""

    name = "etsy"
    label = "Etsy"
    sandbox_module = "stoflow_sandbox.marketplaces.etsy"
    connector_module = "stoflow_connector_etsy"

    def connector_environment(self, sandbox_url: str, secrets: Secrets) -> Mapping[str, str]:
        return {
            "ETSY_API_URL": sandbox_url,
            "ETSY_AUTH_URL": sandbox_url,
            "ETSY_CONSENT_URL": f"{sandbox_url}/oauth/connect",
            "ETSY_KEYSTRING": KEYSTRING,
            "ETSY_SHARED_SECRET": secrets.token("etsy shared secret"),
        }

    async def prepare_seller(self, sandbox_url: str, secrets: Secrets) -> SellerAccount:
        # The token is made valid again in every run, for an account that must be connected anew; one that
        # is connected goes on with the token that the last refresh left.
        refresh_token = secrets.token("etsy refresh token")
        async with AsyncEtsySandboxControl(sandbox_url) as control:
            shop = await control.seed_shop(
                SELLER,
                client_id=KEYSTRING,
                client_secret=secrets.token("etsy shared secret"),
                refresh_token=refresh_token,
            )
        return SellerAccount(
            display_name=f"Etsy shop {shop.username}",
            sites=[],
            settings={
                "shopId": str(shop.shop_id),
                "shippingProfileId": str(shop.shipping_profile_ids[0]),
                "returnPolicyId": str(shop.return_policy_ids[0]),
                "readinessStateId": str(shop.readiness_state_ids[0]),
            },
            refresh_token=refresh_token,
        )

    async def find_listing(self, sandbox_url: str, remote_id: str) -> ShownListing | None:
        async with AsyncEtsySandboxControl(sandbox_url) as control:
            try:
                listing = await control.listing(remote_id)
            except SandboxControlError as error:
                if error.status == NOT_FOUND:
                    return None
                raise
        return _shown(listing)


def _shown(listing: Mapping[str, Any]) -> ShownListing:
    price = listing["price"]
    amount = price["amount"] / price["divisor"]
    properties = listing["properties"].values()
    return ShownListing(
        state=LIVE if listing["state"] == "active" else listing["state"],
        remote_id=str(listing["listing_id"]),
        url=listing["url"],
        details=[
            ("title", listing["title"]),
            ("price", f"{amount:.2f} {price['currency_code']}, {listing['quantity']} in stock"),
            ("made", f"{listing['when_made']}, by {listing['who_made']}"),
            ("pictures", str(len(listing["images"]))),
            (
                "properties",
                ", ".join(f"{one['property_name']}: {'/'.join(one['values'])}" for one in properties),
            ),
            ("shop", f"{listing['shop_id']}, of {listing['seller']}"),
        ],
    )
