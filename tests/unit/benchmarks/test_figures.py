"""How runs are summed up."""

from __future__ import annotations

import pytest

from benchmarks.figures import Latency, Rate, percentile
from benchmarks.usage import Usage


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 100.0), (99, 198.0), (99.5, 199.0), (100, 200.0), (0, 1.0)]
)
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    """Of 200 samples the 99th percentile is the 198th smallest, whatever their order."""
    values = [float(one) for one in range(200, 0, -1)]

    assert percentile(values, percent) == expected


def test_rate_is_items_of_a_run_by_its_seconds() -> None:
    """4,000 tasks in 2, 1 and 4 seconds are 2,000 a second at the median, and the median's cost is shown."""
    rate = Rate("tasks/s", 4_000)
    for seconds in (2.0, 1.0, 4.0):
        usage = Usage(wall_seconds=seconds, cpu_seconds={"orchestrator": seconds / 2})
        rate.add(seconds, usage)

    summary = rate.to_json()

    assert (summary["median"], summary["min"], summary["max"]) == (2_000, 1_000, 4_000)
    assert summary["cpu_us_each"] == {"orchestrator": 250}
    assert "orchestrator 50%" in summary["bound"]


def test_latencies_of_all_rounds_are_one_population() -> None:
    """A percentile is taken over the samples of every round, in milliseconds."""
    latency = Latency()
    latency.add([0.010] * 99, Usage(wall_seconds=1.0))
    latency.add([0.010] * 100 + [0.500], Usage(wall_seconds=1.0))

    summary = latency.to_json()

    assert (summary["p50"], summary["p99"], summary["max"], summary["samples"]) == (10.0, 10.0, 500.0, 200)


def test_load_of_others_is_said() -> None:
    """A figure taken while others used the processors says so."""
    calm = Usage(wall_seconds=10.0, cpu_seconds={"client": 1.0}, other_seconds=0.5)
    disturbed = Usage(wall_seconds=10.0, cpu_seconds={"client": 1.0}, other_seconds=9.0)

    assert "DISTURBED" not in calm.bound()
    assert "DISTURBED: others used 0.90 cores" in disturbed.bound()
