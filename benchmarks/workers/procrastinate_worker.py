"""Procrastinate's worker: `python -m benchmarks.workers.procrastinate_worker`.

Faster than its command line would be: uvloop, and no log line a job.
"""

from __future__ import annotations

import os

import procrastinate
import uvloop

# Fewer or more of either is no faster on two cores (tried: 4, 10, 20 connections; 10, 20, 50, 200 jobs at once).
POOL_SIZE = 10
CONCURRENCY = 50
STEPS = 4


def make_app(url: str) -> procrastinate.App:
    """Returns the application with its tasks, for the worker and for the one who submits."""
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=POOL_SIZE, max_size=POOL_SIZE)
    app = procrastinate.App(connector=connector)

    @app.task(name="step")
    async def step(number: int, position: int) -> None:
        if position + 1 < STEPS:
            await app.configure_task("step").defer_async(number=number, position=position + 1)

    @app.task(name="only")
    async def only(number: int) -> None:
        del number

    return app


async def main() -> None:
    app = make_app(os.environ["PEER_DATABASE_URL"])
    async with app.open_async():
        await app.run_worker_async(concurrency=int(os.environ["PEER_CONCURRENCY"]))


if __name__ == "__main__":
    uvloop.run(main())
