"""Browsers vanish and connectors die while the site holds its answer; each job ends as if nothing had been."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from stoflow_sandbox.marketplaces.vinted.control import AsyncVintedSandboxControl
from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.chaos.vinted_matrix.play import FAULTS, play
from tests.integration.connector_vinted.stage import ORCHESTRATOR_SETTINGS, Stage
from tests.support.orchestrator import Stubs, start_orchestrator

# What a row loses by a fault is found within a lease; every seller of a column must be hit within one call.
TIMES = {"VINTED_CALL_TIMEOUT_SECONDS": "7", "VINTED_SETTLE_SECONDS": "9"}

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.long,
    pytest.mark.timeout(300),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("vinted-matrix")
    async with AsyncExitStack() as stack:
        nats = stack.enter_context(NatsServer(folder / "nats" / "store"))
        url = postgres_server.create_database(f"matrix_{uuid.uuid4().hex}")
        supervisor = Supervisor(folder / "services")
        stack.push_async_callback(asyncio.to_thread, supervisor.stop_all)
        settings = {**ORCHESTRATOR_SETTINGS, "LEASE_SECONDS": "10"}
        orchestrator = await asyncio.to_thread(
            start_orchestrator, supervisor, url, nats.url, folder, **settings
        )
        command = [sys.executable, "-m", "stoflow_sandbox.marketplaces.vinted"]
        sandbox = supervisor.start("site", command, {"HTTP_ADDRESS": "127.0.0.1:0"})
        ready = await asyncio.to_thread(sandbox.wait_ready)
        control = AsyncVintedSandboxControl(f"http://{ready['http_address']}")
        await stack.enter_async_context(control)
        stubs = Stubs(orchestrator.grpc_address)
        stack.push_async_callback(stubs.close)
        yield Stage(folder, supervisor, orchestrator, stubs, control, settings=TIMES)


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_task_survives(stage: Stage, fault: str) -> None:
    """Whatever goes while a task's request is at the site, its job completes and nothing is there twice."""
    found = await play(stage, fault)
    assert {task: problems for task, problems in found.items() if problems} == {}
