import asyncio

import pytest
from stoflow.catalog.v1.product_pb2 import Product
from stoflow.connector.v1.task_pb2 import ProductSnapshot

from stoflow_connector_sdk import (
    EffectOutcome,
    FollowUp,
    NeedsHumanError,
    PermanentError,
    RateLimitedError,
    RetryableError,
    TaskContext,
    TaskResult,
    Violation,
)
from stoflow_connector_sdk.redaction import known_secrets
from stoflow_connector_sdk.testing import EffectRecord, InMemoryOrchestrator, run_against
from stoflow_service_kit.errors import InvalidArgumentError, ServiceError
from tests.integration.connector_sdk.scripted import ScriptedService, make_definition


async def test_report_survives_a_restart_of_the_orchestrator() -> None:
    """A result that meets an absent orchestrator is reported once it is back, without another attempt."""
    done = asyncio.Event()
    release = asyncio.Event()

    async def work(task: TaskContext) -> TaskResult:
        done.set()
        await release.wait()
        return TaskResult({"answer": 42})

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "work")
        await done.wait()
        await orchestrator.stop()
        release.set()
        await asyncio.sleep(0.5)
        await orchestrator.start()
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert len(service.steps) == 1
    assert job.tasks[0].accepted[0].success.output["answer"] == 42


async def test_report_whose_answer_is_lost_is_repeated_and_counts_once() -> None:
    """The same report again is accepted and changes nothing."""
    definition = make_definition(ScriptedService())
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition) as runtime:
        orchestrator.fail_next("ReportTasks", after=True)
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_until(lambda: orchestrator.servicer.calls["ReportTasks"] == 2)
        await orchestrator.wait_until(lambda: runtime.active_count == 0)
    assert job.state == "COMPLETED"
    assert len(job.tasks[0].accepted) == 1
    assert job.tasks[0].stale == []


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PermanentError("no", violations=[Violation("product.title", "too long")]), "FAILED"),
        (RateLimitedError("slow", retry_after_seconds=9), "WAITING"),
        (NeedsHumanError("look"), "WAITING"),
    ],
)
async def test_errors_arrive_as_what_they_are(error: Exception, state: str) -> None:
    """The class that a service raises decides what becomes of the job."""

    async def fail(task: TaskContext) -> TaskResult:
        raise error

    definition = make_definition(ScriptedService(fail))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
    assert job.state == state


async def test_retryable_error_brings_another_attempt() -> None:
    """A failed attempt is followed by one that knows its number."""

    async def work(task: TaskContext) -> TaskResult:
        if task.attempt == 1:
            raise RetryableError("not now", effect=EffectOutcome.NOT_SENT)
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
    assert [task.attempt for task in service.steps] == [1, 2]
    assert job.state == "COMPLETED"


async def test_unexpected_exception_is_reported_logged_and_holds_no_secret(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An exception that the service did not mean becomes UNEXPECTED; neither report nor log holds its secret."""
    known_secrets.add("opaque-token-0815")

    async def crash(task: TaskContext) -> TaskResult:
        raise KeyError("opaque-token-0815")

    definition = make_definition(ScriptedService(crash))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "work", max_retries=0)
        await orchestrator.wait_for(job)
    failure = job.tasks[0].accepted[0].failure
    out, err = capfd.readouterr()
    assert (failure.code, failure.error_class, failure.effect_outcome) == ("UNEXPECTED", 1, 2)
    assert "KeyError" in failure.message
    assert "attempt_crashed" in out + err
    assert "Traceback" in out + err
    assert "0815" not in str(failure) + out + err


async def test_cancellation_from_inside_a_service_is_a_failure() -> None:
    """A CancelledError that nobody sent to the attempt is reported, not swallowed."""

    async def cancelled(task: TaskContext) -> TaskResult:
        raise asyncio.CancelledError

    definition = make_definition(ScriptedService(cancelled))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "work", max_retries=0)
        await orchestrator.wait_for(job)
    assert job.tasks[0].accepted[0].failure.code == "UNEXPECTED"


async def test_once_step_without_a_remote_id_fails_before_it_is_reported_as_done() -> None:
    """A ONCE step must say what it made; otherwise the attempt fails and the effect stays unknown."""

    async def forget(task: TaskContext) -> TaskResult:
        return TaskResult()

    definition = make_definition(ScriptedService(forget))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "make", max_retries=0)
        await orchestrator.wait_for(job)
    failure = job.tasks[0].accepted[0].failure
    assert failure.effect_outcome == 2
    assert "must return the remote_id" in failure.message


async def test_large_reports_are_split_below_a_megabyte() -> None:
    """Forty results of almost 64 KiB arrive in requests below 1 MiB each."""
    gate = asyncio.Event()

    async def work(task: TaskContext) -> TaskResult:
        await gate.wait()
        return TaskResult({"text": "x" * 60_000})

    definition = make_definition(ScriptedService(work))
    async with (
        InMemoryOrchestrator() as orchestrator,
        run_against(orchestrator, definition, slots=40) as runtime,
    ):
        jobs = [orchestrator.submit(definition.manifest(), "work") for _ in range(40)]
        await orchestrator.wait_until(lambda: runtime.active_count == 40)
        gate.set()
        for job in jobs:
            await orchestrator.wait_for(job)
        sizes = [request.ByteSize() for request in orchestrator.servicer.requests["ReportTasks"]]
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert max(sizes) < 1024 * 1024
    assert sum(sizes) > 40 * 60_000


async def test_results_append_tasks_that_run_next_with_their_inputs() -> None:
    """A page that names the next one is followed by it, before whatever else the job has."""

    async def work(task: TaskContext) -> TaskResult:
        page = task.input.get("page", 0)
        return TaskResult(
            {"page": page}, follow_ups=[FollowUp("page", {"page": page + 1})] if page < 3 else ()
        )

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert [task.name for task in service.steps] == ["step", "page", "page", "page"]
    assert [task.input.get("page") for task in service.steps] == [None, 1, 2, 3]


async def test_report_that_contradicts_the_task_becomes_a_failure() -> None:
    """A result that the orchestrator finds invalid is handed in again as a failure that says why."""

    async def work(task: TaskContext) -> TaskResult:
        return TaskResult(follow_ups=[FollowUp("no_such_step")])

    definition = make_definition(ScriptedService(work))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition) as runtime:
        job = orchestrator.submit(definition.manifest(), "work", max_retries=0)
        await orchestrator.wait_for(job)
        await orchestrator.wait_until(lambda: runtime.active_count == 0)
    failure = job.tasks[0].accepted[0].failure
    assert (failure.code, failure.error_class, failure.effect_outcome) == ("REPORT_INVALID", 1, 2)
    assert "no_such_step" in failure.message


async def test_report_refused_for_good_frees_its_slot() -> None:
    """A report that the orchestrator will never take is given up, and the connector goes on with other tasks."""
    definition = make_definition(ScriptedService())
    async with (
        InMemoryOrchestrator() as orchestrator,
        run_against(orchestrator, definition, slots=1) as runtime,
    ):
        orchestrator.fail_next("ReportTasks", error=InvalidArgumentError([]))
        first = orchestrator.submit(definition.manifest(), "work")
        second = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(second)
        await orchestrator.wait_until(lambda: runtime.active_count == 0)
    assert (first.state, second.state) == ("RUNNING", "COMPLETED")


@pytest.mark.parametrize(
    ("is_settled", "effect"), [(True, 1), (False, 2)], ids=["first attempt", "later attempt"]
)
async def test_step_that_this_version_does_not_have_is_not_guessed(is_settled: bool, effect: int) -> None:
    """An unknown step fails with nothing sent; what an earlier attempt sent stays unknown."""
    definition = make_definition(ScriptedService())
    manifest = definition.manifest()
    for action in manifest.actions:
        for task in action.tasks:
            task.name = f"other_{task.name}"
    product = ProductSnapshot(product=Product(product_id="p"))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        orchestrator.ledger.effects["a/p//listing"] = EffectRecord("a/p//listing", is_settled=is_settled)
        job = orchestrator.submit(manifest, "make", account_id="a", product=product, max_retries=0)
        await orchestrator.wait_for(job)
    failure = job.tasks[0].accepted[0].failure
    assert (failure.code, failure.effect_outcome) == ("STEP_NOT_FOUND", effect)


@pytest.mark.parametrize(
    "error", [InvalidArgumentError([]), ServiceError("broken", reason="INTERNAL")], ids=["refused", "fault"]
)
async def test_one_refused_report_harms_no_other(error: ServiceError) -> None:
    """A group that the orchestrator refuses is handed in again in halves until each is answered."""
    gate = asyncio.Event()

    async def work(task: TaskContext) -> TaskResult:
        await gate.wait()
        return TaskResult()

    definition = make_definition(ScriptedService(work))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition) as runtime:
        jobs = [orchestrator.submit(definition.manifest(), "work") for _ in range(8)]
        await orchestrator.wait_until(lambda: runtime.active_count == 8)
        orchestrator.fail_next("ReportTasks", times=1, error=error)
        gate.set()
        for job in jobs:
            await orchestrator.wait_for(job)
    assert {job.state for job in jobs} == {"COMPLETED"}
