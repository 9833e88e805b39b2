"""Answers that eBay's documents do not foresee: each becomes an error, none a wrong conclusion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from stoflow_connector_ebay.clients.inventory import InventoryClient
from stoflow_connector_ebay.clients.oauth import OAuthClient
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.sites import SITES
from stoflow_connector_sdk import AuthRequiredError, MarketplaceHttpClient, RateLimitedError, RetryableError
from stoflow_service_kit.clock import ManualClock


def answering(*answers: httpx.Response) -> tuple[MarketplaceHttpClient, list[httpx.Request]]:
    """A client whose remote side gives these answers in order."""
    left = list(answers)
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = left.pop(0)
        # A body that is still to be read, as from the network.
        return httpx.Response(
            given.status_code, headers=given.headers, stream=httpx.ByteStream(given.content)
        )

    return MarketplaceHttpClient(transport=httpx.MockTransport(answer)), seen


def seller(site: str = "EBAY_US") -> Seller:
    async def get_access_token(refused: str = "") -> str:
        return f"token-after-{refused}" if refused else "token"

    return Seller(SITES[site], get_access_token)


def offer(**changes: Any) -> dict[str, Any]:
    return {
        "offerId": "1",
        "sku": "S",
        "marketplaceId": "EBAY_US",
        "format": "FIXED_PRICE",
        "status": "UNPUBLISHED",
        **changes,
    }


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"offers"', b"<html>"])
async def test_unreadable_list_of_offers_is_not_taken_for_an_empty_one(body: bytes) -> None:
    """Only an answer in eBay's shape proves that there is no offer."""
    http, _ = answering(httpx.Response(200, content=body))
    with pytest.raises(RetryableError) as caught:
        await InventoryClient(http, "http://ebay").find_offer(seller(), "S")
    assert caught.value.code == "MALFORMED_ANSWER"


async def test_offers_of_other_sites_and_formats_are_not_ours() -> None:
    """eBay does not filter by site, so the client does."""
    offers = [offer(marketplaceId="EBAY_DE"), offer(format="AUCTION"), offer(offerId="3")]
    http, seen = answering(httpx.Response(200, json={"offers": offers}))
    found = await InventoryClient(http, "http://ebay").find_offer(seller(), "S")
    assert found is not None
    assert found.offer_id == "3"
    assert dict(seen[0].url.params) == {"sku": "S", "marketplace_id": "EBAY_US", "format": "FIXED_PRICE"}


async def test_refused_token_is_replaced_once() -> None:
    """The second request carries the token that the refresh gave."""
    http, seen = answering(httpx.Response(401), httpx.Response(200, json=offer()))
    await InventoryClient(http, "http://ebay").get_offer(seller(), "1")
    assert [request.headers["authorization"] for request in seen] == [
        "Bearer token",
        "Bearer token-after-token",
    ]


async def test_sites_speak_their_language() -> None:
    """Texts for the German site are announced as German, and answers are asked for in German."""
    http, seen = answering(httpx.Response(204))
    await InventoryClient(http, "http://ebay").put_inventory_item(
        seller("EBAY_DE"), "S", {"condition": "NEW"}
    )
    assert (seen[0].headers["content-language"], seen[0].headers["accept-language"]) == ("de-DE", "de-DE")


async def test_rate_limit_without_a_wait_has_one_of_ours() -> None:
    """A 429 without Retry-After still says when to come back."""
    http, _ = answering(httpx.Response(429))
    with pytest.raises(RateLimitedError) as caught:
        await InventoryClient(http, "http://ebay").get_offer(seller(), "1")
    assert caught.value.retry_after_seconds == 5


async def test_refreshed_token_ends_when_ebay_says() -> None:
    """The end of a token counts from before the request, so it is never taken for valid too long."""
    clock = ManualClock()
    http, seen = answering(httpx.Response(200, json={"access_token": "a" * 10, "expires_in": 7200}))
    tokens = await OAuthClient(http, "http://ebay", "id", "secret", clock).refresh("refresh-me")
    assert tokens.expire_time == clock.now() + timedelta(seconds=7200)
    assert (tokens.access_token, tokens.refresh_token) == ("a" * 10, "")
    assert seen[0].headers["authorization"] == "Basic aWQ6c2VjcmV0"
    assert seen[0].content == b"grant_type=refresh_token&refresh_token=refresh-me"


@pytest.mark.parametrize(
    ("answer", "expected", "code"),
    [
        (lambda: httpx.Response(400, json={"error": "invalid_grant"}), AuthRequiredError, "invalid_grant"),
        (lambda: httpx.Response(401, json={"error": "invalid_client"}), RetryableError, "invalid_client"),
        (lambda: httpx.Response(400, json={"error": "invalid_scope"}), RetryableError, "invalid_scope"),
        (lambda: httpx.Response(400, content=b"<html>"), RetryableError, "MALFORMED_ANSWER"),
        (lambda: httpx.Response(503), RetryableError, "HTTP_503"),
        (lambda: httpx.Response(429), RateLimitedError, "HTTP_429"),
        (lambda: httpx.Response(200, json={}), RetryableError, "MALFORMED_ANSWER"),
        (
            lambda: httpx.Response(200, json={"access_token": "a", "expires_in": "soon"}),
            RetryableError,
            "MALFORMED_ANSWER",
        ),
        (
            lambda: httpx.Response(200, json={"access_token": "a", "expires_in": True}),
            RetryableError,
            "MALFORMED_ANSWER",
        ),
        (lambda: httpx.Response(200, json={"expires_in": 60}), RetryableError, "MALFORMED_ANSWER"),
    ],
)
async def test_failed_refresh_asks_for_reconnecting_only_when_consent_is_gone(
    answer: Callable[[], httpx.Response], expected: type[Exception], code: str
) -> None:
    """Of all failures only invalid_grant says that the seller must connect again."""
    http, _ = answering(answer())
    with pytest.raises(expected) as caught:
        await OAuthClient(http, "http://ebay", "id", "secret", ManualClock()).refresh("refresh-me")
    assert type(caught.value) is expected
    assert getattr(caught.value, "code", None) == code
