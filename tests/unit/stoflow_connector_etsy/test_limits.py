"""Etsy's limits, as its answers tell them."""

from __future__ import annotations

import httpx
import pytest

from stoflow_connector_etsy.clients.limits import EtsyLimits
from stoflow_connector_sdk import RateLimitedError, RateLimiter
from stoflow_service_kit.clock import ManualClock


def answer(status: int = 200, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, headers=headers)


def make(ending_share: float = 0.05) -> tuple[EtsyLimits, ManualClock]:
    clock = ManualClock()
    limiter = RateLimiter(ending_share=ending_share, longest_wait_seconds=0.0, clock=clock)
    return EtsyLimits(limiter), clock


async def refused_seconds(limits: EtsyLimits, account: str = "a", *, ending: bool = False) -> float:
    """How long the next call would have to wait; 0 when it passes."""
    try:
        await limits.acquire(account, ending=ending)
    except RateLimitedError as error:
        return error.retry_after_seconds or 0.0
    return 0.0


async def test_nothing_is_assumed_before_the_first_answer() -> None:
    """Until Etsy has told its limits, calls pass."""
    limits, _ = make()
    assert [await refused_seconds(limits) for _ in range(500)] == [0.0] * 500


@pytest.mark.parametrize("name", ["x-remaining-this-second", "x-remaining-this-secon"])
async def test_second_that_is_used_up_is_waited_out(name: str) -> None:
    """No call is sent into a second without any left, also when the header's name is cut off."""
    limits, _ = make()
    limits.note("a", answer(headers={"x-limit-per-second": "10", name: "0"}))
    assert 0 < await refused_seconds(limits) <= 1


async def test_day_that_is_used_up_is_a_long_wait_for_everybody() -> None:
    """A 429 with nothing left today holds all accounts back for as long as Etsy says, and nothing is sent."""
    limits, clock = make()
    headers = {"x-limit-per-day": "5000", "x-remaining-today": "0", "retry-after": "86400"}
    assert limits.note("a", answer(429, headers)) == 86_400
    assert await refused_seconds(limits, "b") >= 86_000
    assert await refused_seconds(limits, "a", ending=True) >= 86_000
    await clock.advance(90_000)
    assert await refused_seconds(limits, "b") == 0


async def test_last_calls_of_the_day_are_for_endings() -> None:
    """A twentieth of the day is kept for taking things off the market."""
    limits, _ = make()
    limits.note("a", answer(headers={"x-limit-per-day": "1000", "x-remaining-today": "40"}))
    assert await refused_seconds(limits) > 60
    assert await refused_seconds(limits, ending=True) == 0


async def test_second_that_is_over_holds_back_one_account() -> None:
    """A 429 of the second concerns whoever sent it; nobody else waits."""
    limits, _ = make()
    headers = {"x-limit-per-day": "5000", "x-remaining-today": "4000"}
    assert limits.note("a", answer(429, headers)) == 1.0
    assert await refused_seconds(limits, "a") == 1.0
    assert await refused_seconds(limits, "b") == 0.0


async def test_answer_without_headers_teaches_nothing() -> None:
    """An answer of a proxy changes no limit."""
    limits, _ = make()
    assert limits.note("a", answer(502)) is None
    assert await refused_seconds(limits) == 0
