"""eBay's Identity API v1: who consented."""

from dataclasses import dataclass

from stoflow_connector_ebay.clients.caller import EbayCaller
from stoflow_connector_ebay.clients.seller import AccessTokens, Seller
from stoflow_connector_ebay.sites import SITES
from stoflow_connector_sdk import MarketplaceHttpClient

_PATH = "/commerce/identity/v1"


@dataclass(frozen=True, slots=True)
class EbayUser:
    """A seller.

    Attributes:
        user_id: eBay's immutable id; notifications carry it too.
        username: The name, which the seller may change.
        marketplace_id: The site of the registration; empty when eBay names none that is known here.
    """

    user_id: str
    username: str
    marketplace_id: str


class IdentityClient:
    """Calls the Identity API; it may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, identity_url: str) -> None:
        self._caller = EbayCaller(http, f"{identity_url}{_PATH}")

    async def get_user(self, get_access_token: AccessTokens) -> EbayUser:
        """Returns whose token it is."""
        seller = Seller(SITES["EBAY_US"], get_access_token)
        content = await self._caller.get(seller, "/user", "say who consented", requires="userId")
        site = str(content.get("registrationMarketplaceId") or "")
        return EbayUser(
            user_id=str(content["userId"]),
            username=str(content.get("username") or ""),
            marketplace_id=site if site in SITES else "",
        )
