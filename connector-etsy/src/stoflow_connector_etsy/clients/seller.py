"""On whose behalf Etsy is called."""

from dataclasses import dataclass
from typing import Protocol


class AccessTokens(Protocol):
    """Gives the seller's access token."""

    async def __call__(self, refused: str = "") -> str:
        """Returns a token; never the one that Etsy has just refused."""
        ...


@dataclass(frozen=True, slots=True)
class Seller:
    """What every call for a shop needs.

    Attributes:
        shop_id: The shop.
        account_id: Whose calls are counted.
        get_access_token: Gives the bearer token.
        ending: Whether the calls take something off the market, and so may use the calls kept for that.
    """

    shop_id: int
    account_id: str
    get_access_token: AccessTokens
    ending: bool = False
