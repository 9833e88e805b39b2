"""Vinted in the demo: the seller's browser is the scripted one, so that no Chromium is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stoflow.catalog.v1.reference_pb2 import REFERENCE_ATTRIBUTE_CATEGORY, REFERENCE_ATTRIBUTE_SIZE

from stoflow_sandbox.demo.marketplaces.base import LIVE, DemoMarketplace, SellerAccount, ShownListing
from stoflow_sandbox.demo.secrets_file import Secrets
from stoflow_sandbox.marketplaces.control import SandboxControlError
from stoflow_sandbox.marketplaces.vinted.control import AsyncVintedSandboxControl

SELLER = "demo-seller"
PACKAGE_SIZE = 2
BROWSER_ORIGIN = "chrome-extension://demo"
NOT_FOUND = 404


class VintedDemo(DemoMarketplace):
    """A member whose browser is paired with the account, signed in, and left open."""

    name = "vinted"
    label = "Vinted"
    sandbox_module = "stoflow_sandbox.marketplaces.vinted"
    connector_module = "stoflow_connector_vinted"
    needs_browser = True
    # Vinted numbers categories and sizes by country, so an operator sets them; these are the sandbox's.
    mappings = (
        (REFERENCE_ATTRIBUTE_CATEGORY, "clothing/women/dresses", "10"),
        (REFERENCE_ATTRIBUTE_SIZE, "m", "5"),
    )

    def connector_environment(self, sandbox_url: str, secrets: Secrets) -> Mapping[str, str]:  # noqa: ARG002 - Vinted has no client secret
        return {
            "VINTED_SITE_URL": sandbox_url,
            "VINTED_ALLOWED_ORIGINS": BROWSER_ORIGIN,
            # The sandbox is nobody's server: there is none to be slow for.
            "VINTED_PACE_SECONDS": "0.1",
        }

    def gateway_environment(self, address: str) -> Mapping[str, str]:
        return {"VINTED_GATEWAY_ADDRESS": address}

    def browser_environment(self, sandbox_url: str, secrets: Secrets) -> Mapping[str, str]:
        return {
            "SITE_URL": sandbox_url,
            "SITE_LOGIN": SELLER,
            "SITE_PASSWORD": secrets.token("vinted password"),
            "BROWSER_ORIGIN": BROWSER_ORIGIN,
        }

    async def prepare_seller(self, sandbox_url: str, secrets: Secrets) -> SellerAccount:
        async with AsyncVintedSandboxControl(sandbox_url) as control:
            member = await control.seed_member(SELLER, secrets.token("vinted password"), currency="USD")
        return SellerAccount(
            display_name=f"Vinted member {member.login}",
            sites=[],
            settings={"packageSizeId": PACKAGE_SIZE},
            refresh_token="",
        )

    async def find_listing(self, sandbox_url: str, remote_id: str) -> ShownListing | None:
        async with AsyncVintedSandboxControl(sandbox_url) as control:
            try:
                item = await control.item(remote_id)
            except SandboxControlError as error:
                if error.status == NOT_FOUND:
                    return None
                raise
        return _shown(item)


def _shown(item: Mapping[str, Any]) -> ShownListing:
    price = item["price"]
    return ShownListing(
        state=LIVE if item["state"] == "LIVE" else item["state"],
        remote_id=str(item["id"]),
        url=item["url"],
        details=[
            ("title", item["title"]),
            ("price", f"{price['amount']} {price['currency_code']}"),
            ("pictures", str(len(item["photos"]))),
            ("numbers", f"category {item['catalog_id']}, size {item['size_id']}, status {item['status_id']}"),
            ("site", f"offered by {item['seller']}, from the seller's own browser"),
        ],
    )
