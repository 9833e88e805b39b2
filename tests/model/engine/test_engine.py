"""The engine against the reference: whatever callers, connectors, crashes and time do, they must agree."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from stoflow_orchestrator.lifecycle import (
    JOB_ARROWS,
    TASK_ARROWS,
    JobEvent,
    JobState,
    TaskEvent,
    TaskState,
)
from tests.model.engine.engine import Place
from tests.model.engine.histories import HISTORIES
from tests.model.engine.history import History
from tests.model.engine.machine import EngineMachine
from tests.model.engine.reference import Pair
from tests.model.engine.situations import matrix

# The same histories each time, so that a failure is everybody's; MODEL_SEED=<number> chooses others. Without
# shrinking: it takes minutes, and a failing history tells its steps anyway.
SHORT = hypothesis.settings(
    phases=[hypothesis.Phase.generate],
    database=None,
    report_multiple_bugs=False,
    print_blob=False,
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
LONG = hypothesis.settings(SHORT, max_examples=1_000)


@pytest.mark.timeout(600)
def test_every_event_in_every_state_agrees(place: Place) -> None:
    """Whatever may happen in whatever state does what the reference says, and where it may do nothing, nothing."""
    assert_complete(*play_matrix(place))


def play_matrix(place: Place) -> tuple[set[Pair], set[Pair]]:
    """Plays each event in each situation; returns what was asked for in which state, and what was done."""
    asked: set[Pair] = set()
    taken: set[Pair] = set()
    for name, play in matrix():
        try:
            with History(place) as history:
                play(history)
        except Exception as error:
            error.add_note(name)
            raise
        asked |= history.reference.asked
        taken |= history.reference.taken
    return asked, taken


def assert_complete(asked: set[Pair], taken: set[Pair]) -> None:
    """Asserts that every event was asked for in every state, and every arrow was taken."""
    assert missing(asked, {*product(JobState, JobEvent), *product(TaskState, TaskEvent)}) == []
    assert missing(taken, {*JOB_ARROWS, *TASK_ARROWS}) == []


def missing(found: set[Pair], wanted: set[Pair]) -> list[str]:
    return sorted(f"{event} when {state}" for state, event in wanted - found)


@pytest.mark.parametrize("play", HISTORIES, ids=lambda play: play.__name__)
def test_history_agrees(play: Callable[[History], None], place: Place) -> None:
    """One guard, one rule, one meeting of jobs: the engine and the reference agree after each step."""
    with History(place) as history:
        play(history)


@pytest.mark.timeout(600)
def test_random_histories_agree(place: Place) -> None:
    """Forty histories of fifty random steps agree after each of them."""
    run_state_machine_as_test(EngineMachine, settings=SHORT)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_many_random_histories_agree_and_take_every_arrow(place: Place) -> None:
    """A thousand histories of fifty random steps agree; with those written down, every event meets every state."""
    run_state_machine_as_test(EngineMachine, settings=LONG)
    # What is rare does not depend on luck.
    asked, taken = play_matrix(place)
    assert_complete(asked | EngineMachine.asked, taken | EngineMachine.taken)
