"""On whose behalf, and for which site, eBay is called."""

from dataclasses import dataclass
from typing import Protocol

from stoflow_connector_ebay.sites import EbaySite


class AccessTokens(Protocol):
    """Gives the seller's access token."""

    async def __call__(self, refused: str = "") -> str:
        """Returns a token; never the one that eBay has just refused."""
        ...


@dataclass(frozen=True, slots=True)
class Seller:
    """The two things that every call to a selling API needs.

    Attributes:
        site: Decides the languages.
        get_access_token: Gives the bearer token.
    """

    site: EbaySite
    get_access_token: AccessTokens
