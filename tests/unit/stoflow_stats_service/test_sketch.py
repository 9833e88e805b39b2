"""Sketches: percentiles within their promise, whatever the order, and nothing lost on the way to the database."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stoflow_stats_service.sketch import RELATIVE_ACCURACY, bucket_of, pack, percentiles_us, unpack

FRACTIONS = (0.0, 0.5, 0.95, 0.99, 1.0)
# Up to ten years, the longest that is counted.
DURATIONS = st.lists(st.integers(0, 10 * 366 * 86_400 * 10**6), min_size=1)


@given(values=DURATIONS)
def test_percentiles_are_at_most_one_percent_off(values: list[int]) -> None:
    """Each percentile is within 1 % of the value that stands there in sorted order, and half a microsecond."""
    found = percentiles_us(Counter(map(bucket_of, values)), FRACTIONS, min(values), max(values))
    assert found is not None
    for fraction, percentile in zip(FRACTIONS, found, strict=True):
        exact = sorted(values)[int(fraction * (len(values) - 1))]
        # What is shorter than a microsecond stands at one.
        assert abs(percentile - exact) <= max(exact, 1) * RELATIVE_ACCURACY + 0.5 + (exact == 0)


@given(hits=st.dictionaries(st.integers(0, 2_000), st.integers(1, 2**39)))
def test_what_is_packed_is_unpacked(hits: dict[int, int]) -> None:
    """Buckets are the same after they were stored."""
    assert unpack(pack(hits) or []) == hits


def test_nothing_has_no_percentile() -> None:
    """Empty is absent, not zero."""
    assert pack({}) is None
    assert percentiles_us({}, FRACTIONS, None, None) is None


def test_percentiles_stay_between_the_extremes() -> None:
    """A single duration is each of its percentiles exactly."""
    assert percentiles_us({bucket_of(12_345): 1}, FRACTIONS, 12_345, 12_345) == [12_345] * 5
