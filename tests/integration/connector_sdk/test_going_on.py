"""The runtime runs a job's tasks one after the other in one slot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stoflow_connector_sdk import ConnectorDefinition, TaskContext, TaskResult, TaskSpec
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from tests.integration.connector_sdk.scripted import ScriptedService, WorkHandler


class StepsHandler(WorkHandler):
    """Three steps, each of which sees what the earlier ones gave."""

    action = "steps"

    def create_tasks(self) -> Sequence[TaskSpec]:
        return [TaskSpec(name, self.timeout_seconds) for name in ("first", "second", "third")]

    def get_service_method_name(self, task: TaskSpec) -> str:
        return "step"


def make_definition(service: ScriptedService) -> ConnectorDefinition:
    return ConnectorDefinition(
        marketplace="scripted", display_name="Scripted", version="1", handlers=[StepsHandler(service, 30)]
    )


async def count(task: TaskContext) -> TaskResult:
    return TaskResult({"step": task.name})


async def test_job_runs_to_its_end_on_one_start() -> None:
    """Later steps come with the answers to the reports, and see the outputs before them."""
    service = ScriptedService(count)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition) as runtime:
        job = orchestrator.submit(definition.manifest(), "steps")
        await orchestrator.wait_for(job)
        await orchestrator.wait_until(lambda: runtime.active_count == 0)
        assert orchestrator.servicer.calls["StartTasks"] == 1
    assert job.state == "COMPLETED"
    assert [task.name for task in service.steps] == ["first", "second", "third"]
    assert service.steps[2].outputs["second"] == {"step": "second"}


async def test_lost_answer_to_a_report_loses_no_grant() -> None:
    """The repeated report brings the grant that the lost answer held; no step runs twice."""
    service = ScriptedService(count)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition):
        orchestrator.fail_next("ReportTasks", after=True)
        job = orchestrator.submit(definition.manifest(), "steps")
        await orchestrator.wait_for(job)
    assert job.state == "COMPLETED"
    assert [task.attempt for task in job.tasks] == [1, 1, 1]


async def test_slot_is_free_again_after_the_last_step() -> None:
    """Many jobs pass through one slot."""
    definition = make_definition(ScriptedService(count))
    async with InMemoryOrchestrator() as orchestrator, run_against(orchestrator, definition, slots=1):
        jobs = [orchestrator.submit(definition.manifest(), "steps") for _ in range(5)]
        for job in jobs:
            await orchestrator.wait_for(job)
    assert {job.state for job in jobs} == {"COMPLETED"}


async def test_draining_runtime_takes_no_further_step() -> None:
    """The step that runs ends and is reported; the next one is left to another instance."""
    running, release = asyncio.Event(), asyncio.Event()

    async def work(task: TaskContext) -> TaskResult:
        running.set()
        await release.wait()
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with InMemoryOrchestrator() as orchestrator:
        async with run_against(orchestrator, definition) as runtime:
            job = orchestrator.submit(definition.manifest(), "steps")
            await running.wait()
            draining = asyncio.create_task(runtime.drain(5.0))
            await asyncio.sleep(0.1)
            release.set()
            await draining
        assert [task.state for task in job.tasks] == ["COMPLETED", "PENDING", "PENDING"]
        assert len(service.steps) == 1
