"""What must hold after a storm; each rule is able to fail, which `test_storm_judge.py` proves."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stoflow.admin.v1 import admin_pb2
from stoflow.jobs.v1 import batch_pb2, job_pb2

from tests.chaos.storm.connector import DRAFT, LISTING
from tests.chaos.storm.evidence import Evidence

TERMINAL = {
    job_pb2.JOB_STATE_COMPLETED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_CANCELLED,
    job_pb2.JOB_STATE_EXPIRED,
}
_TERMINAL_TASKS = {
    job_pb2.TASK_STATE_COMPLETED,
    job_pb2.TASK_STATE_FAILED,
    job_pb2.TASK_STATE_CANCELLED,
}
_ENDS_OF_RUNS = {
    job_pb2.JOB_EVENT_TYPE_COMPLETED: job_pb2.JOB_STATE_COMPLETED,
    job_pb2.JOB_EVENT_TYPE_FAILED: job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_EVENT_TYPE_CANCELLED: job_pb2.JOB_STATE_CANCELLED,
    job_pb2.JOB_EVENT_TYPE_EXPIRED: job_pb2.JOB_STATE_EXPIRED,
}
_ENDS_OF_ATTEMPTS = {
    job_pb2.JOB_EVENT_TYPE_TASK_COMPLETED,
    job_pb2.JOB_EVENT_TYPE_TASK_RETRIED,
    job_pb2.JOB_EVENT_TYPE_TASK_FAILED,
}
_MANY = 5


class Rule(StrEnum):
    """What is promised."""

    NOTHING_LOST = "no job is lost, and none appears that nobody submitted"
    ALL_TERMINAL = "every job and every task has ended"
    ACCEPTED_ONCE = "each attempt ends once, each task completes at most once, each run ends once"
    FACTS_EXACT = "the result events are those of the histories, each of them once"
    EFFECTS_ONCE = "what the marketplace holds is what the ledger says, each effect once"
    LISTINGS_EXACT = "the catalogues list what the marketplace holds"
    BATCHES_EXACT = "batches count their jobs exactly"
    NOTHING_LIVE = "no row is left in the live tables"
    DEAD_LETTERS_EXACT = "operators see exactly the jobs that failed"
    ANSWERED_ALIKE = "a mutation that is repeated is answered alike, and no client sees an internal error"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be."""

    rule: Rule
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def judge(evidence: Evidence) -> list[Violation]:
    """Returns every violation."""
    return [
        Violation(rule, text)
        for rule, check in (
            (Rule.NOTHING_LOST, _losses),
            (Rule.ALL_TERMINAL, _unended),
            (Rule.ACCEPTED_ONCE, _double_accepts),
            (Rule.FACTS_EXACT, _wrong_facts),
            (Rule.EFFECTS_ONCE, _wrong_effects),
            (Rule.LISTINGS_EXACT, _wrong_listings),
            (Rule.BATCHES_EXACT, _wrong_batches),
            (Rule.NOTHING_LIVE, _live_rows),
            (Rule.DEAD_LETTERS_EXACT, _wrong_dead_letters),
            (Rule.ANSWERED_ALIKE, _wrong_answers),
        )
        for text in check(evidence)
    ]


def _losses(evidence: Evidence) -> Iterator[str]:
    alone = {job_id for job_id, job in evidence.jobs.items() if not job.batch_id}
    if missing := evidence.singles - alone:
        yield f"submitted and not listed: {_some(missing)}"
    if strange := alone - evidence.singles:
        yield f"listed and never submitted: {_some(strange)}"
    together = Counter(job.batch_id for job in evidence.jobs.values() if job.batch_id)
    for batch_id in {*evidence.batches, *together}:
        if together[batch_id] != evidence.batches.get(batch_id, 0):
            submitted = evidence.batches.get(batch_id, 0)
            yield f"batch {batch_id}: {submitted} jobs submitted, {together[batch_id]} listed"
    if Counter(evidence.archived) != Counter(list(evidence.jobs)):
        difference = set(evidence.archived) ^ set(evidence.jobs)
        yield f"{len(evidence.jobs)} jobs listed, {len(evidence.archived)} archived: {_some(difference)}"


def _unended(evidence: Evidence) -> Iterator[str]:
    for job in evidence.jobs.values():
        if job.state not in TERMINAL:
            yield f"job {job.job_id} is {job_pb2.JobState.Name(job.state)}"
        open_tasks = [task.name for task in job.tasks if task.state not in _TERMINAL_TASKS]
        if open_tasks:
            yield f"job {job.job_id} has open tasks: {open_tasks}"
        undone = [task.name for task in job.tasks if task.state != job_pb2.TASK_STATE_COMPLETED]
        if undone and job.state == job_pb2.JOB_STATE_COMPLETED:
            yield f"job {job.job_id} is COMPLETED without {undone}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Names one attempt within its job."""

    run: int
    position: int
    number: int


class Story:
    """A job's history, sorted by what it says."""

    def __init__(self, events: Sequence[job_pb2.JobEvent]) -> None:
        self.runs = 1
        self.starts: Counter[Attempt] = Counter()
        self.releases: Counter[Attempt] = Counter()
        self.ends: Counter[Attempt] = Counter()
        self.completions: Counter[int] = Counter()
        self.ends_of_runs: list[tuple[int, int]] = []
        for event in events:
            self._take(event)

    def _take(self, event: job_pb2.JobEvent) -> None:
        attempt = Attempt(self.runs, event.task_position, event.attempt)
        if event.type == job_pb2.JOB_EVENT_TYPE_RETRIED:
            self.runs += 1
        elif event.type == job_pb2.JOB_EVENT_TYPE_TASK_STARTED:
            self.starts[attempt] += 1
        elif event.type == job_pb2.JOB_EVENT_TYPE_TASK_RELEASED:
            self.releases[attempt] += 1
        elif event.type in _ENDS_OF_ATTEMPTS:
            self.ends[attempt] += 1
            if event.type == job_pb2.JOB_EVENT_TYPE_TASK_COMPLETED:
                self.completions[event.task_position] += 1
        elif event.type in _ENDS_OF_RUNS:
            self.ends_of_runs.append((self.runs, _ENDS_OF_RUNS[event.type]))


def _double_accepts(evidence: Evidence) -> Iterator[str]:
    for job_id, job in evidence.jobs.items():
        events = evidence.histories[job_id]
        for text in _wrong_story(job, Story(events)):
            yield f"job {job_id}: {text}"
        if [event.sequence for event in events] != list(range(1, job.event_sequence + 1)):
            yield f"job {job_id}: its history is numbered {[event.sequence for event in events]}"


def _wrong_story(job: job_pb2.Job, story: Story) -> Iterator[str]:
    for attempt in {*story.starts, *story.ends, *story.releases}:
        ends = story.ends[attempt]
        if ends > 1 or ends + story.releases[attempt] != story.starts[attempt]:
            yield f"{attempt} started {story.starts[attempt]} times and ended {ends} times"
    for task in job.tasks:
        wanted = int(task.state == job_pb2.TASK_STATE_COMPLETED)
        if story.completions[task.position] != wanted:
            name = job_pb2.TaskState.Name(task.state)
            yield f"task {task.name} is {name} and completed {story.completions[task.position]} times"
    if [run for run, _ in story.ends_of_runs] != list(range(1, job.run + 1)) or story.runs != job.run:
        yield f"run {job.run}, and its runs ended so: {story.ends_of_runs}"
    elif story.ends_of_runs[-1][1] != job.state:
        yield f"it is {job_pb2.JobState.Name(job.state)}, and its last run ended otherwise"


def _wrong_facts(evidence: Evidence) -> Iterator[str]:
    wanted: Counter[str] = Counter()
    for job_id, job in evidence.jobs.items():
        story = Story(evidence.histories[job_id])
        task_ids = {task.position: task.task_id for task in job.tasks}
        wanted.update(f"run:{job_id}:{run}" for run, _ in story.ends_of_runs)
        wanted.update(f"attempt:{task_ids.get(a.position)}:{a.run}:{a.number}" for a in story.ends.elements())
    told = Counter(fact.event_id for fact in evidence.facts)
    if missing := wanted - told:
        yield f"not told: {_some(missing)}"
    if surplus := told - wanted:
        yield f"told too often, or of nothing: {_some(surplus)}"


def _wrong_effects(evidence: Evidence) -> Iterator[str]:
    ledger = {f"{e.account_id}/{e.product_id}/{e.name}": e for e in evidence.effects}
    for key in {*ledger, *evidence.things}:
        effect, held = ledger.get(key), list(evidence.things.get(key, ()))
        if len(held) > 1:
            yield f"{key} happened {len(held)} times: {held}"
        if effect is None:
            yield f"{key} happened and the ledger does not know it"
            continue
        state = admin_pb2.EffectState.Name(effect.state)
        expected = {
            admin_pb2.EFFECT_STATE_DONE: [effect.remote_id],
            admin_pb2.EFFECT_STATE_NOT_SENT: [],
        }.get(effect.state)
        if held != expected:
            yield f"{key}: the ledger says {state} {effect.remote_id}, the marketplace holds {held}"
    for job in evidence.jobs.values():
        for name in (DRAFT, LISTING) if job.state == job_pb2.JOB_STATE_COMPLETED else ():
            if not evidence.things.get(f"{job.account_id}/{job.product_id}/{name}"):
                yield f"job {job.job_id} is COMPLETED and the marketplace holds no {name}"


def _wrong_listings(evidence: Evidence) -> Iterator[str]:
    listed = Counter((f"{x.account_id}/{x.product_id}/{LISTING}", x.remote_id) for x in evidence.listings)
    held = Counter(
        (key, remote_id)
        for key, remote_ids in evidence.things.items()
        for remote_id in remote_ids
        if key.endswith(f"/{LISTING}")
    )
    if listed != held:
        yield f"only in the catalogues: {_some(listed - held)}, only held: {_some(held - listed)}"


def _wrong_batches(evidence: Evidence) -> Iterator[str]:
    ends: dict[str, Counter[int]] = {}
    for job in evidence.jobs.values():
        ends.setdefault(job.batch_id, Counter())[job.state] += 1
    for batch_id, size in evidence.batches.items():
        batch, actual = evidence.shown_batches[batch_id], ends.get(batch_id, Counter())
        counts = Counter({entry.state: entry.count for entry in batch.counts if entry.count})
        if counts != actual:
            yield f"{batch_id} counts {dict(counts)}, and its jobs are {dict(actual)}"
        if (batch.total_count, batch.ended_count) != (size, size):
            yield f"{batch_id}: {size} jobs, {batch.total_count} in all, {batch.ended_count} ended"
        wanted = _batch_state(size, counts, batch_id in evidence.cancelled_batches)
        if batch.state != wanted:
            yield f"{batch_id} is {batch_pb2.BatchState.Name(batch.state)}"


def _batch_state(size: int, counts: Mapping[job_pb2.JobState.ValueType, int], is_cancelled: bool) -> int:
    if is_cancelled:
        return batch_pb2.BATCH_STATE_CANCELLED
    completed = counts[job_pb2.JOB_STATE_COMPLETED]
    if completed == size:
        return batch_pb2.BATCH_STATE_COMPLETED
    return batch_pb2.BATCH_STATE_PARTIALLY_FAILED if completed else batch_pb2.BATCH_STATE_FAILED


def _live_rows(evidence: Evidence) -> Iterator[str]:
    for table, rows in evidence.live_rows.items():
        if rows:
            yield f"{table} has {rows} rows"


def _wrong_dead_letters(evidence: Evidence) -> Iterator[str]:
    bad = {job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_EXPIRED}
    failed = {job_id for job_id, job in evidence.jobs.items() if job.state in bad}
    if difference := failed ^ evidence.dead_letters:
        yield f"{len(failed)} failed, {len(evidence.dead_letters)} dead letters: {_some(difference)}"


def _wrong_answers(evidence: Evidence) -> Iterator[str]:
    yield from evidence.contradictions
    yield from evidence.faults


def _some(things: object) -> str:
    listed = sorted(map(str, things))  # type: ignore[call-overload]
    return (
        f"{list(itertools.islice(listed, _MANY))}{f' and {len(listed) - _MANY} more' * (len(listed) > _MANY)}"
    )
