"""Counting in batches is the same as counting at once, by somebody else's arithmetic."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stoflow_stats_service.facts import (
    ActionHour,
    AttemptEnded,
    AttemptOutcome,
    ErrorKind,
    Fact,
    RunEnded,
    RunOutcome,
    UnknownFact,
)
from stoflow_stats_service.figures import Durations, Figures, aggregate, unique_by_id

Row = dict[str, Any]

HOURS = st.sampled_from([datetime(2026, 3, 29, hour, tzinfo=UTC) for hour in (0, 1, 23)])
PLACES = st.builds(
    ActionHour,
    tenant_id=st.integers(1, 3),
    hour=HOURS,
    marketplace=st.sampled_from(["ebay", "etsy"]),
    action=st.sampled_from(["publish", "update"]),
)
DURATIONS = st.none() | st.integers(0, 10**12)
ERRORS = st.none() | st.builds(ErrorKind, st.integers(0, 6), st.sampled_from(["", "25002", "LEASE_EXPIRED"]))
FACTS = st.one_of(
    st.builds(
        RunEnded,
        st.uuids().map(str),
        PLACES,
        st.sampled_from(RunOutcome),
        st.booleans(),
        DURATIONS,
        DURATIONS,
        ERRORS,
    ),
    st.builds(
        AttemptEnded,
        st.uuids().map(str),
        PLACES,
        st.sampled_from(["upload_image", "publish_offer"]),
        st.sampled_from(AttemptOutcome),
        DURATIONS,
        ERRORS,
    ),
    st.builds(UnknownFact, st.uuids().map(str)),
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Fact], list[list[Fact]]]:
    """Draws facts, and batches that hold each of them at least once, in any order."""
    facts = draw(st.lists(FACTS, max_size=25, unique_by=lambda fact: fact.event_id))
    repeated = draw(st.lists(st.sampled_from(facts), max_size=25)) if facts else []
    stream = draw(st.permutations(facts + repeated))
    cuts = sorted(draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    bounds = [0, *cuts, len(stream)]
    return facts, [stream[start:end] for start, end in itertools.pairwise(bounds)]


@given(deliveries())
def test_any_order_duplication_and_batching_gives_the_plain_recount(
    drawn: tuple[list[Fact], list[list[Fact]]],
) -> None:
    """However facts are shuffled, repeated and cut, the counters end as a plain recount has them."""
    facts, batches = drawn
    assert count_batches(batches) == recount(facts)


@given(st.lists(FACTS, max_size=30))
def test_a_failed_run_and_its_last_attempt_are_one_failure_each(facts: list[Fact]) -> None:
    """Errors of runs and of attempts are kept apart: each sum is the number of facts that carried one."""
    figures = aggregate(facts)
    for scope, kind in (("RUN", RunEnded), ("ATTEMPT", AttemptEnded)):
        counted = sum(count for key, count in figures.errors.items() if key.scope == scope)
        carried = [fact for fact in facts if isinstance(fact, kind) and fact.error is not None]
        assert counted == len(carried)


def test_durations_keep_count_sum_least_and_greatest() -> None:
    """A duration of zero is measured, None is not."""
    durations = Durations()
    for microseconds in (7, None, 0, 12):
        durations.add(microseconds)
    assert (durations.count, durations.us_sum, durations.us_min, durations.us_max) == (3, 19, 0, 12)
    assert sum(durations.hits.values()) == 3


@given(values=st.lists(st.none() | st.integers(0, 10**12)), cut=st.integers(0, 20))
def test_durations_merge_to_what_adding_gives(values: list[int | None], cut: int) -> None:
    """Two parts that are measured apart and merged are the same as the whole, buckets included."""
    whole, first, second = Durations(), Durations(), Durations()
    for place, value in enumerate(values):
        whole.add(value)
        (first if place < cut else second).add(value)
    first.merge(second)
    assert first == whole


def test_unique_by_id_keeps_one_of_each() -> None:
    """The same id twice is one event, and what is counted nowhere is left out."""
    at = ActionHour(1, datetime(2026, 1, 5, 10, tzinfo=UTC), "ebay", "publish")
    facts = [AttemptEnded(name, at, "step", AttemptOutcome.COMPLETED, None, None) for name in ("a", "b", "a")]
    assert list(unique_by_id([*facts, UnknownFact("c")])) == ["a", "b"]


def count_batches(batches: Iterable[Sequence[Fact]]) -> dict[Any, Row]:
    """What the database does: ids are remembered, figures are added by sum, least and greatest."""
    seen: set[str] = set()
    store: dict[Any, Row] = {}
    for batch in batches:
        new = [fact for event_id, fact in unique_by_id(batch).items() if event_id not in seen]
        seen.update(fact.event_id for fact in new)
        for key, row in flatten(aggregate(new)).items():
            merge(store.setdefault(key, {}), row)
    return store


def merge(stored: Row, added: Row) -> None:
    for name, value in added.items():
        known = stored.get(name)
        if known is None or value is None:
            stored[name] = value if known is None else known
        elif name.endswith("_min"):
            stored[name] = min(known, value)
        else:
            stored[name] = max(known, value) if name.endswith("_max") else known + value


def flatten(figures: Figures) -> dict[Any, Row]:
    rows: dict[Any, Row] = {}
    for at, job in figures.jobs.items():
        outcomes = {outcome.value: count for outcome, count in job.outcomes.items()}
        rows["job", at] = {
            **outcomes,
            "retried": job.retried_count,
            **measures("run", job.run),
            **measures("queue", job.queue),
        }
    for task_key, task in figures.tasks.items():
        outcomes = {outcome.value: count for outcome, count in task.outcomes.items()}
        rows["task", *task_key] = {**outcomes, **measures("duration", task.duration)}
    for error_key, count in figures.errors.items():
        rows["error", *error_key] = {"count": count}
    return rows


def measures(name: str, durations: Durations) -> Row:
    return {
        f"{name}_count": durations.count,
        f"{name}_sum": durations.us_sum,
        f"{name}_min": durations.us_min,
        f"{name}_max": durations.us_max,
    }


def recount(facts: Iterable[Fact]) -> dict[Any, Row]:
    """Counts by collecting lists and measuring them; shares no arithmetic with the code under test."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for fact in facts:
        if isinstance(fact, UnknownFact):
            continue
        scope = "RUN" if isinstance(fact, RunEnded) else "ATTEMPT"
        groups[("job", fact.at) if isinstance(fact, RunEnded) else ("task", fact.at, fact.task_name)].append(
            fact
        )
        if fact.error is not None:
            groups["error", fact.at, scope, fact.error].append(fact)
    return {key: plain_row(key[0], members) for key, members in groups.items()}


def plain_row(kind: str, members: list[Any]) -> Row:
    if kind == "error":
        return {"count": len(members)}
    outcomes = RunOutcome if kind == "job" else AttemptOutcome
    row: Row = {outcome.value: sum(m.outcome is outcome for m in members) for outcome in outcomes}
    if kind == "job":
        row["retried"] = len([m for m in members if m.is_retry])
        return (
            row
            | plain_measures("run", [m.run_us for m in members])
            | plain_measures("queue", [m.queue_us for m in members])
        )
    return row | plain_measures("duration", [m.duration_us for m in members])


def plain_measures(name: str, values: list[int | None]) -> Row:
    known = [value for value in values if value is not None]
    return {
        f"{name}_count": len(known),
        f"{name}_sum": sum(known),
        f"{name}_min": min(known, default=None),
        f"{name}_max": max(known, default=None),
    }
