"""Connects a seller's shop: trades the code of the consent, and asks Etsy whose it is and what it has set up."""

from collections.abc import Sequence
from typing import Any, Final

from stoflow_connector_etsy.clients.caller import Json
from stoflow_connector_etsy.clients.oauth import OAuthClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.clients.shop import ShopClient
from stoflow_connector_sdk import AuthRequiredError, ConnectedAccount, PermanentError, Violation

# Fixed with the consent: what is asked for later needs another one.
SCOPES: Final = ("listings_r", "listings_w", "listings_d", "transactions_r", "shops_r")


class EtsyConnectionService:
    """Exchanges authorization codes."""

    def __init__(self, oauth: OAuthClient, shop: ShopClient) -> None:
        self._oauth = oauth
        self._shop = shop

    async def exchange(self, code: str, redirect_uri: str, code_verifier: str) -> ConnectedAccount:
        """Exchanges a code; a shop that has one of each profile needs no further settings.

        Raises:
            AuthRequiredError: Etsy refuses the code.
            PermanentError: Who consented has no shop.
            RetryableError: Etsy did not answer, or not sensibly.
        """
        tokens = await self._oauth.trade_code(code, redirect_uri, code_verifier)

        async def get_access_token(refused: str = "") -> str:
            if refused:
                raise AuthRequiredError(
                    "Etsy refused the token that it had just given.", code="TOKEN_REFUSED"
                )
            return tokens.access_token

        whoever = Seller(0, "", get_access_token)
        owner = await self._shop.get_self(whoever)
        shop_id = owner.get("shop_id")
        if not isinstance(shop_id, int) or shop_id < 1:
            text = "whoever consented has no shop on Etsy; open one first"
            raise PermanentError(text, violations=[Violation("account", text)], code="SHOP_MISSING")
        seller = Seller(shop_id, "", get_access_token)
        shop = await self._shop.get_shop(seller)
        return ConnectedAccount(
            tokens=tokens,
            remote_account_id=str(shop_id),
            display_name=str(shop.get("shop_name") or ""),
            settings={"shopId": str(shop_id), **await self._profiles(seller)},
        )

    async def _profiles(self, seller: Seller) -> dict[str, Any]:
        found = {
            "shippingProfileId": _only(
                await self._shop.list_shipping_profiles(seller), "shipping_profile_id"
            ),
            "returnPolicyId": _only(await self._shop.list_return_policies(seller), "return_policy_id"),
            "readinessStateId": _only(await self._shop.list_readiness_states(seller), "readiness_state_id"),
        }
        return {name: value for name, value in found.items() if value}


def _only(entries: Sequence[Json], key: str) -> str:
    # Of several the seller must choose.
    ids = [str(entry[key]) for entry in entries if not entry.get("is_deleted") and entry.get(key)]
    return ids[0] if len(ids) == 1 else ""
