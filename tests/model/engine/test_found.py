"""Faults that random histories found, each as short as it gets."""

from __future__ import annotations

from stoflow_orchestrator.engine.commands import ExpireJob
from tests.model.engine.engine import Place
from tests.model.engine.history import History
from tests.model.engine.marketplace import LONG_AGO


def _wait_for_a_connector(history: History) -> None:
    """Begins a history whose only job was dispatched and waits for a connector."""
    history.create("publish")
    history.admit()
    history.tick_after(1, with_connectors=True)
    assert history.jobs[0].wait_reason == "CONNECTOR_UNAVAILABLE"


def test_job_that_waited_for_a_connector_goes_on_after_a_pause(place: Place) -> None:
    """Pausing and resuming a job that waits for a connector does not hold it back for ever."""
    with History(place) as history:
        _wait_for_a_connector(history)
        history.control("pause")
        history.control("resume")
        history.then(history.driver.register)
        history.begin()
        assert len(history.leases) == 1


def test_connector_that_came_unheard_is_found_by_the_reaper(place: Place) -> None:
    """A registration just before the job began to wait, which therefore did not find it, ends the wait all the same."""
    with History(place) as history:
        _wait_for_a_connector(history)
        history.then(history.driver.register)
        history.then(history.driver.tick)
        assert history.jobs[0].state == "RUNNING"


def test_retry_that_is_repeated_brings_no_job_back(place: Place) -> None:
    """The same RetryJob again is answered with the job as it is; one that has failed anew stays in the history."""
    with History(place) as history:
        history.create()
        history.begin()
        history.fail("PERMANENT", "NOT_SENT")
        history.control("retry")
        history.begin()
        history.fail("PERMANENT", "NOT_SENT")
        history.then(history.driver.archive)
        history.then(history.driver.control_again, *history.driver.calls[-1])


def test_expiry_that_was_found_in_an_earlier_run_ends_nothing(place: Place) -> None:
    """A job that was retried goes on, although another orchestrator's reaper still holds it for expired."""
    with History(place) as history:
        history.create()
        history.tick_after(15)
        history.control("retry")
        found = ExpireJob(history.jobs[0].job_id, LONG_AGO, run=1)
        history.driver.run(history.driver.engine.committer.run(found))
        history.driver.agrees()
        assert history.jobs[0].state == "PENDING"
