"""A directive need not wait for the next heartbeat."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from stoflow_connector_sdk import StopRequestedError, TaskContext, TaskResult
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against
from tests.integration.connector_sdk.scripted import ScriptedService, make_definition

LONG_SECONDS = 30.0


@pytest.mark.parametrize("directive", ["cancel", "pause"])
async def test_directive_reaches_a_running_attempt_long_before_its_next_heartbeat(
    directive: Literal["cancel", "pause"],
) -> None:
    """With heartbeats every thirty seconds, an attempt is told to stop within two."""
    stopped = asyncio.Event()

    async def work(task: TaskContext) -> TaskResult:
        try:
            await task.wait(LONG_SECONDS)
        except StopRequestedError:
            stopped.set()
            raise
        return TaskResult()

    service = ScriptedService(work)
    definition = make_definition(service)
    async with (
        InMemoryOrchestrator(lease_seconds=90, heartbeat_seconds=LONG_SECONDS) as orchestrator,
        run_against(orchestrator, definition) as runtime,
    ):
        job = orchestrator.submit(definition.manifest(), "work")
        await orchestrator.wait_until(lambda: len(service.steps) == 1)
        getattr(orchestrator, directive)(job)
        async with asyncio.timeout(2):
            await stopped.wait()
            await orchestrator.wait_until(lambda: runtime.active_count == 0)


async def test_rings_at_once_make_few_heartbeats() -> None:
    """A hundred directives at one moment do not make a hundred calls."""
    definition = make_definition(ScriptedService())
    async with (
        InMemoryOrchestrator(lease_seconds=90, heartbeat_seconds=LONG_SECONDS) as orchestrator,
        run_against(orchestrator, definition),
    ):
        await orchestrator.wait_until(lambda: orchestrator.servicer.calls["HeartbeatTasks"] == 1)
        before = orchestrator.servicer.calls["HeartbeatTasks"]
        jobs = [orchestrator.submit(definition.manifest(), "work") for _ in range(100)]
        for job in jobs:
            orchestrator.cancel(job)
        await orchestrator.wait_until(lambda: orchestrator.servicer.calls["HeartbeatTasks"] > before)
        await asyncio.sleep(0.2)
        assert orchestrator.servicer.calls["HeartbeatTasks"] - before <= 3
