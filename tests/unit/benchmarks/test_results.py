"""Ratios and targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.results import merge, ratios, targets, write


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


def test_renewed_workload_replaces_its_figures_and_no_others(tmp_path: Path) -> None:
    """What was measured before stays, with what it was measured on; ratios and targets are of all."""
    file = tmp_path / "latest.json"
    first = _content(idle={"stoflow": {"queries_per_second": 3.0}}, W1=_rates(5_000, 1_000))
    write(merge(first, file, ["W1", "idle"]), file)
    second = {**_content(W1=_rates(3_000, 1_000)), "machine": {"cores": 4}}
    merged = merge(second, file, ["W1"])
    assert merged["W1"] == _rates(3_000, 1_000)
    assert merged["idle"] == {"stoflow": {"queries_per_second": 3.0}}
    assert merged["ratios"] == {"W1": {"pgqueuer": 3.0}}
    assert [merged["measured"][name]["machine"]["cores"] for name in ("W1", "idle")] == [4, 2]
    assert {target["workload"] for target in merged["targets"]} == {"W1", "idle"}


def _content(**figures: Any) -> dict[str, Any]:
    return {**figures, "machine": {"cores": 2}, "time": "2026-01-05T10:00+00:00", "rounds": 3, "notes": []}
