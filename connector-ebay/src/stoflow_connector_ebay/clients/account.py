"""eBay's Account API v1: what a seller has set up before selling."""

from collections.abc import Mapping
from typing import Any

from stoflow_connector_ebay.clients.caller import EbayCaller
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_sdk import MarketplaceHttpClient

_PATH = "/sell/account/v1"
POLICY_KINDS = ("fulfillment", "payment", "return")


class AccountClient:
    """Calls the Account API; every method may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, api_url: str) -> None:
        self._caller = EbayCaller(http, f"{api_url}{_PATH}")

    async def list_policy_ids(self, seller: Seller, kind: str) -> frozenset[str]:
        """Returns the ids of the seller's business policies of a kind on the site."""
        content = await self._caller.get(
            seller,
            f"/{kind}_policy",
            f"list the {kind} policies",
            requires="total",
            params={"marketplace_id": seller.site.marketplace_id},
        )
        policies = content.get(f"{kind}Policies") or []
        return frozenset(str(policy.get(f"{kind}PolicyId", "")) for policy in policies)

    async def get_privileges(self, seller: Seller) -> Mapping[str, Any]:
        """Returns SellingPrivileges: whether the seller may sell, and how much."""
        return await self._caller.get(
            seller, "/privilege", "read the seller's privileges", requires="sellerRegistrationCompleted"
        )
