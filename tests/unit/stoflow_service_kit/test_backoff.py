import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_service_kit.backoff import Backoff


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (10_000, 10)]
)
def test_grows_to_its_cap(failures: int, seconds: float) -> None:
    """Without jitter delays double from the first to the cap and stay there."""
    backoff = Backoff(initial_seconds=1, maximum_seconds=10, jitter=0)
    assert backoff.delay_seconds(failures) == seconds


@given(
    failures=st.integers(1, 10**9),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1),
)
def test_jitter_only_shortens_a_delay_by_its_share(failures: int, jitter: float, chance: float) -> None:
    """Any delay lies between the share that is not random and the full delay."""
    full = Backoff(jitter=0).delay_seconds(failures)
    delay = Backoff(jitter=jitter).delay_seconds(failures, lambda: chance)
    assert full * (1 - jitter) - 1e-9 <= delay <= full + 1e-9
