"""The example alerts ask for metrics that exist, with labels that they have."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry, generate_latest
from stoflow.common.v1 import failure_pb2

from stoflow_stats_service.facts import (
    ActionHour,
    AttemptEnded,
    AttemptOutcome,
    ErrorKind,
    KnownFact,
    RunEnded,
    RunOutcome,
)
from stoflow_stats_service.figure_metrics import (
    MAX_LABEL_SETS,
    OTHER,
    FigureMetrics,
    RecentCollector,
    RecentFigures,
    Snapshot,
)
from stoflow_stats_service.figures import Durations
from stoflow_stats_service.metrics import CountingMetrics
from stoflow_stats_service.repositories.error_stats import ErrorFigures
from stoflow_stats_service.repositories.job_stats import ActionFigures
from stoflow_stats_service.repositories.task_stats import StepFigures

RULES = Path(__file__).parents[3] / "stats-service" / "prometheus" / "alerts.yaml"
AT = ActionHour(1, datetime(2026, 1, 5, 10, tzinfo=UTC), "ebay", "publish")
AUTH = ErrorKind(failure_pb2.ERROR_CLASS_AUTH_REQUIRED, "invalid_grant")
_SELECTOR = re.compile(r"\b(stats_[a-z_]+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r'([a-z_]+)(?:=~?)"([^"]*)"')


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load(RULES.read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def durations(*values: int) -> Durations:
    measured = Durations()
    for value in values:
        measured.add(value)
    return measured


def metrics() -> CollectorRegistry:
    """Returns a registry in which everything has happened once."""
    registry = CollectorRegistry()
    CountingMetrics(registry, lambda: 0.0).malformed.labels("event").inc()
    figures = FigureMetrics(registry)
    runs = [RunEnded(outcome, AT, outcome, True, 5, 6, None) for outcome in RunOutcome]
    attempt = AttemptEnded("a", AT, "create_offer", AttemptOutcome.RETRIED, 7, AUTH)
    figures.observe([*runs, attempt])
    RecentCollector(registry).snapshot = Snapshot(
        [
            RecentFigures(
                "hour",
                [ActionFigures("ebay", "publish", None, 2, 1, 1, run=durations(5), queue=durations(6))],
                [StepFigures("ebay", "publish", "create_offer", None, 1, 1, 0, 0, durations(7))],
                [ErrorFigures("ebay", "publish", AUTH.error_class, AUTH.code, 1, 1)],
            )
        ],
        (datetime(2026, 1, 4, tzinfo=UTC), 0),
    )
    return registry


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    """Each metric, label and value of an expression is among what the service exposes."""
    lines = generate_latest(metrics()).decode().splitlines()
    selectors = _SELECTOR.findall(rule["expr"])
    assert selectors
    for name, labels in selectors:
        samples = [line for line in lines if re.match(rf"{name}[ {{]", line)]
        assert samples, name
        for label, values in _LABEL.findall(labels):
            for value in values.split("|"):
                assert any(f'{label}="{value}"' in line for line in samples), (name, label, value)


def test_no_label_names_a_tenant_a_job_or_a_code() -> None:
    """What has no bound is no label."""
    text = generate_latest(metrics()).decode()
    labels = set(re.findall(r'[{,]([a-z_]+)="', text))
    assert labels <= {
        *("marketplace", "action", "task", "outcome", "scope", "error_class"),
        *("window", "quantile", "what", "le"),
    }
    assert "invalid_grant" not in text


def test_label_sets_are_bounded() -> None:
    """Beyond a few hundred actions the rest is counted together, and nothing is left out."""
    registry = CollectorRegistry()
    count = MAX_LABEL_SETS + 50
    facts: list[KnownFact] = [
        RunEnded(str(number), AT._replace(action=f"a{number}"), RunOutcome.COMPLETED, False, None, None, None)
        for number in range(count)
    ]
    FigureMetrics(registry).observe(facts)
    lines = [
        line
        for line in generate_latest(registry).decode().splitlines()
        if line.startswith("stats_runs_total{")
    ]
    assert len(lines) == MAX_LABEL_SETS + 1
    assert sum(float(line.split()[-1]) for line in lines) == count
    (other,) = [line for line in lines if f'action="{OTHER}"' in line]
    assert float(other.split()[-1]) == 50
