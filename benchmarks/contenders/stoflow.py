"""StoFlow the full way: gRPC in, NATS, connector runtime, StartTasks, ReportTasks, events out."""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import grpc.aio
import nats
import psycopg
from psycopg import AsyncConnection, sql
from stoflow.jobs.v1.batch_service_pb2 import CreateBatchRequest
from stoflow.jobs.v1.job_pb2 import JOB_STATE_COMPLETED
from stoflow.jobs.v1.job_service_pb2 import WatchJobRequest

from benchmarks.contenders.api import Api
from benchmarks.contenders.contender import SLOTS, MiscountError
from benchmarks.contenders.shops import Shop, open_shops
from benchmarks.contenders.submitting import job_request, submit_batches, submit_calls
from benchmarks.contenders.watching import wait_until
from benchmarks.figures import Latency
from benchmarks.noop_connector import FOUR_STEPS, ONE_STEP
from benchmarks.servers import Servers
from stoflow_sandbox.processes import ServiceProcess, Supervisor

ALL_ENDED = "SELECT NOT EXISTS (SELECT FROM live_jobs WHERE state IN ('PENDING', 'RUNNING', 'PAUSED'))"
ALL_ARCHIVED = "SELECT NOT EXISTS (SELECT FROM live_jobs)"
# Events of a group travel as one message, so their number says nothing; that there are some does.
EVENTS_STREAM = "STOFLOW_EVENTS"
ACTIONS = {4: FOUR_STEPS, 1: ONE_STEP}

Submit = Callable[[Api, Sequence[Shop], str, int], Coroutine[Any, Any, None]]


class StoFlow:
    """One orchestrator and one connector process, with the settings they have by default.

    Args:
        servers: Where its database and its streams are made.
        slots: Of the connector.
        database: Name of its database.
        products: Of the one tenant that is made at the first start; 0 makes none.
    """

    name = "stoflow"

    def __init__(
        self, servers: Servers, *, slots: int = SLOTS, database: str = "stoflow_bench", products: int = 0
    ) -> None:
        self._servers = servers
        self._products = products
        self._slots = slots
        self._database_url = servers.postgres.create_database(database)
        self._supervisor = Supervisor(servers.logs)
        self._starts = 0
        self._processes: list[ServiceProcess] = []
        self._api: Api | None = None
        self._watcher: AsyncConnection[Any] | None = None
        self.shops: list[Shop] = []
        self.has_batches = False
        # From the call of CreateJob to its answer, when the job is durable.
        self.creation = Latency()

    @property
    def api(self) -> Api:
        if self._api is None:
            raise RuntimeError("StoFlow is not started")
        return self._api

    @property
    def watcher(self) -> AsyncConnection[Any]:
        if self._watcher is None:
            raise RuntimeError("StoFlow is not started")
        return self._watcher

    @property
    def roles(self) -> Mapping[str, int]:
        orchestrator, connector = self._processes
        return {"orchestrator": orchestrator.pid, "connector": connector.pid}

    async def start(self) -> None:
        self._starts += 1
        orchestrator = self._spawn("orchestrator", "stoflow_orchestrator", self._orchestrator_environment())
        address = (await asyncio.to_thread(orchestrator.wait_ready))["grpc_address"]
        connector = self._spawn(
            "connector",
            "benchmarks.noop_connector",
            {
                "NATS_URL": self._servers.nats.url,
                "ORCHESTRATOR_ADDRESS": address,
                "SLOTS": str(self._slots),
            },
        )
        await asyncio.to_thread(connector.wait_ready)
        self._processes = [orchestrator, connector]
        self._api = Api(address)
        self._watcher = await psycopg.AsyncConnection.connect(self._database_url, autocommit=True)
        self.has_batches = await self._has_batches()
        if self._products and not self.shops:
            self.shops = await self.open_shops(1, self._products)

    async def stop(self) -> None:
        await self.api.close()
        await self.watcher.close()
        for process in reversed(self._processes):
            await asyncio.to_thread(process.stop)
        self._processes = []

    async def open_shops(self, count: int, products: int) -> list[Shop]:
        """Creates tenants with products; nothing of it is measured."""
        return await open_shops(self.api, self._database_url, count, products)

    async def run_bulk(self, jobs: int, tasks: int) -> float:
        submit = submit_batches if self.has_batches else submit_calls
        return await self.run(submit, self.shops[:1], jobs, tasks)

    async def run_calls(self, jobs: int, tasks: int) -> float:
        """As run_bulk, but one CreateJob call a job."""
        return await self.run(submit_calls, self.shops[:1], jobs, tasks)

    async def run(self, submit: Submit, shops: Sequence[Shop], jobs: int, tasks: int) -> float:
        """Submits jobs, divided evenly among the shops; returns seconds until the last is durable."""
        last_sequence, last_event = await self._last_sequence(), await self._last_event()
        started = time.perf_counter()
        await submit(self.api, shops, ACTIONS[tasks], jobs // len(shops))
        await wait_until(self.watcher, ALL_ENDED, self._is_alive)
        seconds = time.perf_counter() - started
        await wait_until(self.watcher, ALL_ARCHIVED, self._is_alive)
        await self._check_counts(shops, last_sequence, jobs, tasks)
        if await self._last_event() == last_event:
            raise MiscountError("no event reached JetStream: events out are part of what is measured")
        return seconds

    async def run_one(self) -> float:
        (shop, *_) = self.shops
        return await self.run_job(shop, FOUR_STEPS, shop.product_ids[0])

    async def run_job(self, shop: Shop, action: str, product_id: str) -> float:
        """Calls CreateJob, then reads WatchJob until it ends, which is when the job has; returns seconds."""
        request = job_request(shop, action, product_id)
        started = time.perf_counter()
        job = (await self.api.jobs.CreateJob(request)).job
        self.creation.seconds.append(time.perf_counter() - started)
        watch = WatchJobRequest(tenant_id=shop.tenant_id, job_id=job.job_id)
        state = job.state
        async for update in self.api.jobs.WatchJob(watch):
            state = update.event.job_state if update.HasField("event") else update.job.state
        seconds = time.perf_counter() - started
        if state != JOB_STATE_COMPLETED:
            raise MiscountError(f"job {job.job_id} of tenant {shop.tenant_id} ended in state {state}")
        return seconds

    async def _has_batches(self) -> bool:
        """Returns whether the orchestrator offers CreateBatch."""
        try:
            # Refused for its empty content where it is known.
            await self.api.batches.CreateBatch(CreateBatchRequest())
        except grpc.aio.AioRpcError as error:
            return error.code() is not grpc.StatusCode.UNIMPLEMENTED
        return True

    def _is_alive(self) -> bool:
        return all(process.is_running for process in self._processes)

    async def _last_sequence(self) -> int:
        cursor = await self.watcher.execute(
            "SELECT coalesce(pg_sequence_last_value('live_jobs_sequence_seq'), 0)"
        )
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def _last_event(self) -> int:
        client = await nats.connect(self._servers.nats.url)
        try:
            info = await client.jetstream().stream_info(EVENTS_STREAM)
        finally:
            await client.close()
        return info.state.last_seq

    async def _check_counts(self, shops: Sequence[Shop], last_sequence: int, jobs: int, tasks: int) -> None:
        one = sql.SQL(
            "SELECT job_id, task_id FROM {schema}.marketplace_jobs JOIN {schema}.marketplace_tasks t USING (job_id)"
            " WHERE sequence > {last} AND marketplace_jobs.state = 'COMPLETED'"
            " AND t.state = 'COMPLETED' AND t.attempt_count = 1"
        )
        union = sql.SQL(" UNION ALL ").join(
            one.format(schema=sql.Identifier(f"user_{shop.tenant_id}"), last=sql.Literal(last_sequence))
            for shop in shops
        )
        count = sql.SQL("SELECT count(DISTINCT job_id), count(task_id) FROM ({union}) ran").format(
            union=union
        )
        cursor = await self.watcher.execute(count)
        row = await cursor.fetchone()
        if row != (jobs, jobs * tasks):
            raise MiscountError(f"{jobs} jobs of {tasks} tasks were submitted, jobs and tasks done: {row}")

    def _spawn(self, name: str, module: str, environment: Mapping[str, str]) -> ServiceProcess:
        unique = f"{name}-{self._starts}"
        return self._supervisor.start(unique, [sys.executable, "-m", module], environment)

    def _orchestrator_environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self._database_url,
            "NATS_URL": self._servers.nats.url,
            "IMAGE_STORE_PATH": str(self._servers.folder / "images"),
            "IMAGE_URL_KEY": base64.b64encode(b"i" * 32).decode(),
            "CREDENTIALS_KEYS": "bench:" + base64.b64encode(b"c" * 32).decode(),
        }
