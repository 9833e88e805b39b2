"""One authorized exchange with eBay: headers, token, and what its answer means."""

from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import EbayAnswer, error_of
from stoflow_connector_sdk import (
    ConnectorError,
    EffectOutcome,
    MarketplaceHttpClient,
    RetryableError,
    effect_after,
    retry_after_seconds,
)

# A 429 without Retry-After: eBay's short limits are counted over five seconds.
RATE_LIMIT_SECONDS = 5.0


class EbayCaller:
    """Sends requests for one API."""

    def __init__(self, http: MarketplaceHttpClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    async def get(
        self,
        seller: Seller,
        path: str,
        operation: str,
        *,
        requires: str,
        params: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """Reads; returns the JSON object of the answer, which has the field `requires` if one is named."""
        response = await self._send(seller, "GET", path, operation, params=params)
        content = read_object(response, operation)
        # An empty object with status 200 must not pass for "there is nothing".
        if requires and requires not in content:
            raise malformed(response, operation, f"no {requires}")
        return content

    async def write(
        self,
        seller: Seller,
        method: str,
        path: str,
        operation: str,
        body: Mapping[str, Any] | None = None,
        *,
        language: str = "",
    ) -> httpx.Response:
        """Sends texts in a language, the site's unless another is named; or no body at all."""
        headers = {"content-type": "application/json", "content-language": language or seller.site.language}
        content = None if body is None else orjson.dumps(body)
        return await self._send(seller, method, path, operation, headers=headers, content=content)

    async def upload(
        self, seller: Seller, path: str, operation: str, files: Mapping[str, Any]
    ) -> httpx.Response:
        """Sends a multipart form; its Content-Type carries the boundary, so only httpx can set it."""
        return await self._send(seller, "POST", path, operation, files=files)

    async def _send(
        self,
        seller: Seller,
        method: str,
        path: str,
        operation: str,
        headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> httpx.Response:
        """Sends once, and once more with another token when eBay refuses the first.

        Raises:
            ConnectorError: By the table of errors, or the transport's own.
        """
        refused = ""
        while True:
            token = await _token(seller, refused)
            response = await self._http.request(
                method,
                f"{self._base_url}{path}",
                headers={
                    "accept": "application/json",
                    # HTTP libraries send "*" or nothing by themselves; eBay answers either with error 25709.
                    "accept-language": seller.site.language,
                    "authorization": f"Bearer {token}",
                    **(headers or {}),
                },
                **arguments,
            )
            if response.is_success:
                return response
            if response.status_code == 401 and not refused:
                refused = token
                continue
            raise answer_error(response, operation)


def answer_error(response: httpx.Response, operation: str) -> ConnectorError:
    """Returns the error for an answer that is not the one hoped for."""
    answer = EbayAnswer(
        status=response.status_code,
        body=response.content,
        effect=effect_after(response.request),
        retry_after_seconds=retry_after_seconds(response),
    )
    error = error_of(answer, operation)
    if response.status_code == 429 and error.retry_after_seconds is None:
        error.retry_after_seconds = RATE_LIMIT_SECONDS
    return error


def read_object(response: httpx.Response, operation: str) -> Mapping[str, Any]:
    """Returns a successful answer's JSON object; an absent body is an empty one.

    Raises:
        RetryableError: It is no JSON object. Something did happen, but what eBay said of it is lost.
    """
    if not response.content:
        return {}
    try:
        content = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise malformed(response, operation, "no JSON object")
    return content


def read_text(content: Mapping[str, Any], name: str, response: httpx.Response, operation: str) -> str:
    """Returns a field that the answer must have.

    Raises:
        RetryableError: It does not have it.
    """
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise malformed(response, operation, f"no {name}")
    return value


def malformed(response: httpx.Response, operation: str, lacks: str) -> RetryableError:
    """Returns the error for a success that cannot be read."""
    return RetryableError(
        f"eBay's answer when asked to {operation} has {lacks}.",
        effect=effect_after(response.request),
        code="MALFORMED_ANSWER",
        http_status=response.status_code,
        raw_body=response.content,
    )


async def _token(seller: Seller, refused: str) -> str:
    try:
        return await seller.get_access_token(refused=refused)
    except ConnectorError as error:
        # Nothing was sent for lack of a token; after a 401 the request before was refused whole.
        error.effect = EffectOutcome.NOT_SENT
        raise
