"""PgQueuer with durable tables and the autovacuum settings that its guide recommends."""

from __future__ import annotations

import asyncio
import sys

import asyncpg
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.queries import Queries

from benchmarks.contenders.contender import SLOTS
from benchmarks.contenders.peer import Peer
from benchmarks.contenders.submitting import CALLS_IN_FLIGHT
from benchmarks.servers import Servers
from benchmarks.workers.pgqueuer_worker import ONLY, POOL_SIZE, STEPS

# Its default is 10; larger is faster for short tasks, as its guide says (tried: 10, 25, 50, 100).
BATCH_SIZE = 50


class PgQueuerPeer(Peer):
    """One worker process.

    Args:
        servers: Where its database is made.
        batch_size: Tasks fetched at once; also how many ends it writes at once, the rest after 100 ms.
    """

    queue = "pgqueuer"
    is_idle = "SELECT NOT EXISTS (SELECT FROM pgqueuer)"

    def __init__(self, servers: Servers, *, batch_size: int = BATCH_SIZE) -> None:
        super().__init__(
            servers,
            [sys.executable, "-m", "benchmarks.workers.pgqueuer_worker"],
            {"PEER_BATCH_SIZE": str(batch_size), "PEER_CONCURRENCY": str(SLOTS)},
            variant="" if batch_size == BATCH_SIZE else f"_batch_{batch_size}",
        )
        self._pool: asyncpg.Pool | None = None
        self._queries: Queries | None = None

    @property
    def queries(self) -> Queries:
        if self._queries is None:
            raise RuntimeError("PgQueuer is not started")
        return self._queries

    async def open(self, *, is_first: bool) -> None:
        if is_first:
            connection = await asyncpg.connect(self.url)
            tables = Queries(AsyncpgDriver(connection))
            await tables.install()
            await tables.optimize_autovacuum()
            await connection.close()
        self._pool = await asyncpg.create_pool(self.url, min_size=POOL_SIZE, max_size=POOL_SIZE)
        self._queries = Queries(AsyncpgPoolDriver(self._pool))

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def submit(self, jobs: int, tasks: int) -> None:
        payloads: list[bytes | None] = [str(number).encode() for number in range(jobs)]
        await self.queries.enqueue([_first(tasks)] * jobs, payloads, [0] * jobs)

    async def submit_calls(self, jobs: int, tasks: int) -> None:
        numbers = iter(range(jobs))

        async def caller() -> None:
            for number in numbers:
                await self.queries.enqueue(_first(tasks), str(number).encode())

        await asyncio.gather(*(caller() for _ in range(min(CALLS_IN_FLIGHT, jobs))))

    async def count_done(self) -> int:
        return await self.fetch_number("SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'")


def _first(tasks: int) -> str:
    return STEPS[0] if tasks == len(STEPS) else ONLY
