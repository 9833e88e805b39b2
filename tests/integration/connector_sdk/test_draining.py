import asyncio

from stoflow_connector_sdk import TaskContext, TaskResult
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from tests.integration.connector_sdk.scripted import ScriptedService, make_definition


async def test_drain_lets_attempts_finish_and_leaves() -> None:
    """Attempts within the grace end and are reported; then the registration goes and nothing is released."""

    async def work(task: TaskContext) -> TaskResult:
        await asyncio.sleep(0.3)
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator:
        async with run_against(orchestrator, definition, drain_grace_seconds=5):
            job = orchestrator.submit(definition.manifest(), "work")
            await orchestrator.wait_until(lambda: len(service.steps) == 1)
        assert job.state == "COMPLETED"
        assert orchestrator.servicer.registered == {}
        assert list(orchestrator.servicer.slots.values()) == [0]
        assert orchestrator.servicer.released == 0


async def test_drain_gives_back_what_does_not_finish() -> None:
    """An attempt that outlasts the grace is interrupted and released, and another connector finishes it."""
    interrupted: list[str] = []

    async def work(task: TaskContext) -> TaskResult:
        if not interrupted:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                interrupted.append(task.task_id)
                raise
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator:
        async with run_against(orchestrator, definition, drain_grace_seconds=0.2):
            job = orchestrator.submit(definition.manifest(), "work", max_retries=0)
            await orchestrator.wait_until(lambda: len(service.steps) == 1)
        assert len(interrupted) == 1
        assert orchestrator.servicer.released == 1
        assert job.tasks[0].accepted == []
        async with run_against(orchestrator, definition):
            await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    # Released without a try: the second connector's attempt is the first one again.
    assert [task.attempt for task in service.steps] == [1, 1]


async def test_drain_takes_no_new_tasks() -> None:
    """Commands that arrive during the drain stay for others."""
    gate = asyncio.Event()

    async def work(task: TaskContext) -> TaskResult:
        await gate.wait()
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator:
        async with run_against(orchestrator, definition, drain_grace_seconds=5) as runtime:
            orchestrator.submit(definition.manifest(), "work")
            await orchestrator.wait_until(lambda: len(service.steps) == 1)
            draining = asyncio.create_task(runtime.drain(5))
            await orchestrator.wait_until(lambda: orchestrator.servicer.slots[runtime.instance_id] == 0)
            later = orchestrator.submit(definition.manifest(), "work")
            await asyncio.sleep(0.2)
            gate.set()
            await draining
        assert len(service.steps) == 1
        assert later.tasks[0].attempt == 0


async def test_drain_ends_although_the_orchestrator_is_away() -> None:
    """Without an orchestrator a drain still ends soon after its grace."""

    async def work(task: TaskContext) -> TaskResult:
        return TaskResult()

    definition = make_definition(ScriptedService(work))
    async with InMemoryOrchestrator() as orchestrator:
        async with asyncio.timeout(15):
            async with run_against(orchestrator, definition, drain_grace_seconds=0.2):
                orchestrator.fail_next("ReportTasks", times=1000)
                orchestrator.submit(definition.manifest(), "work")
                await orchestrator.wait_until(lambda: orchestrator.servicer.calls["ReportTasks"] > 0)
                await orchestrator.stop()
    assert list(orchestrator.servicer.registered) != []


async def test_grant_that_was_lost_on_the_way_is_released() -> None:
    """A lease whose grant never arrived is given back at the end of the drain."""
    service = ScriptedService()
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator:
        async with run_against(orchestrator, definition, drain_grace_seconds=0.2):
            orchestrator.fail_next("StartTasks", times=1000, after=True)
            job = orchestrator.submit(definition.manifest(), "work")
            await orchestrator.wait_until(lambda: job.tasks[0].state == "RUNNING")
        assert orchestrator.servicer.released == 1
        assert job.tasks[0].state == "PENDING"
    assert service.steps == []


async def test_connector_that_an_operator_drains_finishes_and_takes_nothing_more() -> None:
    """Told by its heartbeat it asks for no more commands and says 0 slots; its attempt ends and it lives on."""
    gate = asyncio.Event()

    async def work(task: TaskContext) -> TaskResult:
        await gate.wait()
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator:
        async with run_against(orchestrator, definition) as retired:
            job = orchestrator.submit(definition.manifest(), "work")
            await orchestrator.wait_until(lambda: len(service.steps) == 1)
            orchestrator.servicer.drained.add(retired.instance_id)
            await orchestrator.wait_until(lambda: orchestrator.servicer.slots[retired.instance_id] == 0)
            later = orchestrator.submit(definition.manifest(), "work")
            gate.set()
            await orchestrator.wait_for(job)
            await asyncio.sleep(0.2)
            assert job.state == "COMPLETED"
            assert later.tasks[0].attempt == 0
            assert retired.instance_id in orchestrator.servicer.registered
            async with run_against(orchestrator, definition):
                await orchestrator.wait_for(later)
        assert later.state == "COMPLETED"
        assert len(service.steps) == 2
