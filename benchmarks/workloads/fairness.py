"""W4: one tenant keeps a long backlog, another submits a job a second; how long does the second wait?"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stoflow.jobs.v1.batch_service_pb2 import CreateBatchRequest

from benchmarks.contenders.shops import Shop
from benchmarks.contenders.stoflow import StoFlow
from benchmarks.figures import Latency
from benchmarks.noop_connector import SLEEP_50
from benchmarks.plan import Plan
from benchmarks.servers import Servers
from benchmarks.usage import Meter

SLOTS = 20
BACKLOG = 50_000
SAMPLES = 180
INTERVAL_SECONDS = 1.0
REFILL = 5_000
LOOK_SECONDS = 2.0


@dataclass
class Backlog:
    """Keeps a tenant's live jobs above a number; each product is used once."""

    stoflow: StoFlow
    shop: Shop
    least: int
    submitted: int = 0
    smallest_seen: int = 0

    async def fill(self) -> None:
        """Submits until there is enough, and remembers how few there were."""
        waiting = await self._count()
        self.smallest_seen = min(self.smallest_seen or waiting, waiting)
        while waiting < self.least + REFILL:
            products = self.shop.product_ids[self.submitted : self.submitted + REFILL]
            request = CreateBatchRequest(
                request_id=str(uuid.uuid4()),
                tenant_id=self.shop.tenant_id,
                account_id=self.shop.account_id,
                action=SLEEP_50,
                product_ids=products,
            )
            await self.stoflow.api.batches.CreateBatch(request)
            self.submitted += len(products)
            waiting += len(products)

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.fill()

    async def _count(self) -> int:
        cursor = await self.stoflow.watcher.execute(
            "SELECT count(*) FROM live_jobs WHERE tenant_id = %s AND state = 'PENDING'", [self.shop.tenant_id]
        )
        row = await cursor.fetchone()
        return int(row[0]) if row else 0


async def measure_fairness(plan: Plan, servers: Servers, say: Callable[[str], None]) -> dict[str, Any]:
    """Measures the second tenant alone, then beside the backlog."""
    samples, least = plan.scaled(SAMPLES), plan.scaled(BACKLOG)
    # What the slots can finish meanwhile, and the refills in flight.
    products = least + 2 * REFILL + int(samples * INTERVAL_SECONDS * SLOTS / 0.05) + REFILL
    stoflow = StoFlow(servers, slots=SLOTS, database="stoflow_fairness")
    await stoflow.start()
    try:
        (small,) = await stoflow.open_shops(1, samples)
        (large,) = await stoflow.open_shops(1, products)
        alone = await _sample(stoflow, servers, small, samples)
        say(f"W4 alone: p50 {alone.at(50):.0f} ms, p99 {alone.at(99):.0f} ms")
        backlog = Backlog(stoflow, large, least)
        await backlog.fill()
        backlog.smallest_seen = 0
        keeper = asyncio.create_task(backlog.keep())
        beside = await _sample(stoflow, servers, small, samples)
        if keeper.done():
            await keeper
        keeper.cancel()
        say(f"W4 beside the backlog: p50 {beside.at(50):.0f} ms, p99 {beside.at(99):.0f} ms")
    finally:
        await stoflow.stop()
    return {
        **beside.to_json(),
        "alone": alone.to_json(),
        "ratio_p99": round(beside.at(99) / alone.at(99), 2),
        "smallest_backlog": backlog.smallest_seen,
        "slots": SLOTS,
        "task_ms": 50,
    }


async def _sample(stoflow: StoFlow, servers: Servers, shop: Shop, samples: int) -> Latency:
    latency = Latency()
    started = time.perf_counter()
    with Meter({**servers.roles, **stoflow.roles}) as meter:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(samples):
                # By the clock, not by the answers: a slow job must not make the next one come later.
                await asyncio.sleep(max(started + number * INTERVAL_SECONDS - time.perf_counter(), 0))
                product_id = shop.product_ids[number]
                tasks.append(group.create_task(stoflow.run_job(shop, SLEEP_50, product_id)))
    latency.add([task.result() for task in tasks], meter.usage)
    return latency
