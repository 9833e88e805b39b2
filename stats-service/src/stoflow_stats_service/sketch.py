"""Sketches of durations, from which percentiles come: DDSketch's buckets, which add up in any order.

A sketch is stored as an array of 64-bit integers, one a bucket: the bucket's key above, how often it was hit in the
lowest 40 bits. Two sketches become one by adding the hits of equal keys, which PostgreSQL does itself.
"""

from collections.abc import Iterable, Mapping, Sequence

from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore

# A percentile is at most this much off, relatively. Stored sketches depend on it: it cannot be changed.
RELATIVE_ACCURACY = 0.01
HIT_BITS = 40
HIT_MASK = (1 << HIT_BITS) - 1

_MAPPING = LogarithmicMapping(RELATIVE_ACCURACY)


def bucket_of(microseconds: int) -> int:
    """Returns the key of the bucket of a duration; nothing is shorter than a microsecond here."""
    return _MAPPING.key(max(microseconds, 1))


def pack(hits: Mapping[int, int]) -> list[int] | None:
    """Returns buckets as they are stored, ordered by key; None for none."""
    return [key << HIT_BITS | count for key, count in sorted(hits.items())] or None


def unpack(stored: Iterable[int]) -> dict[int, int]:
    """Returns stored buckets by key."""
    return {value >> HIT_BITS: value & HIT_MASK for value in stored}


def percentiles_us(
    hits: Mapping[int, int], fractions: Sequence[float], least: int | None, greatest: int | None
) -> list[int] | None:
    """Returns percentiles in whole microseconds, None for no hits.

    Args:
        hits: How often each bucket was hit.
        fractions: Such as 0.95.
        least: The shortest duration; no percentile is below it.
        greatest: The longest; none is above it.
    """
    if not hits:
        return None
    store = DenseStore()
    for key, count in hits.items():
        store.add(key, count)
    sketch = BaseDDSketch(_MAPPING, store, DenseStore(), 0)
    found = []
    for fraction in fractions:
        value = round(sketch.get_quantile_value(fraction) or 0)
        value = value if least is None else max(value, least)
        found.append(value if greatest is None else min(value, greatest))
    return found
