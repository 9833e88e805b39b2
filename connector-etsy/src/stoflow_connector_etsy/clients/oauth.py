"""Etsy's OAuth token endpoint: refresh tokens that are worth one use each, and codes bound to a verifier.

No document of the API describes it, so RFC 6749, RFC 7636 and Etsy's guide do.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import httpx

from stoflow_connector_etsy.clients.caller import answer_error, malformed, read_object
from stoflow_connector_sdk import (
    AuthRequiredError,
    EffectOutcome,
    MarketplaceHttpClient,
    RefreshedTokens,
    RetryableError,
    effect_after,
)
from stoflow_service_kit.clock import Clock, SystemClock

_PATH = "/v3/public/oauth/token"
_REFRESH = "refresh the tokens"
_EXCHANGE = "exchange the code"
# The seller's consent is worth nothing any more; any other refusal is about this application.
_CONSENT_LOST: Final = frozenset({"invalid_grant", "invalid_token"})
# Wrong application credentials are repaired by an operator, not by the next second's attempt.
_CONFIGURATION_RETRY_SECONDS = 300.0


class OAuthClient:
    """Gets tokens with the application's keystring; there is no secret in these requests."""

    def __init__(
        self, http: MarketplaceHttpClient, auth_url: str, keystring: str, clock: Clock | None = None
    ) -> None:
        self._http = http
        self._url = f"{auth_url.rstrip('/')}{_PATH}"
        self._keystring = keystring
        self._clock = clock or SystemClock()

    async def refresh(self, refresh_token: str) -> RefreshedTokens:
        """Trades a refresh token for an access token and the next refresh token.

        Etsy takes each refresh token once. When its answer is lost, nobody knows whether it took this one, so the
        same one is tried once more: it is either taken now, or the consent is lost with the answer.

        Raises:
            AuthRequiredError: The seller must give consent again.
            RetryableError: Etsy did not answer, not sensibly, or refuses this application.
            RateLimitedError: Too many refreshes.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        try:
            return await self._ask(form, _REFRESH)
        except RetryableError as error:
            if error.effect is EffectOutcome.NOT_SENT or error.retry_after_seconds is not None:
                raise
        return await self._ask(form, _REFRESH)

    async def trade_code(self, code: str, redirect_uri: str, code_verifier: str) -> RefreshedTokens:
        """Trades the code of a consent for tokens.

        Raises:
            AuthRequiredError: The code is over, used, or not of this consent.
            RetryableError: Etsy did not answer, not sensibly, or refuses this application.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
        }
        return await self._ask(form, _EXCHANGE)

    async def _ask(self, form: Mapping[str, str], operation: str) -> RefreshedTokens:
        asked = self._clock.now()
        response = await self._http.request(
            "POST",
            self._url,
            headers={"accept": "application/json"},
            data={**form, "client_id": self._keystring},
        )
        if not response.is_success:
            raise _refusal(response, operation)
        content = read_object(response, operation)
        texts = [content.get(name) for name in ("access_token", "refresh_token")]
        lifetime = content.get("expires_in")
        is_number = isinstance(lifetime, int | float) and not isinstance(lifetime, bool)
        if not all(isinstance(text, str) and text for text in texts) or not is_number:
            raise malformed(response, operation, "not all of access_token, refresh_token and expires_in")
        return RefreshedTokens(
            access_token=str(texts[0]),
            expire_time=asked + timedelta(seconds=max(float(lifetime or 0), 0.0)),
            refresh_token=str(texts[1]),
        )


def _refusal(response: httpx.Response, operation: str) -> Exception:
    if response.status_code == 429 or response.status_code >= 500:
        return answer_error(response, operation)
    try:
        content = read_object(response, operation)
    except RetryableError as error:
        return error
    code = str(content.get("error") or f"HTTP_{response.status_code}")
    reason = str(content.get("error_description") or "no reason given")
    if code in _CONSENT_LOST:
        return AuthRequiredError(
            f"Etsy refused to {operation}: {reason}. The seller must connect the account again.",
            effect=effect_after(response.request),
            code=code,
            http_status=response.status_code,
            raw_body=response.content,
        )
    return RetryableError(
        f"Etsy refused this application when asked to {operation}: {code}, {reason}. Check ETSY_KEYSTRING.",
        effect=effect_after(response.request),
        code=code,
        http_status=response.status_code,
        raw_body=response.content,
        retry_after_seconds=_CONFIGURATION_RETRY_SECONDS,
    )
