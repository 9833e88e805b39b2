"""The figures as Prometheus metrics.

Labels are marketplaces, actions and steps, of which connectors declare a handful, and never a tenant, a job or a
marketplace's code. Should somebody declare very many, the rest is counted under `other`.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from stoflow.common.v1 import failure_pb2

from stoflow_stats_service.facts import KnownFact, RunEnded
from stoflow_stats_service.figures import Durations
from stoflow_stats_service.repositories.error_stats import ErrorFigures
from stoflow_stats_service.repositories.job_stats import ActionFigures
from stoflow_stats_service.repositories.task_stats import StepFigures
from stoflow_stats_service.sketch import percentiles_us

MAX_LABEL_SETS = 300
OTHER = "other"
_QUANTILES = (0.5, 0.95, 0.99)
_RUN_BUCKETS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400)
_ATTEMPT_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_RATE_OUTCOMES = ("success", "failure", "cancelled", "expired")
_US = 1_000_000


class BoundedLabels:
    """Lets a bounded number of label sets through."""

    def __init__(self, most: int = MAX_LABEL_SETS) -> None:
        self._most = most
        self._known: set[tuple[str, ...]] = set()

    def __call__(self, *labels: str) -> tuple[str, ...]:
        if labels not in self._known:
            if len(self._known) >= self._most:
                return (OTHER,) * len(labels)
            self._known.add(labels)
        return labels


class FigureMetrics:
    """Counters and histograms of what this process counted for the first time.

    Each event is in the counters of one replica: add replicas up. A replica that dies between its commit and the next
    scrape takes the difference along; the gauges, which are read from the database, are exact.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        place = ["marketplace", "action"]
        self._bounded_place = BoundedLabels()
        self._bounded_step = BoundedLabels()
        self._runs = Counter("stats_runs", "Runs that ended.", [*place, "outcome"], registry=registry)
        self._retried = Counter("stats_runs_retried", "Of these, later runs.", place, registry=registry)
        self._attempts = Counter(
            "stats_attempts", "Attempts that ended.", [*place, "task", "outcome"], registry=registry
        )
        self._errors = Counter(
            "stats_errors", "Failures.", [*place, "scope", "error_class"], registry=registry
        )
        self._run_seconds = Histogram(
            "stats_run_seconds", "Admission to end.", place, buckets=_RUN_BUCKETS, registry=registry
        )
        self._queue_seconds = Histogram(
            "stats_queue_seconds", "Creation to admission.", place, buckets=_RUN_BUCKETS, registry=registry
        )
        self._attempt_seconds = Histogram(
            "stats_attempt_seconds",
            "Grant to report.",
            [*place, "task"],
            buckets=_ATTEMPT_BUCKETS,
            registry=registry,
        )

    def observe(self, facts: Iterable[KnownFact]) -> None:
        """Adds facts that were counted."""
        runs: Tally[tuple[str, ...]] = Tally()
        attempts: Tally[tuple[str, ...]] = Tally()
        errors: Tally[tuple[str, ...]] = Tally()
        for fact in facts:
            place = self._bounded_place(fact.at.marketplace, fact.at.action)
            is_run = isinstance(fact, RunEnded)
            if isinstance(fact, RunEnded):
                runs[*place, fact.outcome.value] += 1
                if fact.is_retry:
                    self._retried.labels(*place).inc()
                _observe(self._run_seconds, place, fact.run_us)
                _observe(self._queue_seconds, place, fact.queue_us)
            else:
                step = self._bounded_step(fact.at.marketplace, fact.at.action, fact.task_name)
                attempts[*step, fact.outcome.value] += 1
                _observe(self._attempt_seconds, step, fact.duration_us)
            if fact.error is not None:
                errors[*place, "RUN" if is_run else "ATTEMPT", error_class_name(fact.error.error_class)] += 1
        for counter, tally in ((self._runs, runs), (self._attempts, attempts), (self._errors, errors)):
            for labels, count in tally.items():
                counter.labels(*labels).inc(count)


def _observe(histogram: Histogram, labels: Sequence[str], microseconds: int | None) -> None:
    if microseconds is not None:
        histogram.labels(*labels).observe(microseconds / _US)


def error_class_name(number: int) -> str:
    """Returns RETRYABLE and so on; classes of a later release share one name."""
    if number not in failure_pb2.ErrorClass.values():
        return "UNKNOWN"
    return failure_pb2.ErrorClass.Name(failure_pb2.ErrorClass.ValueType(number)).removeprefix("ERROR_CLASS_")


@dataclass(frozen=True, slots=True)
class RecentFigures:
    """Figures of one window over all tenants: `hour`, the UTC hour that runs and the one before; `day`, the UTC day."""

    window: str
    jobs: Sequence[ActionFigures]
    steps: Sequence[StepFigures]
    errors: Sequence[ErrorFigures]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the gauges show.

    Attributes:
        windows: Figures of the recent windows.
        reconciled_day: The newest day that was compared with the history, and how many figures differed.
        is_rebuilding: Whether a rebuild runs.
    """

    windows: Sequence[RecentFigures] = ()
    reconciled_day: tuple[datetime, int] | None = None
    is_rebuilding: bool = False


class RecentCollector(Collector):
    """Gauges of what the database holds; every replica shows the same."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Replaced as a whole: a scrape in another thread never sees half of it.
        self.snapshot = Snapshot()
        registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        snapshot = self.snapshot
        yield from _run_gauges(snapshot.windows)
        yield from _task_gauges(snapshot.windows)
        yield _error_gauge(snapshot.windows)
        rebuilding = GaugeMetricFamily("stats_rebuild_running", "1 while a rebuild runs.")
        rebuilding.add_metric([], float(snapshot.is_rebuilding))
        yield rebuilding
        if snapshot.reconciled_day is not None:
            day, differences = snapshot.reconciled_day
            found = GaugeMetricFamily(
                "stats_reconcile_differences", "Figures of the newest reconciled day that differ."
            )
            found.add_metric([], differences)
            yield found
            newest = GaugeMetricFamily(
                "stats_reconciled_day_timestamp_seconds", "Start of the newest reconciled day."
            )
            newest.add_metric([], day.timestamp())
            yield newest


def _run_gauges(windows: Sequence[RecentFigures]) -> Iterable[GaugeMetricFamily]:
    place = ["window", "marketplace", "action"]
    runs = GaugeMetricFamily("stats_recent_runs", "Runs that ended.", labels=[*place, "outcome"])
    ratio = GaugeMetricFamily(
        "stats_recent_failure_ratio", "failure / (success + failure); absent without either.", labels=place
    )
    run = GaugeMetricFamily("stats_recent_run_seconds", "Admission to end.", labels=[*place, "quantile"])
    queue = GaugeMetricFamily(
        "stats_recent_queue_seconds", "Creation to admission.", labels=[*place, "quantile"]
    )
    for recent in windows:
        for row in recent.jobs[:MAX_LABEL_SETS]:
            labels = [recent.window, row.marketplace, row.action]
            for outcome in _RATE_OUTCOMES:
                runs.add_metric([*labels, outcome], getattr(row, f"{outcome}_count"))
            if ended := row.success_count + row.failure_count:
                ratio.add_metric(labels, row.failure_count / ended)
            _add_quantiles(run, labels, row.run)
            _add_quantiles(queue, labels, row.queue)
    return runs, ratio, run, queue


def _task_gauges(windows: Sequence[RecentFigures]) -> Iterable[GaugeMetricFamily]:
    place = ["window", "marketplace", "action", "task"]
    seconds = GaugeMetricFamily("stats_recent_task_seconds", "Grant to report.", labels=[*place, "quantile"])
    attempts = GaugeMetricFamily("stats_recent_attempts", "Attempts that ended.", labels=[*place, "outcome"])
    for recent in windows:
        for row in recent.steps[:MAX_LABEL_SETS]:
            labels = [recent.window, row.marketplace, row.action, row.task_name]
            _add_quantiles(seconds, labels, row.duration)
            for outcome in ("completed", "retried", "failed"):
                attempts.add_metric([*labels, outcome], getattr(row, f"{outcome}_count"))
    return seconds, attempts


def _error_gauge(windows: Sequence[RecentFigures]) -> GaugeMetricFamily:
    labels = ["window", "marketplace", "action", "error_class"]
    gauge = GaugeMetricFamily("stats_recent_errors", "Failures of attempts.", labels=labels)
    for recent in windows:
        tally: Tally[tuple[str, ...]] = Tally()
        for row in recent.errors:
            tally[row.marketplace, row.action, error_class_name(row.error_class)] += row.error_count
        for names, count in tally.most_common(MAX_LABEL_SETS):
            gauge.add_metric([recent.window, *names], count)
    return gauge


def _add_quantiles(gauge: GaugeMetricFamily, labels: list[str], measured: Durations) -> None:
    found = percentiles_us(measured.hits, _QUANTILES, measured.us_min, measured.us_max)
    for quantile, microseconds in zip(_QUANTILES, found or (), strict=False):
        gauge.add_metric([*labels, f"{quantile:g}"], microseconds / _US)
