"""Rate limits of the Etsy sandbox, its headers, its store, and its signatures."""

import base64
import hashlib
import hmac
from pathlib import Path

import httpx
import pytest

from stoflow_sandbox.marketplaces.etsy.limits import RateLimiter
from stoflow_sandbox.marketplaces.etsy.store import FolderStore
from stoflow_sandbox.marketplaces.etsy.webhooks import new_secret, sign
from tests.integration.sandbox_etsy.etsy_client import EtsyClient
from tests.unit.stoflow_sandbox.marketplaces.etsy_site import EtsySite, error


def test_headers_count_down(etsy: EtsyClient) -> None:
    """Every answer carries both limits and what is left of them."""
    first, second = etsy.call("GET", "/users/me"), etsy.call("GET", "/users/me")

    assert first.headers["x-limit-per-second"] == "150"
    assert first.headers["x-limit-per-day"] == "100000"
    assert int(first.headers["x-remaining-today"]) - int(second.headers["x-remaining-today"]) == 1


def test_header_may_be_cut_short(site: EtsySite, etsy: EtsyClient) -> None:
    """On demand the name of one header lacks its last letter."""
    site.marketplace.limits.of_seller("ann").is_header_truncated = True

    headers = etsy.call("GET", "/users/me").headers

    assert "x-remaining-this-secon" in headers
    assert "x-remaining-this-second" not in headers


def test_second_is_limited_for_a_second() -> None:
    """One call too many in a second is refused with retry-after 1, and the next second is free."""
    limiter = RateLimiter()
    limiter.of_app("key").per_second = 2

    answers = [limiter.admit("key", "ann", now)[0] for now in (10.0, 10.2, 10.4, 11.1)]

    assert [answer.status if answer else None for answer in answers] == [None, None, 429, None]
    assert answers[2] is not None
    assert answers[2].headers["retry-after"] == "1"


def test_day_slides() -> None:
    """The day's limit counts the last 24 hours, and says when the oldest call leaves them."""
    limiter = RateLimiter()
    limiter.of_seller("ann").per_day = 2
    for now in (0.0, 3600.0):
        assert limiter.admit("key", "ann", now)[0] is None

    refused, headers = limiter.admit("key", "ann", 7200.0)

    assert refused is not None
    assert refused.headers["retry-after"] == str(24 * 3600 - 7200)
    assert headers["x-remaining-today"] == "0"
    assert limiter.admit("key", "ann", 24 * 3600.0 + 1)[0] is None
    assert limiter.admit("key", "ann", 24 * 3600.0 + 2)[0] is not None


def test_seller_and_application_are_limited_apart() -> None:
    """A seller at its limit does not stop another; an application at its limit stops all."""
    limiter = RateLimiter()
    limiter.of_seller("ann").per_day = 0
    assert limiter.admit("key", "ann", 1.0)[0] is not None
    assert limiter.admit("key", "bob", 1.0)[0] is None
    limiter.of_app("key").per_day = 1

    assert limiter.admit("key", "bob", 2.0)[0] is not None


def test_used_up_day_answers_429_with_the_wait_it_was_told(site: EtsySite, etsy: EtsyClient) -> None:
    """The retry-after that was seen in the wild can be asked for; reading on does not help, waiting does."""
    limit = site.marketplace.limits.of_seller("ann")
    limit.per_day, limit.retry_after_seconds = 10, 86400
    limit.use(10, site.clock.now())

    refused = etsy.call("GET", "/users/me")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "86400")
    assert error(refused) == "Exceeded daily rate limit"
    site.clock.advance(24 * 3600 + 1)
    etsy.refresh()
    assert etsy.call("GET", "/users/me").status_code == 200


def test_signature_is_standard_webhooks() -> None:
    """The signature is base64 of HMAC-SHA256 over id.timestamp.body with the decoded secret."""
    secret = new_secret()
    key = base64.b64decode(secret.removeprefix("whsec_"))

    expected = hmac.new(key, b"msg_1.1800000000." + b'{"a": 1}', hashlib.sha256).digest()

    assert sign(secret, "msg_1", "1800000000", b'{"a": 1}') == f"v1,{base64.b64encode(expected).decode()}"


def test_kept_world_is_the_same_again(site: EtsySite, etsy: EtsyClient, tmp_path: Path) -> None:
    """A world written to a folder comes back whole, with its number ranges, for everything but access tokens."""
    listing_id = etsy.publish()
    seller = site.world.sellers["ann"]
    store = FolderStore(tmp_path)
    store.save(site.world, seller)

    world = store.load()

    assert world.sellers["ann"] == seller
    assert world.apps == site.world.apps
    assert world.find_listing(listing_id) is not None
    assert world.find_shop(seller.shop_id) is not None
    assert world.ids.last == site.world.ids.last
    assert world.tokens == {}
    store.forget("ann")
    assert store.load().sellers == {}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_injected_statuses_have_etsys_body(site: EtsySite, status: int) -> None:
    """An injected failure looks like Etsy's own."""
    content = site.marketplace.fault_content(status, "/v3/application/users/me")

    assert set(content) == {"error"}
    assert httpx.Response(status, json=content).json() == content
