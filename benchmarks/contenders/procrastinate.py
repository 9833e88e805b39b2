"""Procrastinate with psycopg, LISTEN/NOTIFY and its other defaults; finished jobs stay, as ours do."""

from __future__ import annotations

import asyncio
import sys

import procrastinate
from procrastinate.types import JSONDict

from benchmarks.contenders.peer import Peer
from benchmarks.contenders.submitting import CALLS_IN_FLIGHT
from benchmarks.servers import Servers
from benchmarks.workers.procrastinate_worker import CONCURRENCY, STEPS, make_app


class ProcrastinatePeer(Peer):
    """One worker process with many jobs at once."""

    queue = "procrastinate"
    is_idle = "SELECT NOT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"

    def __init__(self, servers: Servers) -> None:
        super().__init__(
            servers,
            [sys.executable, "-m", "benchmarks.workers.procrastinate_worker"],
            {"PEER_CONCURRENCY": str(CONCURRENCY)},
        )
        self._app: procrastinate.App | None = None

    @property
    def app(self) -> procrastinate.App:
        if self._app is None:
            raise RuntimeError("Procrastinate is not started")
        return self._app

    async def open(self, *, is_first: bool) -> None:
        self._app = make_app(self.url)
        await self._app.open_async()
        if is_first:
            await self._app.schema_manager.apply_schema_async()

    async def close(self) -> None:
        await self.app.close_async()

    async def submit(self, jobs: int, tasks: int) -> None:
        name, constant = _first(tasks)
        arguments: list[JSONDict] = [{"number": number, **constant} for number in range(jobs)]
        await self.app.configure_task(name).batch_defer_async(*arguments)

    async def submit_calls(self, jobs: int, tasks: int) -> None:
        name, constant = _first(tasks)
        numbers = iter(range(jobs))

        async def caller() -> None:
            for number in numbers:
                await self.app.configure_task(name).defer_async(number=number, **constant)

        await asyncio.gather(*(caller() for _ in range(min(CALLS_IN_FLIGHT, jobs))))

    async def count_done(self) -> int:
        return await self.fetch_number("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'")


def _first(tasks: int) -> tuple[str, dict[str, int]]:
    return ("step", {"position": 0}) if tasks == STEPS else ("only", {})
