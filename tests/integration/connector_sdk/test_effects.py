import asyncio

from stoflow_connector_sdk import (
    Absent,
    EffectOutcome,
    Found,
    RetryableError,
    TaskContext,
    TaskResult,
    Unclear,
)
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from tests.integration.connector_sdk.scripted import MakeHandler, ScriptedService, make_definition


def make_definition_that_settles(service: ScriptedService, seconds: float):  # type: ignore[no-untyped-def]
    definition = make_definition(service)
    for handler in definition.handlers:
        if isinstance(handler, MakeHandler):
            handler.settle_seconds = seconds
    return definition


async def test_effect_that_appears_late_is_adopted_after_settling() -> None:
    """An effect that shows up only after the first probe is found by the second; heartbeats keep the lease."""
    probed: list[float] = []

    async def lost(task: TaskContext) -> TaskResult:
        raise RetryableError("no answer", effect=EffectOutcome.UNKNOWN)

    async def look(task: TaskContext) -> Found | Absent | Unclear:
        probed.append(task.clock.monotonic())
        return Absent() if len(probed) == 1 else Found(TaskResult(remote_id="late one"))

    service = ScriptedService(lost, look)
    definition = make_definition_that_settles(service, 0.8)
    async with (
        InMemoryOrchestrator(lease_seconds=0.3, heartbeat_seconds=0.1) as orchestrator,
        run_against(orchestrator, definition),
    ):
        job = orchestrator.submit(definition.manifest(), "make")
        await orchestrator.wait_for(job)
    task = job.tasks[0]
    assert job.state == "COMPLETED"
    assert task.modes == ["EXECUTE", "PROBE"]
    assert [report.success.remote_id for report in task.accepted][-1] == "late one"
    assert len(service.steps) == 1
    assert probed[1] - probed[0] > 0.7


async def test_absent_effect_is_made_after_settling() -> None:
    """When both probes find nothing the attempt makes the effect itself."""

    async def work(task: TaskContext) -> TaskResult:
        if task.attempt == 1:
            raise RetryableError("no answer")
        return TaskResult(remote_id="second")

    service = ScriptedService(work)
    definition = make_definition_that_settles(service, 0.2)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "make")
        await orchestrator.wait_for(job)
    assert len(service.probes) == 2
    assert len(service.steps) == 2
    assert service.steps[0].effect is not None
    assert service.steps[1].effect is not None
    assert service.steps[0].effect.reference == service.steps[1].effect.reference


async def test_effect_that_was_not_sent_needs_no_probe() -> None:
    """After NOT_SENT the next attempt runs at once."""

    async def work(task: TaskContext) -> TaskResult:
        if task.attempt == 1:
            raise RetryableError("refused", effect=EffectOutcome.NOT_SENT)
        return TaskResult(remote_id="second")

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "make")
        await orchestrator.wait_for(job)
    assert job.tasks[0].modes == ["EXECUTE", "EXECUTE"]
    assert service.probes == []


async def test_unclear_effect_waits_for_a_person() -> None:
    """A probe that cannot tell leaves the job waiting, and nothing is sent."""

    async def lost(task: TaskContext) -> TaskResult:
        raise RetryableError("no answer")

    async def look(task: TaskContext) -> Found | Absent | Unclear:
        return Unclear("two listings carry the reference")

    service = ScriptedService(lost, look)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "make")
        await orchestrator.wait_for(job)
    failure = job.tasks[0].accepted[-1].failure
    assert job.state == "WAITING"
    assert (failure.error_class, failure.effect_outcome, failure.code) == (5, 2, "PROBE_UNCLEAR")
    assert len(service.steps) == 1


async def test_two_jobs_share_one_effect() -> None:
    """A second job on the same account, product and site finds what the first one made."""

    async def look(task: TaskContext) -> Found | Absent | Unclear:
        assert task.effect is not None
        return Found(TaskResult(remote_id=task.effect.remote_id))

    service = ScriptedService(probe=look)
    definition = make_definition(service)
    from stoflow.catalog.v1.product_pb2 import Product
    from stoflow.connector.v1.task_pb2 import ProductSnapshot

    product = ProductSnapshot(product=Product(product_id="p"))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        manifest = definition.manifest()
        jobs = []
        for _ in range(2):
            jobs.append(orchestrator.submit(manifest, "make", account_id="a", product=product))
            await orchestrator.wait_for(jobs[-1])
            await asyncio.sleep(0)
    assert [job.tasks[0].accepted[0].success.remote_id for job in jobs] == ["made", "made"]
    assert len(service.steps) == 1
