"""One authorized exchange with Etsy: headers, token, limits, and what its answer means."""

from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from stoflow_connector_etsy.clients.limits import EtsyLimits
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.errors import EtsyAnswer, error_of
from stoflow_connector_sdk import (
    ConnectorError,
    MarketplaceHttpClient,
    RetryableError,
    effect_after,
    effect_so_far,
    retry_after_seconds,
)

Json = Mapping[str, Any]

_PATH = "/v3/application"


class EtsyCaller:
    """Sends requests to the Open API."""

    def __init__(self, http: MarketplaceHttpClient, api_url: str, api_key: str, limits: EtsyLimits) -> None:
        """Prepares a caller.

        Args:
            http: Sends.
            api_url: `https://openapi.etsy.com`.
            api_key: The application's `keystring:shared_secret`.
            limits: The pace.
        """
        self._http = http
        self._base_url = f"{api_url.rstrip('/')}{_PATH}"
        self._api_key = api_key
        self._limits = limits

    async def get(
        self,
        seller: Seller,
        path: str,
        operation: str,
        *,
        requires: str,
        params: Mapping[str, str] | None = None,
    ) -> Json:
        """Reads; returns the JSON object of the answer, which has the field `requires`."""
        response = await self.send(seller, "GET", path, operation, params=params)
        content = read_object(response, operation)
        # An empty object with status 200 must not pass for "there is nothing".
        if requires not in content:
            raise malformed(response, operation, f"no {requires}")
        return content

    async def write(
        self,
        seller: Seller,
        method: str,
        path: str,
        operation: str,
        *,
        requires: str,
        **arguments: Any,
    ) -> Json:
        """Writes a form (`data`), JSON (`json`) or files; returns the answer, which has the field `requires`."""
        response = await self.send(seller, method, path, operation, **arguments)
        content = read_object(response, operation)
        if requires not in content:
            raise malformed(response, operation, f"no {requires}")
        return content

    async def send(
        self, seller: Seller, method: str, path: str, operation: str, **arguments: Any
    ) -> httpx.Response:
        """Sends once, and once more with another token when Etsy refuses the first.

        Raises:
            ConnectorError: By the table of errors, or the transport's own.
        """
        refused = ""
        while True:
            token = await _token(seller, refused)
            await self._limits.acquire(seller.account_id, ending=seller.ending)
            response = await self._http.request(
                method,
                f"{self._base_url}{path}",
                headers={
                    "accept": "application/json",
                    "x-api-key": self._api_key,
                    "authorization": f"Bearer {token}",
                },
                **arguments,
            )
            wait = self._limits.note(seller.account_id, response)
            if response.is_success:
                return response
            if response.status_code == 401 and not refused:
                refused = token
                continue
            raise answer_error(response, operation, wait)


def answer_error(response: httpx.Response, operation: str, wait: float | None = None) -> ConnectorError:
    """Returns the error for an answer that is not the one hoped for."""
    answer = EtsyAnswer(
        status=response.status_code,
        body=response.content,
        effect=effect_after(response.request),
        retry_after_seconds=retry_after_seconds(response) if wait is None else wait,
    )
    return error_of(answer, operation)


def read_object(response: httpx.Response, operation: str) -> Json:
    """Returns a successful answer's JSON object; an absent body is an empty one.

    Raises:
        RetryableError: It is no JSON object. Something did happen, but what Etsy said of it is lost.
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


def malformed(response: httpx.Response, operation: str, lacks: str) -> RetryableError:
    """Returns the error for a success that cannot be read."""
    return RetryableError(
        f"Etsy's answer when asked to {operation} has {lacks}.",
        effect=effect_after(response.request),
        code="MALFORMED_ANSWER",
        http_status=response.status_code,
        raw_body=response.content,
    )


async def _token(seller: Seller, refused: str) -> str:
    try:
        return await seller.get_access_token(refused=refused)
    except ConnectorError as error:
        # Asking for a token sends nothing of the task's own, and a request that got a 401 was refused whole.
        error.effect = effect_so_far()
        raise
