"""What the counters promise, whatever comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_connector_sdk.http.rates import Counter, Quota, Rate, TokenBucket, make_counter

RATES = st.builds(Rate, st.integers(1, 300), st.sampled_from([0.5, 1.0, 5.0, 60.0, 61.0, 3600.0, 86_400.0]))
SHARES = st.sampled_from([0.0, 0.05, 0.2, 0.9])
# Gaps between calls as parts of the window, so that every window sees floods and lulls.
ARRIVALS = st.lists(
    st.tuples(st.one_of(st.just(0.0), st.floats(0, 1.5, allow_subnormal=False)), st.booleans()), max_size=400
)


def play(counter: Counter, rate: Rate, arrivals: list[tuple[float, bool]]) -> list[float]:
    """Returns when calls were allowed."""
    now, taken = 0.0, []
    for gap, ending in arrivals:
        now += gap * rate.window_seconds
        if counter.wait_seconds(now, ending=ending) <= 0:
            counter.take(now)
            taken.append(now)
    return taken


def most_in_a_window(times: list[float], window: float) -> int:
    # A hair below the window: a call exactly one window later belongs to the next one.
    length = window * (1 - 1e-6)
    return max((sum(start <= time < start + length for time in times) for start in times), default=0)


@given(RATES, SHARES, ARRIVALS)
def test_no_window_sees_more_calls_than_the_limit(
    rate: Rate, share: float, arrivals: list[tuple[float, bool]]
) -> None:
    """Wherever a window begins, no more calls than the limit are allowed within it."""
    taken = play(make_counter(rate, share), rate, arrivals)
    assert most_in_a_window(taken, rate.window_seconds) <= rate.limit


@given(RATES, SHARES, ARRIVALS, st.booleans())
def test_the_wait_is_neither_too_short_nor_for_ever(
    rate: Rate, share: float, arrivals: list[tuple[float, bool]], ending: bool
) -> None:
    """After the wait that a counter names a call passes, and half of it earlier none does."""
    counter = make_counter(rate, share)
    play(counter, rate, arrivals)
    now = sum(gap for gap, _ in arrivals) * rate.window_seconds
    wait = counter.wait_seconds(now, ending=ending)
    if wait > 1e-3:
        assert counter.wait_seconds(now + wait / 2, ending=ending) > 0
    assert wait <= rate.window_seconds * (1 + 1 / 24)
    assert counter.wait_seconds(now + wait + 1e-9 * (now + wait + 1), ending=ending) <= 1e-6


@given(st.integers(20, 100_000), st.sampled_from([0.05, 0.2, 0.5]))
def test_others_leave_the_calls_for_endings(limit: int, share: float) -> None:
    """When no other call of the day passes any more, exactly the kept share of ending calls still does."""
    quota = Quota(Rate(limit, 86_400), share)
    quota.learn(0, limit, int(limit * share), 3600)
    assert quota.wait_seconds(0, ending=False) > 0
    for _ in range(int(limit * share)):
        assert quota.wait_seconds(0, ending=True) == 0
        quota.take(0)
    assert quota.wait_seconds(0, ending=True) == pytest.approx(3600)


def test_a_bucket_keeps_calls_for_endings_too() -> None:
    """A flood of others leaves an ending call a token at the same moment."""
    bucket = TokenBucket(Rate(100, 10), 0.1)
    passed = 0
    while bucket.wait_seconds(0, ending=False) <= 0:
        bucket.take(0)
        passed += 1
    assert passed == 18
    assert bucket.wait_seconds(0, ending=True) == 0


def test_a_day_with_a_reset_time_begins_anew_then() -> None:
    """A quota whose reset is known refuses until then, and gives all its calls back at once, every day."""
    quota = Quota(Rate(1000, 86_400), 0)
    quota.learn(0, 1000, 0, 7200)
    assert quota.wait_seconds(100, ending=True) == pytest.approx(7100)
    assert quota.wait_seconds(7200, ending=False) == 0
    assert quota.remaining == 1000
    for _ in range(1000):
        quota.take(7300)
    assert quota.wait_seconds(7300, ending=False) == pytest.approx(86_300)


def test_an_overtaken_answer_gives_nothing_back() -> None:
    """Within one window a remaining number above the own count is not believed, a lower one is."""
    quota = Quota(Rate(100, 86_400), 0)
    quota.learn(0, 100, 50, 1000)
    quota.take(1)
    quota.learn(2, 100, 99, 998)
    quota.learn(3, 100, 60, None)
    quota.wait_seconds(3, ending=False)
    assert quota.remaining == 49
    quota.learn(4, 100, 10, None)
    assert quota.remaining == 10


def test_calls_of_others_leave_a_sliding_day_bit_by_bit() -> None:
    """A day that was used up before anybody here asked is asked again within the hour, not a day later."""
    quota = Quota(Rate(4800, 86_400), 0)
    quota.learn(0, 4800, 0, None)
    wait = quota.wait_seconds(0, ending=False)
    assert 0 < wait <= 3600
    assert quota.wait_seconds(wait, ending=False) == 0
    assert quota.remaining == 100
    for _ in range(100):
        quota.take(wait)
    assert 0 < quota.wait_seconds(wait, ending=False) <= 3600
    quota.wait_seconds(wait + 86_400, ending=False)
    assert quota.remaining >= 4700


def test_a_later_reset_time_is_a_new_window() -> None:
    """The marketplace's word on a new window replaces the count of the one before."""
    quota = Quota(Rate(100, 86_400), 0)
    quota.learn(0, 100, 0, 10)
    quota.learn(1, 100, 100, 86_400)
    assert quota.wait_seconds(1, ending=False) == 0


@given(st.lists(st.floats(0, 5_000), max_size=300))
def test_a_quota_keeps_few_groups(gaps: list[float]) -> None:
    """However many calls are counted, memory is bounded by the number of groups."""
    quota, now = Quota(Rate(10_000, 86_400), 0), 0.0
    for gap in gaps:
        now += gap
        quota.take(now)
        assert len(quota._groups) <= 50


def test_a_lowered_limit_holds_at_once() -> None:
    """A limit that the marketplace lowers is kept from the next call on, a raised one used."""
    bucket = TokenBucket(Rate(150, 1), 0)
    bucket.learn(0, 5, 4, None)
    bucket.take(0)
    assert bucket.wait_seconds(0, ending=False) > 0
    quota = Quota(Rate(5, 86_400), 0)
    for _ in range(5):
        quota.take(0)
    quota.learn(0, 10, None, None)
    assert quota.wait_seconds(0, ending=False) == 0


@pytest.mark.parametrize(("limit", "window"), [(0, 1), (1, 0), (-1, 5)])
def test_no_rate_without_calls_or_time(limit: int, window: float) -> None:
    """A rate of nothing is a mistake and says so."""
    with pytest.raises(ValueError, match="no rate"):
        Rate(limit, window)
