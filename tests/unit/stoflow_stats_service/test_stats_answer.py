"""Sums become the answer's rates and means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stoflow_stats_service.figures import Durations
from stoflow_stats_service.repositories.job_stats import ActionFigures
from stoflow_stats_service.rpc.messages import to_job_stats

EMPTY = ActionFigures("ebay", "publish", total_count=2, cancelled_count=1, expired_count=1)


def test_nothing_to_divide_by_is_absent_not_zero() -> None:
    """Without a success or failure there is no rate; without an admitted run there is no duration."""
    answer = to_job_stats(EMPTY)
    assert not answer.HasField("success_rate")
    for field in (
        "mean_run_duration",
        "min_run_duration",
        "max_run_duration",
        "mean_queue_duration",
        "run_duration",
        "queue_duration",
    ):
        assert not answer.HasField(field)
    assert (answer.total_count, answer.cancelled_count, answer.expired_count) == (2, 1, 1)


@pytest.mark.parametrize(("successes", "failures", "rate"), [(6, 1, 6 / 7), (0, 3, 0.0), (3, 0, 1.0)])
def test_success_rate_ignores_what_did_neither(successes: int, failures: int, rate: float) -> None:
    """The rate is success / (success + failure); a rate of zero is present."""
    answer = to_job_stats(replace(EMPTY, success_count=successes, failure_count=failures))
    assert answer.HasField("success_rate")
    assert answer.success_rate == pytest.approx(rate)


def test_means_are_rounded_to_the_nearest_microsecond() -> None:
    """Means come from integer sums, beyond what a float holds exactly."""
    row = replace(
        EMPTY,
        run=Durations(3, 9_007_199_254_740_995 + 2, 0, 2_500_000),
        queue=Durations(2, 3, 1, 2),
    )
    answer = to_job_stats(row)
    assert answer.mean_run_duration.ToMicroseconds() == 3_002_399_751_580_332
    assert answer.HasField("min_run_duration")
    assert answer.min_run_duration.ToMicroseconds() == 0
    assert answer.max_run_duration.ToMicroseconds() == 2_500_000
    assert answer.mean_queue_duration.ToMicroseconds() == 2
    assert (answer.run_duration.count, answer.queue_duration.max.ToMicroseconds()) == (3, 2)


def test_percentiles_are_absent_without_a_sketch() -> None:
    """Rows that are older than sketches have counts and sums, and no invented percentile."""
    answer = to_job_stats(replace(EMPTY, run=Durations(1, 5, 5, 5)))
    assert answer.run_duration.mean.ToMicroseconds() == 5
    assert not answer.run_duration.HasField("p95")
