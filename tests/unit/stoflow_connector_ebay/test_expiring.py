"""What eBay said lately is kept for a time, never longer, and never too much of it."""

from __future__ import annotations

from stoflow_connector_ebay.expiring import ExpiringCache


class SteppedClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Ebay:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def read(self) -> int:
        self.asked += 1
        return self.asked


def make_cache(clock: SteppedClock, **options: float) -> ExpiringCache[str, int]:
    return ExpiringCache(clock, **{"seconds": 10.0, **options})  # type: ignore[arg-type]  # only its monotonic time


async def test_answer_is_kept_until_its_time_is_over() -> None:
    """Within its time the same answer is given without asking, and said to be kept; afterwards eBay is asked."""
    clock, ebay = SteppedClock(), Ebay()
    cache = make_cache(clock)
    assert await cache.get("a", ebay.read) == (1, True)
    clock.seconds = 9.9
    assert await cache.get("a", ebay.read) == (1, False)
    clock.seconds = 10.0
    assert await cache.get("a", ebay.read) == (2, True)


async def test_asking_afresh_replaces_what_is_kept() -> None:
    """An answer that is not good enough is asked for anew, and the new one is kept."""
    clock, ebay = SteppedClock(), Ebay()
    cache = make_cache(clock)
    await cache.get("a", ebay.read)
    assert await cache.get("a", ebay.read, afresh=True) == (2, True)
    assert await cache.get("a", ebay.read) == (2, False)


async def test_what_was_not_asked_for_longest_is_forgotten() -> None:
    """Beyond its size the cache forgets what nobody asked for longest."""
    clock, ebay = SteppedClock(), Ebay()
    cache = make_cache(clock, most=2)
    for key in ("a", "b", "a", "c"):
        await cache.get(key, ebay.read)
    assert (await cache.get("a", ebay.read)).is_fresh is False
    assert (await cache.get("b", ebay.read)).is_fresh is True
