"""Tasks that a result appends: where they stand, and when they are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stoflow.connector.v1.manifest_pb2 import TaskSpec
from stoflow.connector.v1.task_pb2 import FollowUpTask, TaskSuccess

from stoflow_orchestrator.engine.follow_ups import (
    MAX_INPUT_BYTES,
    MAX_JOB_BYTES,
    MAX_TASKS,
    Room,
    append_follow_ups,
    follow_up_problem,
)
from stoflow_orchestrator.lifecycle import JobState, TaskState
from tests.unit.stoflow_orchestrator.engine.rows import make_changes, make_job, make_task

SPECS = {"page": TaskSpec(name="page", follow_up=True)}


def _success(*sizes: int, name: str = "page") -> TaskSuccess:
    success = TaskSuccess()
    for size in sizes:
        entry = success.follow_ups.add(name=name)
        if size:
            entry.input["text"] = "x" * size
    return success


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=8))
def test_appended_tasks_stand_behind_the_one_that_gave_them(appends: list[tuple[int, int]]) -> None:
    """Whatever is appended where, positions stay without gaps and the rest keeps its order."""
    job = make_job()
    order = [make_task(job, position) for position in range(4)]
    changes = make_changes(job, *order)
    for place, count in appends:
        giver = order[place]
        success = _success(*[0] * count)
        append_follow_ups(changes, job, giver, success, Room(SPECS, len(order), 0), "connector:x")
        order[place + 1 : place + 1] = changes.appended_tasks[-count:]
        assert [task.position for task in order] == list(range(len(order)))
        assert all(changes.find_task_at(job.job_id, n) is task for n, task in enumerate(order))
    assert len(changes.history) == len(appends)


def test_task_takes_what_its_step_and_its_entry_say() -> None:
    """Times come from the manifest, input and element from the result."""
    spec = TaskSpec(name="page", follow_up=True)
    spec.start_to_close_timeout.FromSeconds(7)
    spec.schedule_to_start_timeout.FromSeconds(8)
    entry = FollowUpTask(name="page", item_index=3)
    entry.input["cursor"] = "a"
    job = make_job()
    giver = make_task(job)
    changes = make_changes(job, giver)
    append_follow_ups(changes, job, giver, TaskSuccess(follow_ups=[entry]), Room({"page": spec}, 1, 0), "x")
    (task,) = changes.appended_tasks
    assert (task.start_to_close_seconds, task.schedule_to_start_seconds) == (7, 8)
    assert (task.item_index, task.input, task.state) == (3, '{"cursor":"a"}', TaskState.PENDING)


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.EXPIRED])
def test_what_is_appended_to_an_ended_job_is_cancelled_with_it(state: JobState) -> None:
    """Only another run would come to it."""
    job = make_job(state)
    giver = make_task(job)
    changes = make_changes(job, giver)
    append_follow_ups(changes, job, giver, _success(0), Room(SPECS, 1, 0), "x")
    (task,) = changes.appended_tasks
    assert task.state is TaskState.CANCELLED
    assert task.finish_time is not None


@pytest.mark.parametrize(
    ("room", "success", "said"),
    [
        (None, _success(0), "registry"),
        (Room(SPECS, 1, 0), _success(0, name="other"), "other"),
        (Room(SPECS, MAX_TASKS, 0), _success(0), str(MAX_TASKS)),
        (Room(SPECS, 1, 0), _success(MAX_INPUT_BYTES), str(MAX_INPUT_BYTES)),
        (Room(SPECS, 1, MAX_JOB_BYTES), _success(1), str(MAX_JOB_BYTES)),
        (Room(SPECS, MAX_TASKS - 1, MAX_JOB_BYTES - 100), _success(1), ""),
    ],
)
def test_what_does_not_fit_is_refused_with_the_bound(
    room: Room | None, success: TaskSuccess, said: str
) -> None:
    """Each bound is named; what just fits is not refused."""
    problem = follow_up_problem(room, success)
    assert (said in problem) if said else not problem
