import asyncio

import pytest

from stoflow_connector_sdk import LeaseTooShortError, TaskContext, TaskResult
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from tests.integration.connector_sdk.scripted import ScriptedService, make_definition


async def test_heartbeats_keep_a_long_attempt_alive() -> None:
    """An attempt that takes several leases keeps its lease and ends well."""
    remaining: list[float] = []

    async def work(task: TaskContext) -> TaskResult:
        for _ in range(8):
            await asyncio.sleep(0.1)
            remaining.append(task.lease.remaining_seconds())
        return TaskResult()

    definition = make_definition(ScriptedService(work))
    async with (
        InMemoryOrchestrator(lease_seconds=0.4, heartbeat_seconds=0.1) as orchestrator,
        run_against(orchestrator, definition),
    ):
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert min(remaining) > 0


async def test_lost_lease_interrupts_the_attempt_and_reports_nothing() -> None:
    """LEASE_LOST ends the old attempt without a report, and the new one finishes the task."""
    interrupted: list[int] = []

    async def work(task: TaskContext) -> TaskResult:
        if task.attempt == 1:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                interrupted.append(task.attempt)
                raise
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with (
        InMemoryOrchestrator(heartbeat_seconds=0.05) as orchestrator,
        run_against(orchestrator, definition) as runtime,
    ):
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_until(lambda: len(service.steps) == 1)
        orchestrator.take_lease_away(job.tasks[0])
        await orchestrator.wait_for(job)
        await orchestrator.wait_until(lambda: runtime.active_count == 0)
    assert interrupted == [1]
    assert [report.WhichOneof("outcome") for report in job.tasks[0].accepted] == ["success"]
    assert job.tasks[0].stale == []
    assert service.steps[0].lease.is_lost


async def test_result_that_comes_after_the_lease_was_lost_is_still_reported() -> None:
    """A method that ends with a result despite the interruption hands in its remote id, which is stale."""

    async def stubborn(task: TaskContext) -> TaskResult:
        if task.attempt == 1:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                # As a service would that shields the end of a request.
                return TaskResult(remote_id="late")
        return TaskResult(remote_id="made")

    service = ScriptedService(stubborn)
    definition = make_definition(service)
    async with (
        InMemoryOrchestrator(heartbeat_seconds=0.05) as orchestrator,
        run_against(orchestrator, definition),
    ):
        job = orchestrator.submit(definition.manifest(), "make")
        await orchestrator.wait_until(lambda: len(service.steps) == 1)
        orchestrator.take_lease_away(job.tasks[0])
        await orchestrator.wait_for(job)
        await orchestrator.wait_until(lambda: bool(job.tasks[0].stale))
    assert [report.success.remote_id for report in job.tasks[0].stale] == ["late"]
    assert [report.success.remote_id for report in job.tasks[0].accepted] == ["made"]


async def test_attempt_that_takes_too_long_is_ended_with_an_unknown_effect() -> None:
    """After start_to_close the method is interrupted; whether a ONCE effect happened is unknown."""

    async def hang(task: TaskContext) -> TaskResult:
        await asyncio.sleep(60)
        return TaskResult()

    definition = make_definition(ScriptedService(hang), timeout_seconds=0.3)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "make", max_retries=0)
        await orchestrator.wait_for(job)
    failure = job.tasks[0].accepted[0].failure
    assert (failure.code, failure.error_class, failure.effect_outcome) == ("START_TO_CLOSE_TIMEOUT", 1, 2)


async def test_services_own_timeout_is_not_taken_for_the_attempts() -> None:
    """A TimeoutError that the service lets out is its own failure, not START_TO_CLOSE_TIMEOUT."""

    async def impatient(task: TaskContext) -> TaskResult:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
        return TaskResult()

    definition = make_definition(ScriptedService(impatient))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "work", max_retries=0)
        await orchestrator.wait_for(job)
    assert job.tasks[0].accepted[0].failure.code == "UNEXPECTED"


async def test_lease_runs_out_here_while_the_orchestrator_is_away() -> None:
    """Without heartbeats the process itself stops starting requests, and its result counts if it is in time."""
    refused: list[LeaseTooShortError] = []
    away = asyncio.Event()

    async def work(task: TaskContext) -> TaskResult:
        await away.wait()
        await asyncio.sleep(task.lease.remaining_seconds() + 0.05)
        try:
            task.lease.require(0.01)
        except LeaseTooShortError as error:
            refused.append(error)
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with (
        InMemoryOrchestrator(lease_seconds=0.6, heartbeat_seconds=0.1) as orchestrator,
        run_against(orchestrator, definition),
    ):
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_until(lambda: len(service.steps) == 1)
        await orchestrator.stop()
        away.set()
        await asyncio.sleep(0.9)
        await orchestrator.start()
        await orchestrator.wait_for(job)
    assert len(refused) == 1
    # An expired lease that was not reaped may still report.
    assert job.state == "COMPLETED"


@pytest.mark.parametrize("directive", ["cancel", "pause"])
async def test_stopped_job_ends_its_waiting_attempt(directive: str) -> None:
    """CANCEL and PAUSE reach an attempt that waits, and it reports instead of going on."""

    async def work(task: TaskContext) -> TaskResult:
        await task.wait(60)
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with (
        InMemoryOrchestrator(heartbeat_seconds=0.05) as orchestrator,
        run_against(orchestrator, definition),
    ):
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_until(lambda: len(service.steps) == 1)
        getattr(orchestrator, directive)(job)
        await orchestrator.wait_until(lambda: bool(job.tasks[0].accepted))
    assert job.tasks[0].accepted[0].failure.code == "STOP_REQUESTED"
    assert len(service.steps) == 1
