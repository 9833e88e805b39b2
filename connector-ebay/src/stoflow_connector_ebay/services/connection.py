"""Makes an account of a seller's consent."""

import hashlib
from collections import OrderedDict

from stoflow_connector_ebay.clients.identity import IdentityClient
from stoflow_connector_ebay.clients.oauth import OAuthClient
from stoflow_connector_sdk import ConnectedAccount, RefreshedTokens

# Codes live five minutes, so few are ever under way.
_MAX_KEPT = 100


class EbayConnectionService:
    """Exchanges codes; the SDK's action "connect" saves what they give."""

    def __init__(self, oauth: OAuthClient, identity: IdentityClient) -> None:
        self._oauth = oauth
        self._identity = identity
        self._exchanged: OrderedDict[str, RefreshedTokens] = OrderedDict()

    async def exchange(self, code: str, redirect_uri: str, code_verifier: str) -> ConnectedAccount:  # noqa: ARG002
        """Exchanges a code and asks eBay who consented.

        Raises:
            AuthRequiredError: eBay refuses the code.
            RetryableError: It did not answer, or not sensibly.
        """
        tokens = await self._tokens(code, redirect_uri)

        async def only_token(refused: str = "") -> str:  # noqa: ARG001 - there is no other
            return tokens.access_token

        user = await self._identity.get_user(only_token)
        return ConnectedAccount(
            tokens=tokens,
            remote_account_id=user.user_id,
            display_name=user.username,
            sites=[user.marketplace_id] if user.marketplace_id else [],
        )

    async def _tokens(self, code: str, redirect_uri: str) -> RefreshedTokens:
        # eBay takes a code once. When only the question after it failed, the next attempt needs the same tokens.
        key = hashlib.sha256(code.encode()).hexdigest()
        if key not in self._exchanged:
            self._exchanged[key] = await self._oauth.exchange(code, redirect_uri)
            while len(self._exchanged) > _MAX_KEPT:
                self._exchanged.popitem(last=False)
        return self._exchanged[key]
