"""The judge of storms is able to fail: spoiling any one piece of faultless evidence breaks the rule it stands for."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from stoflow.admin.v1 import admin_pb2
from stoflow.catalog.v1 import listing_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import batch_pb2, job_pb2

from tests.chaos.storm.connector import DRAFT, LISTING
from tests.chaos.storm.evidence import LIVE_TABLES, Evidence
from tests.chaos.storm.judge import Rule, judge

ACCOUNT = "account"
BATCH = "batch"
# A job that was submitted alone and failed once, two of a batch: one completed, one cancelled before it began.
ALONE, TOGETHER, CANCELLED = "alone", "together", "cancelled"
STEPS = ("create_draft", "publish")
Types = job_pb2.JobEventType
Spoil = Callable[[dict[str, Any]], object]


def make_job(job_id: str, state: job_pb2.JobState.ValueType, run: int = 1, batch_id: str = "") -> job_pb2.Job:
    task_state = (
        job_pb2.TASK_STATE_COMPLETED if state == job_pb2.JOB_STATE_COMPLETED else job_pb2.TASK_STATE_CANCELLED
    )
    tasks = [
        job_pb2.Task(task_id=f"{job_id}-{position}", position=position, name=name, state=task_state)
        for position, name in enumerate(STEPS)
    ]
    return job_pb2.Job(
        job_id=job_id,
        tenant_id=1,
        account_id=ACCOUNT,
        product_id=job_id,
        batch_id=batch_id,
        state=state,
        run=run,
        tasks=tasks,
    )


def make_history(job: job_pb2.Job, *steps: tuple[str, int, int]) -> list[job_pb2.JobEvent]:
    events = [
        job_pb2.JobEvent(
            sequence=sequence,
            type=Types.Value(f"JOB_EVENT_TYPE_{name}"),
            task_position=position,
            attempt=attempt,
        )
        for sequence, (name, position, attempt) in enumerate(steps, 1)
    ]
    job.event_sequence = len(events)
    return events


def make_good() -> dict[str, Any]:
    """Returns faultless evidence, by the names of its fields."""
    alone = make_job(ALONE, job_pb2.JOB_STATE_COMPLETED, run=2)
    together = make_job(TOGETHER, job_pb2.JOB_STATE_COMPLETED, batch_id=BATCH)
    cancelled = make_job(CANCELLED, job_pb2.JOB_STATE_CANCELLED, batch_id=BATCH)
    completing = (("TASK_STARTED", 1, 1), ("TASK_COMPLETED", 1, 1), ("COMPLETED", 0, 0))
    first = (("CREATED", 0, 0), ("TASK_STARTED", 0, 1), ("TASK_COMPLETED", 0, 1))
    failing = (("TASK_STARTED", 1, 1), ("TASK_RETRIED", 1, 1), ("TASK_STARTED", 1, 2), ("TASK_FAILED", 1, 2))
    histories = {
        ALONE: make_history(alone, *first, *failing, ("FAILED", 0, 0), ("RETRIED", 0, 0), *completing),
        TOGETHER: make_history(together, *first, *completing),
        CANCELLED: make_history(cancelled, ("CREATED", 0, 0), ("CANCELLED", 0, 0)),
    }
    keys = {
        (job_id, name): f"{ACCOUNT}/{job_id}/{name}"
        for job_id in (ALONE, TOGETHER)
        for name in (DRAFT, LISTING)
    }
    facts = [f"run:{ALONE}:1", f"run:{ALONE}:2", f"run:{TOGETHER}:1", f"run:{CANCELLED}:1"]
    facts += [f"attempt:{ALONE}-{end}" for end in ("0:1:1", "1:1:1", "1:1:2", "1:2:1")]
    facts += [f"attempt:{TOGETHER}-{end}" for end in ("0:1:1", "1:1:1")]
    counts = [
        batch_pb2.BatchJobCount(state=job_pb2.JOB_STATE_COMPLETED, count=1),
        batch_pb2.BatchJobCount(state=job_pb2.JOB_STATE_CANCELLED, count=1),
    ]
    batch = batch_pb2.Batch(
        state=batch_pb2.BATCH_STATE_PARTIALLY_FAILED, counts=counts, total_count=2, ended_count=2
    )
    return {
        "singles": frozenset({ALONE}),
        "batches": {BATCH: 2},
        "cancelled_batches": frozenset(),
        "jobs": {job.job_id: job for job in (alone, together, cancelled)},
        "histories": histories,
        "shown_batches": {BATCH: batch},
        "facts": [event_pb2.Event(event_id=event_id) for event_id in facts],
        "effects": [make_effect(job_id, name, f"R-{key}") for (job_id, name), key in keys.items()],
        "dead_letters": frozenset(),
        "listings": [
            listing_pb2.Listing(account_id=ACCOUNT, product_id=job_id, remote_id=f"R-{key}")
            for (job_id, name), key in keys.items()
            if name == LISTING
        ],
        "things": {key: [f"R-{key}"] for key in keys.values()},
        "archived": [ALONE, TOGETHER, CANCELLED],
        "live_rows": dict.fromkeys(LIVE_TABLES, 0),
        "contradictions": (),
        "faults": (),
    }


def make_effect(job_id: str, name: str, remote_id: str) -> admin_pb2.Effect:
    return admin_pb2.Effect(
        account_id=ACCOUNT,
        product_id=job_id,
        name=name,
        state=admin_pb2.EFFECT_STATE_DONE,
        remote_id=remote_id,
    )


DRAFT_KEY = f"{ACCOUNT}/{ALONE}/{DRAFT}"


def insert_event(
    evidence: dict[str, Any], job_id: str, after: int, name: str, position: int, attempt: int
) -> None:
    history = evidence["histories"][job_id]
    event = job_pb2.JobEvent(
        type=Types.Value(f"JOB_EVENT_TYPE_{name}"), task_position=position, attempt=attempt
    )
    history.insert(after, event)
    for sequence, entry in enumerate(history, 1):
        entry.sequence = sequence
    evidence["jobs"][job_id].event_sequence = len(history)


def set_state(evidence: dict[str, Any], job_id: str, state: job_pb2.JobState.ValueType) -> None:
    evidence["jobs"][job_id].state = state


def lose_job(evidence: dict[str, Any]) -> None:
    del evidence["jobs"][ALONE]
    evidence["archived"].remove(ALONE)


def accept_twice(evidence: dict[str, Any]) -> None:
    insert_event(evidence, TOGETHER, 3, "TASK_COMPLETED", 0, 1)


def start_twice(evidence: dict[str, Any]) -> None:
    insert_event(evidence, TOGETHER, 2, "TASK_STARTED", 0, 1)


def complete_in_two_attempts(evidence: dict[str, Any]) -> None:
    insert_event(evidence, TOGETHER, 3, "TASK_STARTED", 0, 2)
    insert_event(evidence, TOGETHER, 4, "TASK_COMPLETED", 0, 2)


def end_twice(evidence: dict[str, Any]) -> None:
    insert_event(evidence, CANCELLED, 2, "COMPLETED", 0, 0)


def never_end_attempt(evidence: dict[str, Any]) -> None:
    insert_event(evidence, CANCELLED, 1, "TASK_STARTED", 0, 1)


def skip_event(evidence: dict[str, Any]) -> None:
    evidence["histories"][CANCELLED][0].sequence = 0


def complete_untouched(evidence: dict[str, Any]) -> None:
    set_state(evidence, CANCELLED, job_pb2.JOB_STATE_COMPLETED)


def reopen_task(evidence: dict[str, Any]) -> None:
    evidence["jobs"][CANCELLED].tasks[0].state = job_pb2.TASK_STATE_RUNNING


def leave_effect_open(evidence: dict[str, Any]) -> None:
    evidence["effects"][0].state = admin_pb2.EFFECT_STATE_UNRESOLVED


def deny_effect(evidence: dict[str, Any]) -> None:
    evidence["effects"][0].state = admin_pb2.EFFECT_STATE_NOT_SENT


def swap_batch_counts(evidence: dict[str, Any]) -> None:
    evidence["shown_batches"][BATCH].counts[1].state = job_pb2.JOB_STATE_FAILED


SPOILT: list[tuple[str, Spoil, set[Rule]]] = [
    ("a submitted job is nowhere", lose_job, {Rule.NOTHING_LOST}),
    ("a job is listed that nobody submitted", lambda e: e.update(singles=frozenset()), {Rule.NOTHING_LOST}),
    ("a batch lost a job", lambda e: e["batches"].update({BATCH: 3}), {Rule.NOTHING_LOST}),
    ("a job is not archived", lambda e: e["archived"].remove(ALONE), {Rule.NOTHING_LOST}),
    ("a job is archived twice", lambda e: e["archived"].append(ALONE), {Rule.NOTHING_LOST}),
    ("a job runs for ever", lambda e: set_state(e, ALONE, job_pb2.JOB_STATE_RUNNING), {Rule.ALL_TERMINAL}),
    ("a task runs for ever", reopen_task, {Rule.ALL_TERMINAL}),
    ("a job is completed without its tasks", complete_untouched, {Rule.ALL_TERMINAL}),
    ("a report is accepted twice", accept_twice, {Rule.ACCEPTED_ONCE}),
    ("an attempt starts twice", start_twice, {Rule.ACCEPTED_ONCE}),
    ("a task completes in two attempts", complete_in_two_attempts, {Rule.ACCEPTED_ONCE}),
    ("a run ends twice", end_twice, {Rule.ACCEPTED_ONCE}),
    ("an attempt never ends", never_end_attempt, {Rule.ACCEPTED_ONCE}),
    ("a history has a gap", skip_event, {Rule.ACCEPTED_ONCE}),
    ("a result event is missing", lambda e: e["facts"].pop(), {Rule.FACTS_EXACT}),
    ("a result event is told twice", lambda e: e["facts"].append(e["facts"][0]), {Rule.FACTS_EXACT}),
    ("an effect happened twice", lambda e: e["things"][DRAFT_KEY].append("R-2"), {Rule.EFFECTS_ONCE}),
    ("an effect never happened", lambda e: e["things"].pop(DRAFT_KEY), {Rule.EFFECTS_ONCE}),
    ("the ledger forgot an effect", lambda e: e["effects"].pop(0), {Rule.EFFECTS_ONCE}),
    ("the ledger leaves an effect open", leave_effect_open, {Rule.EFFECTS_ONCE}),
    ("the ledger denies an effect", deny_effect, {Rule.EFFECTS_ONCE}),
    ("the ledger names another thing", lambda e: e["things"].update({DRAFT_KEY: ["R-2"]}), {Rule.EFFECTS_ONCE}),
    ("the catalogue forgot a listing", lambda e: e["listings"].pop(), {Rule.LISTINGS_EXACT}),
    ("a batch counts wrongly", swap_batch_counts, {Rule.BATCHES_EXACT}),
    ("a batch never ends", lambda e: setattr(e["shown_batches"][BATCH], "ended_count", 1), {Rule.BATCHES_EXACT}),
    ("a batch has a wrong state", lambda e: e.update(cancelled_batches={BATCH}), {Rule.BATCHES_EXACT}),
    *(
        (f"{table} is not empty", lambda e, table=table: e["live_rows"].update({table: 1}), {Rule.NOTHING_LIVE})
        for table in LIVE_TABLES
    ),
    ("a dead letter of no failure", lambda e: e.update(dead_letters={ALONE}), {Rule.DEAD_LETTERS_EXACT}),
    ("answers differ", lambda e: e.update(contradictions=("CreateJob",)), {Rule.ANSWERED_ALIKE}),
    ("an internal error", lambda e: e.update(faults=("CreateJob: INTERNAL",)), {Rule.ANSWERED_ALIKE}),
]  # fmt: skip


def test_judge_accepts_faultless_evidence() -> None:
    """Evidence in which everything is as promised breaks no rule."""
    assert judge(Evidence(**make_good())) == []


@pytest.mark.parametrize(("spoil", "rules"), [case[1:] for case in SPOILT], ids=[case[0] for case in SPOILT])
def test_judge_sees_what_is_spoilt(spoil: Spoil, rules: set[Rule]) -> None:
    """Spoilt evidence breaks the rule that the piece stands for."""
    evidence = copy.deepcopy(make_good())
    spoil(evidence)
    assert rules <= {violation.rule for violation in judge(Evidence(**evidence))}


def test_every_rule_can_be_broken() -> None:
    """No rule is without a case that breaks it, and no field of the evidence is never looked at."""
    assert set().union(*(rules for _, _, rules in SPOILT)) == set(Rule)
    assert {field.name for field in dataclasses.fields(Evidence)} == set(make_good())
