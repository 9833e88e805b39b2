"""One orchestrator, one site and one connector for all tests; each has sellers of its own."""

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
from tests.integration.connector_vinted.stage import ORCHESTRATOR_SETTINGS, Replica, Seller, Stage
from tests.support.orchestrator import Stubs, start_orchestrator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("vinted")
    async with AsyncExitStack() as stack:
        nats = stack.enter_context(NatsServer(folder / "nats" / "store"))
        url = postgres_server.create_database(f"vinted_{uuid.uuid4().hex}")
        supervisor = Supervisor(folder / "services")
        stack.push_async_callback(asyncio.to_thread, supervisor.stop_all)
        orchestrator = await asyncio.to_thread(
            start_orchestrator, supervisor, url, nats.url, folder, **ORCHESTRATOR_SETTINGS
        )
        command = [sys.executable, "-m", "stoflow_sandbox.marketplaces.vinted"]
        sandbox = supervisor.start("site", command, {"HTTP_ADDRESS": "127.0.0.1:0"})
        ready = await asyncio.to_thread(sandbox.wait_ready)
        control = AsyncVintedSandboxControl(f"http://{ready['http_address']}")
        await stack.enter_async_context(control)
        stubs = Stubs(orchestrator.grpc_address)
        stack.push_async_callback(stubs.close)
        yield Stage(folder, supervisor, orchestrator, stubs, control)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replica(stage: Stage) -> Replica:
    """The connector of tests that break none."""
    started = await stage.start_replica("vinted")
    await stage.map_bags("vinted")
    return started


@pytest_asyncio.fixture(loop_scope="module")
async def seller(stage: Stage, replica: Replica) -> AsyncIterator[Seller]:
    opened = await stage.open_seller("vinted")
    yield opened
    await opened.close()
