"""PgQueuer's worker: `python -m benchmarks.workers.pgqueuer_worker`, on uvloop as `pgq run` would be.

(`pgq run` of this release breaks with current typer.) As its performance guide recommends: one asyncpg
connection for the queue manager, a pool for what enqueues.
"""

from __future__ import annotations

import asyncio
import os
import signal

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

POOL_SIZE = 10
# Entrypoints of a chain: each enqueues the next before it is done.
STEPS = ("first", "second", "third", "fourth")
ONLY = "only"


async def make_worker(url: str) -> PgQueuer:
    """Returns the worker with its entrypoints."""
    pgq = PgQueuer(AsyncpgDriver(await asyncpg.connect(url)))
    pool = await asyncpg.create_pool(url, min_size=POOL_SIZE, max_size=POOL_SIZE)
    queries = Queries(AsyncpgPoolDriver(pool))

    def add_step(name: str, following: str | None) -> None:
        @pgq.entrypoint(name)
        async def step(job: Job) -> None:
            if following is not None:
                await queries.enqueue(following, job.payload)

    for name, following in zip(STEPS, (*STEPS[1:], None), strict=True):
        add_step(name, following)
    add_step(ONLY, None)
    return pgq


async def main() -> None:
    pgq = await make_worker(os.environ["PEER_DATABASE_URL"])
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, pgq.shutdown.set)
    await pgq.run(
        batch_size=int(os.environ["PEER_BATCH_SIZE"]),
        max_concurrent_tasks=int(os.environ["PEER_CONCURRENCY"]),
    )


if __name__ == "__main__":
    uvloop.run(main())
