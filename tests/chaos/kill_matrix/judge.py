"""What must hold after every cell, whatever the fault was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stoflow.jobs.v1 import job_pb2

from tests.chaos.kill_matrix.market import LIVE, MarketFacts
from tests.chaos.kill_matrix.rows import TaskRow


class Harm(StrEnum):
    """What a violation means for the seller."""

    DUPLICATE = "duplicate"
    LOST = "lost"
    UNCLEAN = "unclean"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be."""

    harm: Harm
    text: str

    def __str__(self) -> str:
        return f"{self.harm}: {self.text}"


@dataclass(frozen=True, slots=True)
class EffectRow:
    """A row of the ledger of effects."""

    state: str
    remote_id: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is looked at after a cell.

    Attributes:
        job: As the public API shows it.
        live_jobs: The tenant's rows left in public.live_jobs once archiving had its time.
        effects: The ledger, by name of the effect.
        listings: Remote ids of the LIVE listings in the tenant's catalogue.
        market: What the marketplace says.
        pictures: SHA-256 of the product's pictures in order.
        wanted: What buyers must see, by the names of MarketFacts.shown.
        is_ended: Whether they must not see the product any more.
    """

    job: job_pb2.Job
    live_jobs: int
    effects: Mapping[str, EffectRow]
    listings: tuple[str, ...]
    market: MarketFacts
    pictures: tuple[str, ...]
    wanted: Mapping[str, Any]
    is_ended: bool = False


def judge(
    evidence: Evidence, rows: tuple[TaskRow, ...], most_sends: Mapping[str, int], stray: TaskRow | None = None
) -> tuple[Violation, ...]:
    """Returns every violation.

    Args:
        evidence: What was found.
        rows: The marketplace's tasks.
        most_sends: How often each ONCE step's request may have arrived, by the step's name.
        stray: The step of which one request was obeyed after the job's end at a marketplace that refuses none.
    """
    return (
        *_job_violations(evidence),
        *_market_violations(evidence, most_sends, stray),
        *_ledger_violations(evidence, [row.once for row in rows if row.once]),
    )


def _job_violations(evidence: Evidence) -> Iterator[Violation]:
    job = evidence.job
    if job.state != job_pb2.JOB_STATE_COMPLETED:
        failure = f" ({job.failure.code}: {job.failure.message})" if job.HasField("failure") else ""
        yield Violation(Harm.LOST, f"the job is {job_pb2.JobState.Name(job.state)}{failure}")
    for task in job.tasks:
        if task.state != job_pb2.TASK_STATE_COMPLETED:
            name = job_pb2.TaskState.Name(task.state)
            yield Violation(Harm.LOST, f"task {task.name}[{task.item_index}] is {name}")
    if evidence.live_jobs:
        yield Violation(Harm.UNCLEAN, f"{evidence.live_jobs} job(s) are left in the live tables")


def _market_violations(
    evidence: Evidence, most_sends: Mapping[str, int], stray: TaskRow | None
) -> Iterator[Violation]:
    market = evidence.market
    for thing, count in market.created.items():
        wanted = 2 if stray is not None and thing.startswith(stray.stray) else 1
        if count != wanted:
            harm = Harm.DUPLICATE if count > wanted else Harm.LOST
            yield Violation(harm, f"{thing}: created {count} times, not {wanted}")
    if evidence.is_ended:
        if market.listing_state == LIVE:
            yield Violation(Harm.LOST, "the listing is for sale still")
    elif market.listing_state != LIVE:
        yield Violation(Harm.LOST, f"the listing is {market.listing_state}")
    else:
        yield from _shown_violations(evidence, stray)
    for task, most in most_sends.items():
        if market.sends[task] > most:
            text = f"{task} was sent {market.sends[task]} times and may be sent {most} times"
            yield Violation(Harm.DUPLICATE, text)


def _shown_violations(evidence: Evidence, stray: TaskRow | None) -> Iterator[Violation]:
    market = evidence.market
    if market.picture_digests != _pictures(evidence, stray):
        yield Violation(Harm.LOST, "the listing does not show the product's pictures in their order")
    for name, value in evidence.wanted.items():
        if market.shown.get(name) != value:
            yield Violation(
                Harm.LOST, f"the listing shows {name} {market.shown.get(name)!r} and not {value!r}"
            )


def _pictures(evidence: Evidence, stray: TaskRow | None) -> tuple[str, ...]:
    if stray is None or stray.stray != "picture":
        return evidence.pictures
    # Where ranks are not obeyed, what comes last stands first.
    return (evidence.pictures[stray.item_index or 0], *evidence.pictures)


def _ledger_violations(evidence: Evidence, names: list[str]) -> Iterator[Violation]:
    for name in names:
        row = evidence.effects.get(name)
        remote_ids = evidence.market.remote_ids[name]
        if row is None or row.state != "DONE" or (row.remote_id,) != remote_ids:
            yield Violation(Harm.UNCLEAN, f"effect {name}: the ledger has {row}, the market {remote_ids}")
    expected = () if evidence.is_ended else evidence.market.remote_ids["listing"]
    if evidence.listings != expected:
        text = f"the catalogue's live listings are {evidence.listings}"
        yield Violation(Harm.UNCLEAN, f"{text}, the market's {expected}")
