"""Faults that random histories found, each as short as it gets."""

from __future__ import annotations

from tests.model.engine.engine import Place
from tests.model.engine.machine import EngineMachine


def _job_without_a_connector(place: Place) -> EngineMachine:
    """Begins a history whose only job was dispatched and waits for a connector."""
    EngineMachine.place = place
    history = EngineMachine()
    history.open()
    history.create(
        account=0, product=0, action="publish", priority=3, max_retries=0, is_duplicate=False, wait=None
    )
    history.admit()
    history.let_time_pass(minutes=1, with_connectors=True)
    history.tick()
    history.agrees()
    (job,) = history.reference.jobs.values()
    assert job.wait_reason == "CONNECTOR_UNAVAILABLE"
    return history


def test_job_that_waited_for_a_connector_goes_on_after_a_pause(place: Place) -> None:
    """Pausing and resuming a job that waits for a connector does not hold it back for ever."""
    history = _job_without_a_connector(place)
    history.control("pause", 0)
    history.control("resume", 0)
    history.register()
    history.admit_and_start()
    history.agrees()
    assert len(history.leases) == 1
    history.teardown()


def test_connector_that_came_unheard_is_found_by_the_reaper(place: Place) -> None:
    """A registration just before the job began to wait, which therefore did not find it, ends the wait all the same."""
    history = _job_without_a_connector(place)
    history.register()
    history.tick()
    history.agrees()
    (job,) = history.reference.jobs.values()
    assert job.state == "RUNNING"
    history.teardown()
