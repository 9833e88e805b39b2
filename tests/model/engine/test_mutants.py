"""The histories are worth something: no guard can be missing without them noticing."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import psycopg
import pytest
from hypothesis.stateful import run_state_machine_as_test

from stoflow_orchestrator.lifecycle import TransitionError
from tests.model.engine.engine import Place
from tests.model.engine.histories import HISTORIES
from tests.model.engine.history import History
from tests.model.engine.machine import EngineMachine
from tests.model.engine.mutants import COMMON, MUTANTS
from tests.model.engine.situations import matrix
from tests.model.engine.test_engine import SHORT

# Something differs, or the engine or PostgreSQL itself refuses it. Nothing else: a mutant that no longer fits the
# engine fails as well, and proves nothing.
CAUGHT = (AssertionError, TransitionError, psycopg.Error)
HUNT = hypothesis.settings(SHORT, max_examples=500)
Mutant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("switch_off", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_engine_without_a_guard_is_caught(
    switch_off: Mutant, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With any one guard switched off the engine and the reference disagree."""
    switch_off(monkeypatch)
    with pytest.raises(CAUGHT):
        play_all(place)


def play_all(place: Place) -> None:
    """Plays every history that is written down, up to the first that fails."""
    for play in (*HISTORIES, *(play for _, play in matrix())):
        with History(place) as history:
            play(history)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("switch_off", COMMON, ids=lambda mutant: mutant.__name__)
def test_random_histories_catch_it_as_well(
    switch_off: Mutant, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random histories need nobody who thought of the guard: they notice that it is missing."""
    switch_off(monkeypatch)
    with pytest.raises(CAUGHT):
        run_state_machine_as_test(EngineMachine, settings=HUNT)
