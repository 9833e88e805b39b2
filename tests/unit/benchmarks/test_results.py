"""Ratios and targets."""

from __future__ import annotations

from typing import Any

from benchmarks.results import ratios, targets


def _rates(stoflow: float, pgqueuer: float) -> dict[str, Any]:
    return {"stoflow": {"median": stoflow}, "pgqueuer": {"median": pgqueuer}}


def test_ratio_above_one_is_better_for_rates_and_for_times() -> None:
    """Twice the rate and half the time are both a ratio of two."""
    figures = {
        "W1": _rates(5_000, 2_500),
        "W2": {"stoflow": {"p50": 10.0}, "procrastinate": {"p50": 20.0}},
    }

    assert ratios(figures) == {"W1": {"pgqueuer": 2.0}, "W2": {"procrastinate": 2.0}}


def test_targets_are_judged_by_their_own_direction() -> None:
    """A rate must reach its target, a time must not exceed it."""
    figures = {
        "W1": _rates(6_000, 4_000),
        "W2": {"stoflow": {"p50": 12.0, "p99": 31.0}},
        "idle": {"stoflow": {"queries_per_second": 2.0}},
    }

    verdicts = {(one.workload, one.wanted): one.is_met for one in targets(figures)}

    assert verdicts == {
        ("W1", "at least 5,000 tasks/s"): True,
        ("W1", "at least 2 x PgQueuer"): False,
        ("W2", "p50 at most 13 ms"): True,
        ("W2", "p99 at most 30 ms"): False,
        ("idle", "fewer than 2 queries/s"): False,
    }


def test_workloads_that_were_not_measured_have_no_target() -> None:
    """Measuring some workloads says nothing of the others."""
    assert targets({}) == []
