"""Figures of a batch of facts, by key. Pure, and the order of the facts does not matter."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from stoflow_stats_service.facts import (
    ActionHour,
    AttemptEnded,
    AttemptOutcome,
    ErrorKind,
    Fact,
    KnownFact,
    RunEnded,
    RunOutcome,
    UnknownFact,
)
from stoflow_stats_service.sketch import bucket_of


class TaskHour(NamedTuple):
    at: ActionHour
    task_name: str


class ErrorHour(NamedTuple):
    at: ActionHour
    scope: str
    kind: ErrorKind


@dataclass(slots=True)
class Durations:
    """Count, sum, least, greatest and buckets of some durations in microseconds."""

    count: int = 0
    us_sum: int = 0
    us_min: int | None = None
    us_max: int | None = None
    hits: dict[int, int] = field(default_factory=dict)

    def add(self, microseconds: int | None) -> None:
        """Adds one duration; None was not measured and changes nothing."""
        if microseconds is None:
            return
        self.count += 1
        self.us_sum += microseconds
        self.us_min = microseconds if self.us_min is None else min(self.us_min, microseconds)
        self.us_max = microseconds if self.us_max is None else max(self.us_max, microseconds)
        bucket = bucket_of(microseconds)
        self.hits[bucket] = self.hits.get(bucket, 0) + 1

    def merge(self, other: "Durations") -> None:
        """Adds all durations of another."""
        self.count += other.count
        self.us_sum += other.us_sum
        self.us_min = _extreme(min, self.us_min, other.us_min)
        self.us_max = _extreme(max, self.us_max, other.us_max)
        for bucket, hits in other.hits.items():
            self.hits[bucket] = self.hits.get(bucket, 0) + hits


def _extreme(choose: Callable[[int, int], int], one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return choose(one, other)


@dataclass(slots=True)
class JobFigures:
    """How runs ended."""

    outcomes: dict[RunOutcome, int] = field(default_factory=lambda: dict.fromkeys(RunOutcome, 0))
    retried_count: int = 0
    run: Durations = field(default_factory=Durations)
    queue: Durations = field(default_factory=Durations)

    def add(self, fact: RunEnded) -> None:
        self.outcomes[fact.outcome] += 1
        self.retried_count += fact.is_retry
        self.run.add(fact.run_us)
        self.queue.add(fact.queue_us)


@dataclass(slots=True)
class TaskFigures:
    """How attempts ended."""

    outcomes: dict[AttemptOutcome, int] = field(default_factory=lambda: dict.fromkeys(AttemptOutcome, 0))
    duration: Durations = field(default_factory=Durations)

    def add(self, fact: AttemptEnded) -> None:
        self.outcomes[fact.outcome] += 1
        self.duration.add(fact.duration_us)


@dataclass(slots=True)
class Figures:
    """What a batch adds to the counters.

    Attributes:
        period_of: Start of the period under which an hour is counted; the hour itself unless its day was rolled up.
    """

    period_of: Callable[[datetime], datetime] = lambda hour: hour
    jobs: dict[ActionHour, JobFigures] = field(default_factory=dict)
    tasks: dict[TaskHour, TaskFigures] = field(default_factory=dict)
    errors: dict[ErrorHour, int] = field(default_factory=dict)

    def add(self, fact: Fact) -> None:
        if isinstance(fact, UnknownFact):
            return
        at = fact.at
        if (period := self.period_of(at.hour)) != at.hour:
            at = at._replace(hour=period)
        if isinstance(fact, RunEnded):
            self._job(at).add(fact)
            self._add_error(at, "RUN", fact.error)
        else:
            self._task(TaskHour(at, fact.task_name)).add(fact)
            self._add_error(at, "ATTEMPT", fact.error)

    def _job(self, key: ActionHour) -> JobFigures:
        found = self.jobs.get(key)
        if found is None:
            found = self.jobs[key] = JobFigures()
        return found

    def _task(self, key: TaskHour) -> TaskFigures:
        found = self.tasks.get(key)
        if found is None:
            found = self.tasks[key] = TaskFigures()
        return found

    def _add_error(self, at: ActionHour, scope: str, kind: ErrorKind | None) -> None:
        if kind is not None:
            key = ErrorHour(at, scope, kind)
            self.errors[key] = self.errors.get(key, 0) + 1


def unique_by_id(facts: Iterable[Fact]) -> dict[str, KnownFact]:
    """Returns each event once, without those that are counted nowhere; the same id twice is the same event."""
    return {fact.event_id: fact for fact in facts if not isinstance(fact, UnknownFact)}


def aggregate(
    facts: Iterable[Fact], period_of: Callable[[datetime], datetime] = lambda hour: hour
) -> Figures:
    """Counts facts whose ids differ."""
    figures = Figures(period_of)
    for fact in facts:
        figures.add(fact)
    return figures
