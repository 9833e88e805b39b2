"""How an attempt at something that must happen once begins."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.records import Effect, EffectKey, Job, Task
from stoflow_orchestrator.lifecycle import JobState, TaskState

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEY = EffectKey(uuid.uuid4(), uuid.uuid4(), "EBAY_US", "listing")


def _job() -> Job:
    return Job(
        uuid.uuid4(), 1, "ebay", KEY.account_id, KEY.product_id, KEY.site, "publish", "1", b"", 3, 1, NOW,
        JobState.RUNNING, None, 0, None, 1, NOW, NOW, NOW, None,
    )  # fmt: skip


def _task(job: Job) -> Task:
    return Task(
        uuid.uuid4(), job.job_id, 0, "create", None, "listing", 60.0, 30.0, None, None, TaskState.PENDING, 0, 0, 1, NOW,
        None, None, None, None, None, None, None, None, None,
    )  # fmt: skip


def _effect(job: Job, state: str) -> Effect:
    return Effect(uuid.uuid4(), KEY, 1, state, "EXECUTE", 4, "r1", job.job_id, uuid.uuid4(), NOW)


def test_first_attempt_executes() -> None:
    """With no record nothing can have been sent."""
    job = _job()
    effect = Changes(NOW).begin_effect(job, _task(job), KEY)
    assert (effect.state, effect.mode, effect.generation) == ("UNRESOLVED", "EXECUTE", 1)


@pytest.mark.parametrize(
    ("state", "mode", "generation"),
    [("UNRESOLVED", "PROBE", 4), ("DONE", "PROBE", 5), ("NOT_SENT", "EXECUTE", 5)],
)
def test_later_attempt_begins_by_what_is_known(state: str, mode: str, generation: int) -> None:
    """Unresolved and done effects are probed; a settled one begins a new generation."""
    job = _job()
    changes = Changes(NOW, effects={KEY: _effect(job, state)})
    task = _task(job)
    effect = changes.begin_effect(job, task, KEY)
    assert (effect.state, effect.mode, effect.generation) == ("UNRESOLVED", mode, generation)
    assert effect.task_id == task.task_id
    assert changes.changed_effects == {KEY: effect}


@pytest.mark.parametrize("state", ["DONE", "UNRESOLVED"])
def test_what_a_person_settled_is_adopted_by_the_task_it_was_settled_for(state: str) -> None:
    """Neither the first attempt after it nor a successor of that one looks again, and no generation begins."""
    job = _job()
    task, effect = _task(job), _effect(job, state)
    effect.mode, effect.task_id = "ADOPT", task.task_id
    begun = Changes(NOW, effects={KEY: effect}).begin_effect(job, task, KEY)
    assert (begun.state, begun.mode, begun.generation, begun.remote_id) == ("UNRESOLVED", "ADOPT", 4, "r1")


def test_what_a_person_settled_is_probed_by_other_tasks() -> None:
    """A later job asks whether it is still there, as after any effect that was done."""
    job = _job()
    effect = _effect(job, "DONE")
    effect.mode = "ADOPT"
    begun = Changes(NOW, effects={KEY: effect}).begin_effect(job, _task(job), KEY)
    assert (begun.mode, begun.generation) == ("PROBE", 5)


def test_unresolved_effect_keeps_the_time_of_its_last_possible_send() -> None:
    """The settle time counts from the attempt before, whoever probes."""
    job = _job()
    changes = Changes(datetime(2031, 1, 1, tzinfo=UTC), effects={KEY: _effect(job, "UNRESOLVED")})
    assert changes.begin_effect(job, _task(job), KEY).last_send_time == NOW
