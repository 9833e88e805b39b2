"""What the peers have in common: a database of their own on the same server, one worker process, one pool here."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, LiteralString

import psycopg
from psycopg import AsyncConnection

from benchmarks.contenders.contender import MiscountError
from benchmarks.contenders.watching import POLL_SECONDS, wait_until
from benchmarks.servers import Servers
from stoflow_sandbox.processes import ServiceProcess, Supervisor

# A worker says nothing when it is ready: these wait until it is.
FIRST_JOBS = 10
# One job alone costs little to watch closely.
SINGLE_POLL_SECONDS = 0.001


class Peer(ABC):
    """A queue in PostgreSQL whose jobs of four tasks are chains: each task enqueues the next before it is done."""

    queue: ClassVar[str]
    # True when no task waits or runs.
    is_idle: LiteralString

    def __init__(
        self,
        servers: Servers,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        variant: str = "",
    ) -> None:
        self.name = f"{self.queue}{variant}"
        self.url = servers.postgres.create_database(f"{self.name}_bench")
        self._supervisor = Supervisor(servers.logs)
        self._command = command
        self._environment = {**environment, "PEER_DATABASE_URL": self.url}
        self._starts = 0
        self._worker: ServiceProcess | None = None
        self._watcher: AsyncConnection[Any] | None = None

    @property
    def roles(self) -> Mapping[str, int]:
        return {"worker": self._worker.pid} if self._worker else {}

    @property
    def watcher(self) -> AsyncConnection[Any]:
        if self._watcher is None:
            raise RuntimeError(f"{self.name} is not started")
        return self._watcher

    async def start(self) -> None:
        self._watcher = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        await self.open(is_first=self._starts == 0)
        self._starts += 1
        self._worker = self._supervisor.start(f"{self.name}-{self._starts}", self._command, self._environment)
        await self.run_bulk(FIRST_JOBS, 4)

    async def stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        self._worker = None
        await self.close()
        await self.watcher.close()

    async def run_bulk(self, jobs: int, tasks: int) -> float:
        return await self._run(lambda: self.submit(jobs, tasks), jobs, tasks, POLL_SECONDS)

    async def run_calls(self, jobs: int, tasks: int) -> float:
        return await self._run(lambda: self.submit_calls(jobs, tasks), jobs, tasks, POLL_SECONDS)

    async def run_one(self) -> float:
        return await self._run(lambda: self.submit_calls(1, 4), 1, 4, SINGLE_POLL_SECONDS)

    async def _run(
        self, submit: Callable[[], Awaitable[None]], jobs: int, tasks: int, poll_seconds: float
    ) -> float:
        before = await self.count_done()
        started = time.perf_counter()
        await submit()
        await wait_until(self.watcher, self.is_idle, self._is_alive, poll_seconds)
        seconds = time.perf_counter() - started
        done = await self.count_done() - before
        if done != jobs * tasks:
            raise MiscountError(f"{self.name}: {jobs} x {tasks} tasks were submitted, {done} succeeded")
        return seconds

    def _is_alive(self) -> bool:
        return self._worker is not None and self._worker.is_running

    async def fetch_number(self, statement: LiteralString) -> int:
        cursor = await self.watcher.execute(statement)
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

    @abstractmethod
    async def open(self, *, is_first: bool) -> None:
        """Opens what submits; the first time it also makes the tables."""

    @abstractmethod
    async def close(self) -> None:
        """Closes what submits."""

    @abstractmethod
    async def submit(self, jobs: int, tasks: int) -> None:
        """Submits all jobs at once."""

    @abstractmethod
    async def submit_calls(self, jobs: int, tasks: int) -> None:
        """Submits one job a call, CALLS_IN_FLIGHT of them at once."""

    @abstractmethod
    async def count_done(self) -> int:
        """Counts the tasks that ever succeeded."""
