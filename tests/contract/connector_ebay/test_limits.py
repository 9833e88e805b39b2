"""eBay's quotas: read, counted, kept for endings, and never run into."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stoflow_connector_ebay.clients.analytics import AnalyticsClient
from stoflow_connector_ebay.clients.application import ApplicationTokens
from stoflow_connector_ebay.clients.inventory import InventoryClient
from stoflow_connector_ebay.clients.oauth import OAuthClient
from stoflow_connector_ebay.clients.pacing import PacedHttpClient, QuotaReader, make_limiter
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.sites import SITES
from stoflow_connector_sdk import EffectOutcome, MarketplaceHttpClient, RateLimitedError
from stoflow_connector_sdk.task import set_current_task
from stoflow_sandbox.marketplaces.control import SandboxControl
from stoflow_service_kit.clock import SystemClock
from tests.contract.connector_ebay.publishing import Publishing, RefreshingTokens


class Clock(SystemClock):
    """The machine's clock, moved forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Caller:
    """One process of the connector, on behalf of one seller."""

    def __init__(self, control: SandboxControl, publishing: Publishing) -> None:
        self.clock = Clock()
        self.control = control
        seller = publishing.seller
        self.plain = MarketplaceHttpClient(timeout_seconds=5)
        oauth = OAuthClient(self.plain, control.base_url, seller.client_id, seller.client_secret)
        limiter = make_limiter(self.clock)
        application = ApplicationTokens(self.plain, control.base_url, seller.client_id, seller.client_secret)
        quotas = QuotaReader(AnalyticsClient(self.plain, control.base_url), application, limiter, self.clock)
        self.paced = PacedHttpClient(limiter, quotas, timeout_seconds=5)
        self.inventory = InventoryClient(self.paced, control.base_url)
        self.tokens = RefreshingTokens(oauth, seller.refresh_token)
        self.publishing = publishing

    async def read(self, action: str = "publish") -> None:
        """Asks eBay for an offer that does not exist, within a task of this action."""
        made = self.publishing.task("put_inventory_item")
        task = replace(made, action=action, token_source=self.tokens)
        set_current_task(task)
        try:
            offer = await self.inventory.find_offer_by_id(
                Seller(SITES["EBAY_US"], task.get_access_token), "1"
            )
            assert offer is None
        finally:
            set_current_task(None)

    def sent(self, operation: str) -> list[dict[str, Any]]:
        return self.control.requests(operation=operation, seller=self.publishing.seller.username)

    async def aclose(self) -> None:
        await self.plain.aclose()
        await self.paced.aclose()


@pytest.fixture
async def caller(control: SandboxControl, publishing: Publishing) -> Any:
    """A process with a seller whose application nobody else uses."""
    client_id = f"app-of-{publishing.seller.username}"
    publishing.seller = control.seed_seller(
        publishing.seller.username,
        client_id=client_id,
        client_secret="hush-hush",
        refresh_token=f"v^1.1#r^1#{publishing.seller.username}",
    )
    caller = Caller(control, publishing)
    yield caller
    await caller.aclose()


async def test_quotas_are_read_once_for_many_calls(caller: Caller) -> None:
    """Analytics is asked before the first call, for application and seller, and again only when that is old."""
    for _ in range(3):
        await caller.read()
    assert len(caller.sent("getOffer")) == 3
    assert len(caller.sent("getUserRateLimits")) == 1
    caller.clock.ahead = 601
    before = len(caller.control.requests(operation="getRateLimits"))
    await caller.read()
    assert len(caller.control.requests(operation="getRateLimits")) == before + 1
    assert len(caller.sent("getUserRateLimits")) == 1
    caller.clock.ahead = 3601
    await caller.read()
    assert len(caller.sent("getUserRateLimits")) == 2


async def test_used_up_day_sends_nothing_but_endings(caller: Caller) -> None:
    """With five percent of the day left publishing waits for the reset unsent, and deleting goes on."""
    client_id = caller.publishing.seller.client_id
    caller.control.set_quota("sell.inventory", 100, client_id=client_id, used=95)
    with pytest.raises(RateLimitedError) as caught:
        await caller.read()
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert 0 < (caught.value.retry_after_seconds or 0) <= 86_400
    assert caller.sent("getOffer") == []
    for _ in range(5):
        await caller.read("delete")
    with pytest.raises(RateLimitedError):
        await caller.read("delete")
    # Counted here as at eBay: it never had to refuse.
    assert [entry["status"] for entry in caller.sent("getOffer")] == [404] * 5


async def test_sellers_own_quota_is_kept_too(caller: Caller) -> None:
    """A limit that eBay sets for one seller stops that seller."""
    username = caller.publishing.seller.username
    caller.control.set_quota("sell.inventory", 10, seller=username, used=10, window_seconds=3600)
    with pytest.raises(RateLimitedError) as caught:
        await caller.read("delete")
    assert (caught.value.retry_after_seconds or 0) <= 3600
    assert caller.sent("getOffer") == []


async def test_retry_after_of_a_refusal_is_kept(caller: Caller) -> None:
    """After a 429 nothing is sent for as long as eBay asked, and the quotas are read anew."""
    await caller.read()
    caller.control.add_fault(
        "status",
        method="GET",
        path="/sell/inventory/v1/offer/*",
        seller=caller.publishing.seller.username,
        status=429,
        retry_after_seconds=120,
    )
    caller.clock.ahead = 61
    with pytest.raises(RateLimitedError) as refused:
        await caller.read()
    assert (refused.value.http_status, refused.value.retry_after_seconds) == (429, 120)
    with pytest.raises(RateLimitedError) as kept:
        await caller.read("delete")
    assert (kept.value.http_status, kept.value.code) == (0, "LOCAL_RATE_LIMIT")
    assert len(caller.sent("getOffer")) == 2
    assert len(caller.sent("getUserRateLimits")) == 2
    caller.clock.ahead = 182
    await caller.read()


async def test_calls_go_on_when_the_quotas_cannot_be_read(caller: Caller) -> None:
    """Analytics out of order costs no task its work."""
    caller.control.add_fault("status", method="GET", path="/developer/**", status=500, times=2)
    await caller.read()
    assert len(caller.sent("getOffer")) == 1
