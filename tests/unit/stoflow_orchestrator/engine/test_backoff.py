"""Delays before another attempt."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.engine.backoff import RetryPolicy


@given(failures=st.integers(1, 10_000), base=st.floats(0, 100), cap=st.floats(0, 1_000))
def test_delay_stays_between_zero_and_the_bound_of_its_failure(
    failures: int, base: float, cap: float
) -> None:
    """However many failures, the delay is at most base doubled each time, and at most the cap."""
    delay = RetryPolicy(base, cap).delay(failures).total_seconds()
    bound = min(cap, base * 2 ** min(failures - 1, 30))
    assert 0 <= delay <= bound + 1e-6


@given(failures=st.integers(1, 50), asked=st.floats(0, 10_000))
def test_delay_is_at_least_what_the_marketplace_asked(failures: int, asked: float) -> None:
    """retry_after is honoured even beyond the cap."""
    at_least = timedelta(seconds=asked)
    assert RetryPolicy(1, 10).delay(failures, at_least) >= at_least


def test_delays_differ_so_that_jobs_that_failed_together_return_apart() -> None:
    """Full jitter spreads a hundred retries over the whole range."""
    delays = [RetryPolicy(10, 10).delay(1).total_seconds() for _ in range(100)]
    assert min(delays) < 3
    assert max(delays) > 7
