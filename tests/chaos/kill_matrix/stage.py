"""The servers that all cells share: PostgreSQL, NATS, one orchestrator, a sandbox for each marketplace."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl
from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer
from tests.chaos.kill_matrix.market import Market
from tests.support.orchestrator import OrchestratorProcess, Stubs, start_orchestrator

# The times hang together. A heartbeat comes every third of a lease, so at least two thirds of a lease, less
# the heartbeat's own way, are left at any time: a request's timeout must fit that, or it is not sent.
LEASE_SECONDS = 2.0
REQUEST_TIMEOUT_SECONDS = 1.0
# Counted from the last possible send, which is the lease's end or the report of the timeout.
SETTLE_SECONDS = 2.0
ORCHESTRATOR_SETTINGS = {
    "LEASE_SECONDS": f"{LEASE_SECONDS:g}",
    # A sleeping connector's pull requests swallow commands, which then must be rung again.
    "DISPATCH_TIMEOUT_SECONDS": "1",
    "RETRY_BASE_SECONDS": "0.05",
    "RETRY_CAP_SECONDS": "0.2",
}


@dataclass(frozen=True)
class Stage:
    """Where the cells play."""

    folder: Path
    orchestrator: OrchestratorProcess
    stubs: Stubs
    controls: dict[str, AsyncSandboxControl]
    pool: AsyncConnectionPool[AsyncConnection[Any]]

    async def query(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """Runs one statement on the orchestrator's database and returns its rows, if it has any."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def open_stage(folder: Path, database_url: str, markets: Iterable[Market]) -> AsyncIterator[Stage]:
    """Starts everything; it ends with the context."""
    async with AsyncExitStack() as stack:
        # Its own, so that no other test removes the streams.
        nats = stack.enter_context(NatsServer(folder / "nats" / "store"))
        supervisor = Supervisor(folder / "services")
        stack.push_async_callback(asyncio.to_thread, supervisor.stop_all)
        orchestrator = await asyncio.to_thread(
            start_orchestrator, supervisor, database_url, nats.url, folder, **ORCHESTRATOR_SETTINGS
        )
        controls = {}
        for market in markets:
            sandbox = supervisor.start(
                f"sandbox-{market.name}",
                [sys.executable, "-m", market.sandbox_module],
                {"HTTP_ADDRESS": "127.0.0.1:0"},
            )
            ready = await asyncio.to_thread(sandbox.wait_ready)
            controls[market.name] = await stack.enter_async_context(
                AsyncSandboxControl(f"http://{ready['http_address']}")
            )
        stubs = Stubs(orchestrator.grpc_address)
        stack.push_async_callback(stubs.close)
        pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            database_url, min_size=1, max_size=4, open=False
        )
        await stack.enter_async_context(pool)
        yield Stage(folder, orchestrator, stubs, controls, pool)
