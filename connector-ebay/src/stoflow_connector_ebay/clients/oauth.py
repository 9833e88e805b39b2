"""eBay's OAuth token endpoint; no document of the API describes it, so RFC 6749 and eBay's guide do."""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

import httpx

from stoflow_connector_ebay.clients.caller import answer_error, malformed, read_object, read_text
from stoflow_connector_sdk import (
    AuthRequiredError,
    MarketplaceHttpClient,
    RefreshedTokens,
    RetryableError,
    effect_after,
)
from stoflow_service_kit.clock import Clock, SystemClock

_PATH = "/identity/v1/oauth2/token"
_REFRESH = "refresh the access token"
_EXCHANGE = "exchange the authorization code"
# The seller's consent is worth nothing any more; any other refusal is about this application.
_CONSENT_LOST: Final = "invalid_grant"
# Wrong application credentials are repaired by an operator, not by the next second's attempt.
_CONFIGURATION_RETRY_SECONDS = 300.0


class OAuthClient:
    """Gets sellers' tokens with the application's own credentials."""

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

    async def refresh(self, refresh_token: str) -> RefreshedTokens:
        """Asks for a new access token; eBay keeps the refresh token as it is, and the scopes as consented.

        Raises:
            AuthRequiredError: The seller must give consent again.
            RetryableError: eBay did not answer, not sensibly, or refuses this application.
            RateLimitedError: Too many refreshes.
        """
        tokens, _ = await self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token}, _REFRESH)
        return tokens

    async def exchange(self, code: str, ru_name: str) -> RefreshedTokens:
        """Exchanges an authorization code, once: eBay takes it only once.

        Args:
            code: As eBay gave it to the seller's browser, URL-decoded or not.
            ru_name: eBay's name of the redirect address, with which the consent was asked for.

        Raises:
            AuthRequiredError: The code is used up, over, or another application's.
            RetryableError: eBay did not answer, not sensibly, or refuses this application.
            RateLimitedError: Too many exchanges.
        """
        # A decoded code has a "^" in it, which no encoded one has.
        plain = code if "^" in code else unquote(code)
        form = {"grant_type": "authorization_code", "code": plain, "redirect_uri": ru_name}
        tokens, content = await self._ask(form, _EXCHANGE)
        refresh_token = content.get("refresh_token")
        if not isinstance(refresh_token, str) or not refresh_token:
            raise RetryableError(
                "eBay's answer to the exchange has no refresh_token.", code="MALFORMED_ANSWER"
            )
        return RefreshedTokens(tokens.access_token, tokens.expire_time, refresh_token)

    async def _ask(
        self, form: Mapping[str, str], operation: str
    ) -> tuple[RefreshedTokens, Mapping[str, Any]]:
        asked = self._clock.now()
        response = await self._http.request(
            "POST",
            self._url,
            headers={
                "accept": "application/json",
                "accept-language": "en-US",
                "authorization": f"Basic {self._basic}",
            },
            data=form,
        )
        if not response.is_success:
            raise _refusal(response, operation)
        content = read_object(response, operation)
        lifetime = content.get("expires_in")
        if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or lifetime <= 0:
            raise malformed(response, operation, "no expires_in")
        tokens = RefreshedTokens(
            access_token=read_text(content, "access_token", response, operation),
            expire_time=_later(asked, lifetime),
        )
        return tokens, content


def _refusal(response: httpx.Response, operation: str) -> Exception:
    if response.status_code == 429 or response.status_code >= 500:
        return answer_error(response, operation)
    try:
        content = read_object(response, operation)
    except RetryableError as error:
        return error
    code = str(content.get("error") or f"HTTP_{response.status_code}")
    reason = str(content.get("error_description") or "no reason given")
    if code == _CONSENT_LOST:
        return AuthRequiredError(
            f"eBay refused to {operation}: {reason}. The seller must connect the account again.",
            effect=effect_after(response.request),
            code=code,
            http_status=response.status_code,
            raw_body=response.content,
        )
    return RetryableError(
        f"eBay refused this application when asked to {operation}: {code}, {reason}. "
        "Check EBAY_CLIENT_ID and EBAY_CLIENT_SECRET.",
        effect=effect_after(response.request),
        code=code,
        http_status=response.status_code,
        raw_body=response.content,
        retry_after_seconds=_CONFIGURATION_RETRY_SECONDS,
    )


def _later(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)
