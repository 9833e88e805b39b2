"""The processes of a storm: PostgreSQL, NATS, the marketplace, two orchestrators and the connectors."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from stoflow_sandbox.processes import ServiceProcess, Supervisor
from stoflow_sandbox.servers import NatsServer
from stoflow_sandbox.servers.ports import LOOPBACK, find_free_port
from tests.chaos.kill_matrix.connectors import UNTRACED
from tests.chaos.storm.doubling import CallDoubler, MessageDoubler
from tests.chaos.storm.marketplace import SEED_VARIABLE
from tests.chaos.storm.size import StormSize
from tests.support.orchestrator import OrchestratorProcess, Stubs, start_orchestrator

# Long enough for a request and what else a busy machine does, short enough that a killed connector is soon replaced.
LEASE_SECONDS = 4.0
_SETTINGS = {
    "LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    "DISPATCH_TIMEOUT_SECONDS": "3",
    "RETRY_BASE_SECONDS": "0.2",
    "RETRY_CAP_SECONDS": "2",
}
_READY_SECONDS = 180.0


@dataclass(frozen=True)
class Stage:
    """What runs, and where it answers."""

    database_url: str
    orchestrators: tuple[OrchestratorProcess, ...]
    connectors: tuple[ServiceProcess, ...]
    stubs: tuple[Stubs, ...]
    calls: CallDoubler
    messages: MessageDoubler
    market: httpx.AsyncClient


@asynccontextmanager
async def open_stage(folder: Path, database_url: str, size: StormSize, seed: int) -> AsyncIterator[Stage]:
    """Starts everything; it ends with the context."""
    async with AsyncExitStack() as stack:
        # Its own, so that no other test removes the streams.
        server = stack.enter_context(NatsServer(folder / "nats" / "store"))
        supervisor = Supervisor(folder / "services")
        stack.push_async_callback(asyncio.to_thread, supervisor.stop_all)
        orchestrators = [
            await _start_orchestrator(supervisor, database_url, server.url, folder, name) for name in "ab"
        ]
        market_url = await _start_marketplace(supervisor, seed)
        addresses = [orchestrator.grpc_address for orchestrator in orchestrators]
        calls = await stack.enter_async_context(CallDoubler(addresses, random.Random(f"{seed} calls")))
        messages = await stack.enter_async_context(
            MessageDoubler(server.url, random.Random(f"{seed} messages"))
        )
        environment = {
            "ORCHESTRATOR_ADDRESS": calls.address,
            "NATS_URL": server.url,
            "STORM_URL": market_url,
            "SLOTS": str(size.slots),
        }
        connectors = [_start_connector(supervisor, n, environment) for n in range(size.connectors)]
        for connector in connectors:
            await wait_ready(connector)
        stubs = tuple(Stubs(address) for address in addresses)
        for stub in stubs:
            stack.push_async_callback(stub.close)
        market = await stack.enter_async_context(httpx.AsyncClient(base_url=market_url, trust_env=False))
        yield Stage(database_url, tuple(orchestrators), tuple(connectors), stubs, calls, messages, market)


async def _start_orchestrator(
    supervisor: Supervisor, database_url: str, nats_url: str, folder: Path, name: str
) -> OrchestratorProcess:
    # A port of its own: whoever is killed and started again must be found where it was.
    address = f"{LOOPBACK}:{find_free_port()}"
    return await asyncio.to_thread(
        start_orchestrator,
        supervisor,
        database_url,
        nats_url,
        folder,
        name=f"orchestrator-{name}",
        prefix=UNTRACED,
        GRPC_ADDRESS=address,
        **_SETTINGS,
    )


async def _start_marketplace(supervisor: Supervisor, seed: int) -> str:
    command = [*UNTRACED, sys.executable, "-m", "tests.chaos.storm.marketplace"]
    process = supervisor.start("marketplace", command, {SEED_VARIABLE: str(seed)})
    ready = await wait_ready(process)
    return f"http://{ready['http_address']}"


def _start_connector(supervisor: Supervisor, number: int, environment: Mapping[str, str]) -> ServiceProcess:
    command = [*UNTRACED, sys.executable, "-m", "tests.chaos.storm.connector"]
    return supervisor.start(f"connector-{number}", command, environment)


async def wait_ready(process: ServiceProcess) -> Mapping[str, str]:
    """Waits until a service answers, without holding up what else runs."""
    return await asyncio.to_thread(process.wait_ready, _READY_SECONDS)
