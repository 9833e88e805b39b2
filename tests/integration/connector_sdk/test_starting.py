import asyncio

import pytest
from stoflow.connector.v1.task_pb2 import TaskCommand

from stoflow_connector_sdk import TaskContext, TaskResult
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from stoflow_service_kit.errors import InvalidArgumentError
from stoflow_service_kit.startup import StartError
from tests.integration.connector_sdk.scripted import ScriptedService, make_definition


async def test_lost_answer_is_asked_for_again_with_the_same_token() -> None:
    """A StartTasks whose answer is lost is repeated with its tokens, and the task runs once."""
    service = ScriptedService()
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        orchestrator.fail_next("StartTasks", after=True)
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
        requests = orchestrator.servicer.requests["StartTasks"]
    assert job.state == "COMPLETED"
    assert len(requests) == 2
    assert requests[0] == requests[1]
    assert [task.attempt for task in service.steps] == [1]
    assert orchestrator.queue.acked == 1


async def test_lease_counts_from_the_first_try_until_a_heartbeat_extends_it() -> None:
    """After lost answers the lease is extended before the method runs, so that it finds time left."""
    remaining: list[float] = []

    async def look(task: TaskContext) -> TaskResult:
        remaining.append(task.lease.remaining_seconds())
        return TaskResult()

    definition = make_definition(ScriptedService(look))
    async with (
        InMemoryOrchestrator(lease_seconds=1.0, heartbeat_seconds=30) as orchestrator,
        run_against(orchestrator, definition),
    ):
        # Four tries are about a second and a half apart in all: longer than the lease.
        orchestrator.fail_next("StartTasks", times=5, after=True)
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert remaining[0] > 0.8


async def test_stale_command_is_acknowledged_and_dropped() -> None:
    """A command of an older dispatch runs nothing and does not come back."""
    service = ScriptedService()
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition) as runtime:
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
        old = TaskCommand(tenant_id=1, job_id=job.job_id, task_id=job.tasks[0].task_id, dispatch=1)
        orchestrator.queue.put(old.SerializeToString())
        await orchestrator.wait_until(lambda: orchestrator.queue.acked == 2)
        assert runtime.active_count == 0
    assert len(service.steps) == 1
    assert orchestrator.queue.naks == []


async def test_unavailable_task_comes_back_after_its_delay() -> None:
    """A task that cannot be started now is refused with the orchestrator's delay and runs afterwards."""
    definition = make_definition(ScriptedService())
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        job = orchestrator.submit(definition.manifest(), "work")
        orchestrator.ledger.unavailable_seconds[job.tasks[0].task_id] = 0.25
        await orchestrator.wait_for(job)
    assert orchestrator.queue.naks == [0.25]
    assert job.state == "COMPLETED"


async def test_malformed_commands_never_come_back_and_harm_nobody() -> None:
    """Bytes that are no command, and a command that the orchestrator refuses, are ended; others run."""
    definition = make_definition(ScriptedService())
    bad_id = TaskCommand(tenant_id=1, job_id="no uuid", task_id="no uuid", dispatch=1).SerializeToString()
    async with InMemoryOrchestrator() as orchestrator:
        for data in (b"\xff\xff", bad_id):
            orchestrator.queue.put(data)
        job = orchestrator.submit(definition.manifest(), "work")
        async with run_against(orchestrator, definition, slots=3):
            await orchestrator.wait_for(job)
            await orchestrator.wait_until(lambda: len(orchestrator.queue.terminated) == 2)
    assert sorted(orchestrator.queue.terminated) == sorted([b"\xff\xff", bad_id])
    assert job.state == "COMPLETED"


async def test_no_more_than_the_slots_are_held() -> None:
    """A connector holds at most as many tasks as it has slots, and takes the next when one is free."""
    gate = asyncio.Event()
    running = 0
    most = 0

    async def work(task: TaskContext) -> TaskResult:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition, slots=3):
        jobs = [orchestrator.submit(definition.manifest(), "work") for _ in range(8)]
        await orchestrator.wait_until(lambda: running == 3)
        gate.set()
        for job in jobs:
            await orchestrator.wait_for(job)
    assert most == 3
    assert len(service.steps) == 8


async def test_many_tasks_travel_in_few_calls() -> None:
    """A thousand tasks need neither a start nor a report call each."""
    definition = make_definition(ScriptedService())
    async with InMemoryOrchestrator() as orchestrator:
        jobs = [orchestrator.submit(definition.manifest(), "work") for _ in range(1000)]
        async with run_against(orchestrator, definition, slots=200):
            for job in jobs:
                await orchestrator.wait_for(job)
        calls = orchestrator.servicer.calls
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert calls["StartTasks"] < 100
    assert calls["ReportTasks"] < 100


async def test_start_waits_for_the_orchestrator() -> None:
    """A connector that starts first registers once the orchestrator answers."""
    orchestrator = InMemoryOrchestrator()
    await orchestrator.start()
    await orchestrator.stop()
    definition = make_definition(ScriptedService())

    async def appear() -> None:
        await asyncio.sleep(0.3)
        await orchestrator.start()

    appearing = asyncio.create_task(appear())
    async with run_against(orchestrator, definition):
        assert len(orchestrator.servicer.registered) == 1
    await appearing
    await orchestrator.stop()


async def test_refused_manifest_stops_the_connector() -> None:
    """A manifest that the orchestrator refuses is an error that waiting does not cure."""
    async with InMemoryOrchestrator() as orchestrator:
        orchestrator.fail_next("RegisterConnector", error=InvalidArgumentError([]))
        with pytest.raises(StartError, match="The orchestrator refuses this connector"):
            async with run_against(orchestrator, make_definition(ScriptedService())):
                pass


async def test_forgotten_connector_registers_again() -> None:
    """must_register brings a new registration, and tasks go on."""
    definition = make_definition(ScriptedService())
    async with (
        InMemoryOrchestrator(heartbeat_seconds=0.05) as orchestrator,
        run_against(orchestrator, definition) as runtime,
    ):
        orchestrator.forget_connectors()
        await orchestrator.wait_until(lambda: runtime.instance_id in orchestrator.servicer.registered)
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"


async def test_task_that_arrives_while_forgotten_is_started_all_the_same() -> None:
    """StartTasks that is refused for want of a registration registers and asks again."""
    definition = make_definition(ScriptedService())
    async with (
        InMemoryOrchestrator(heartbeat_seconds=30) as orchestrator,
        run_against(orchestrator, definition),
    ):
        await orchestrator.wait_until(lambda: orchestrator.servicer.calls["HeartbeatTasks"] == 1)
        orchestrator.forget_connectors()
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert orchestrator.servicer.calls["RegisterConnector"] == 2


async def test_idle_connector_is_quiet() -> None:
    """Without tasks a connector calls nothing but heartbeats, and those at their interval."""
    definition = make_definition(ScriptedService())
    async with (
        InMemoryOrchestrator(heartbeat_seconds=0.2) as orchestrator,
        run_against(orchestrator, definition),
    ):
        before = dict(orchestrator.servicer.calls)
        await asyncio.sleep(1.0)
        after = dict(orchestrator.servicer.calls)
    beats = after.pop("HeartbeatTasks") - before.pop("HeartbeatTasks", 0)
    assert 3 <= beats <= 6
    assert after == before
