"""Random histories of the engine against the reference."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from stoflow_orchestrator.lifecycle import JOB_ARROWS, TASK_ARROWS
from tests.model.engine.engine import Place
from tests.model.engine.machine import EngineMachine

# Without shrinking: it takes minutes, and a failing history tells its steps anyway.
SHORT = hypothesis.settings(
    phases=[hypothesis.Phase.generate],
    database=None,
    report_multiple_bugs=False,
    print_blob=False,
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
LONG = hypothesis.settings(SHORT, max_examples=1_000, stateful_step_count=50, derandomize=False)


def test_random_histories_agree_with_the_reference(place: Place) -> None:
    """Whatever callers, connectors, crashes and time do, the engine's tables say what the reference says."""
    run_state_machine_as_test(EngineMachine, settings=SHORT)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_many_long_histories_agree_and_take_every_arrow(place: Place) -> None:
    """A thousand histories of fifty steps agree, and together they take every arrow of the life cycles."""
    run_state_machine_as_test(EngineMachine, settings=LONG)
    arrows = {*JOB_ARROWS, *TASK_ARROWS}
    assert sorted(map(str, arrows - EngineMachine.arrows)) == []
