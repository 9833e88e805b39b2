"""The application's own access token, for what eBay tells to anybody: categories and conditions."""

import asyncio
import base64
import contextvars
from typing import Final

from stoflow_connector_ebay.clients.caller import answer_error, malformed, read_object, read_text
from stoflow_connector_sdk import MarketplaceHttpClient
from stoflow_connector_sdk.redaction import known_secrets
from stoflow_service_kit.clock import Clock, SystemClock

_PATH: Final = "/identity/v1/oauth2/token"
_SCOPE: Final = "https://api.ebay.com/oauth/api_scope"
_OPERATION: Final = "give the application a token"
# A token this close to its end is not used for another request.
_MARGIN_SECONDS: Final = 120.0


class ApplicationTokens:
    """Asks for a token by the client-credentials grant, once for all who wait, and keeps it until it ends."""

    def __init__(
        self,
        http: MarketplaceHttpClient,
        auth_url: str,
        client_id: str,
        client_secret: str,
        clock: Clock | None = None,
    ) -> None:
        self._http = http
        self._url = f"{auth_url}{_PATH}"
        self._basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode("ascii")
        self._clock = clock or SystemClock()
        self._lock = asyncio.Lock()
        self._token = ""
        self._ends_at = 0.0

    async def get_access_token(self, refused: str = "") -> str:
        """Returns a token that eBay has not just refused.

        Raises:
            ConnectorError: eBay gives none.
        """
        async with self._lock:
            if not self._token or self._token == refused or self._clock.monotonic() >= self._ends_at:
                # In a context without a task: this POST is none of its effects, and who waits need not hold its lease.
                renewing = asyncio.get_running_loop().create_task(
                    self._renew(), context=contextvars.Context()
                )
                await asyncio.shield(renewing)
            return self._token

    async def _renew(self) -> None:
        asked = self._clock.monotonic()
        response = await self._http.request(
            "POST",
            self._url,
            headers={
                "accept": "application/json",
                "accept-language": "en-US",
                "authorization": f"Basic {self._basic}",
            },
            data={"grant_type": "client_credentials", "scope": _SCOPE},
        )
        if not response.is_success:
            raise answer_error(response, _OPERATION)
        content = read_object(response, _OPERATION)
        lifetime = content.get("expires_in")
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or lifetime <= 0:
            raise malformed(response, _OPERATION, "no expires_in")
        self._token = read_text(content, "access_token", response, _OPERATION)
        known_secrets.add(self._token)
        self._ends_at = asked + lifetime - _MARGIN_SECONDS
