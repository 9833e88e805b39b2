"""The random histories are worth something: no guard can be missing without them noticing."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.model.engine.engine import Place
from tests.model.engine.machine import EngineMachine
from tests.model.engine.mutants import MUTANTS
from tests.model.engine.test_engine import SHORT

HUNT = hypothesis.settings(SHORT, max_examples=150, stateful_step_count=50)


@pytest.mark.parametrize("switch_off", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_engine_without_a_guard_is_caught(
    switch_off: Callable[[pytest.MonkeyPatch], None], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With any one guard switched off the engine and the reference soon disagree."""
    switch_off(monkeypatch)
    # An answer that differs, or a row that PostgreSQL's own checks refuse.
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, the run has failed
        run_state_machine_as_test(EngineMachine, settings=HUNT)
    assert not isinstance(caught.value, hypothesis.errors.HypothesisException)
