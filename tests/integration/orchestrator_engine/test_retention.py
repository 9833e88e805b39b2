"""What is past its age goes, and nothing else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.common.v1 import failure_pb2
from stoflow.jobs.v1 import batch_service_pb2, job_pb2

from stoflow_orchestrator.engine import retention as retention_module
from stoflow_orchestrator.engine.retention import Retention, RetentionPolicy
from stoflow_service_kit.clock import SystemClock
from stoflow_service_kit.database import create_connection_pool
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step

NEVER = timedelta(days=10_000)


@asynccontextmanager
async def retention(shop: Shop, **ages: timedelta) -> AsyncIterator[Retention]:
    pool: AsyncConnectionPool[AsyncConnection[Any]] = create_connection_pool(
        shop.orchestrator.database_url, "retention", max_size=2
    )
    await pool.open()
    values = {"jobs": NEVER, "events": NEVER, "requests": NEVER, "interval": NEVER, **ages}
    try:
        yield Retention(pool, SystemClock(), RetentionPolicy(**values))
    finally:
        await pool.close()


async def change(shop: Shop, statement: str, *parameters: object) -> None:
    async with await psycopg.AsyncConnection.connect(shop.orchestrator.database_url) as connection:
        await connection.execute(statement, parameters)


async def run_job(shop: Shop, connector: Connector, *, fails: bool = False) -> str:
    """Runs a job to its end and waits until it is archived."""
    job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    command, granted = await connector.receive_and_start()
    if fails:
        await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_PERMANENT)
    else:
        await connector.succeed(command, granted.lease_token)
    await shop.wait_for_end(job.job_id)
    await wait_until_archived(shop, job.job_id)
    return job.job_id


async def wait_until_archived(shop: Shop, job_id: str) -> None:
    for _ in range(100):
        if not await shop.query("SELECT 1 FROM public.live_jobs WHERE job_id = %s", job_id):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the job was never archived")


async def count(shop: Shop, table: str) -> int:
    ((number,),) = await shop.query(f"SELECT count(*) FROM user_{shop.tenant_id}.{table}")
    assert isinstance(number, int)
    return number


async def end_earlier(shop: Shop, table: str, key: str, value: str) -> None:
    """Makes something look as if it had ended half an hour ago."""
    await change(
        shop,
        f"UPDATE user_{shop.tenant_id}.{table} SET finish_time = now() - interval '30 minutes' WHERE {key} = %s",
        value,
    )


async def test_old_jobs_go_with_all_that_belongs_to_them_and_young_ones_stay(shop: Shop) -> None:
    """A job past its age is deleted with tasks, events and dead letter; one that is younger keeps everything."""
    connector = await shop.open(step("only"))
    old = await run_job(shop, connector, fails=True)
    await end_earlier(shop, "marketplace_jobs", "job_id", old)
    young = await run_job(shop, connector, fails=True)
    async with retention(shop, jobs=timedelta(minutes=20)) as sweeper:
        deleted = await sweeper.sweep()
    assert deleted["jobs"] == 1
    jobs = await shop.query(f"SELECT job_id::text FROM user_{shop.tenant_id}.marketplace_jobs")
    assert jobs == [(young,)]
    assert await count(shop, "marketplace_tasks") == 1
    events = await shop.query(f"SELECT DISTINCT job_id::text FROM user_{shop.tenant_id}.job_events")
    assert events == [(young,)]
    letters = await shop.query(
        "SELECT job_id::text FROM public.dead_letters WHERE tenant_id = %s", shop.tenant_id
    )
    assert letters == [(young,)]


async def test_batch_goes_after_its_jobs(shop: Shop) -> None:
    """A batch past its age stays while a job of it is kept, and goes with the last one."""
    connector = await shop.open(step("only"))
    product_id = await shop.stubs.create_product(shop.tenant_id)
    request = batch_service_pb2.CreateBatchRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        action="publish",
        product_ids=[product_id],
    )
    await shop.stubs.batches.CreateBatch(request)
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    await shop.wait_for_end(command.job_id)
    for _ in range(100):
        if await count(shop, "batch_jobs"):
            break
        await asyncio.sleep(0.05)
    ((batch_id,),) = await shop.query(f"SELECT batch_id::text FROM user_{shop.tenant_id}.batch_jobs")
    await end_earlier(shop, "batch_jobs", "batch_id", str(batch_id))
    async with retention(shop, jobs=timedelta(minutes=20)) as sweeper:
        assert (await sweeper.sweep())["batches"] == 0
        await end_earlier(shop, "marketplace_jobs", "job_id", command.job_id)
        deleted = await sweeper.sweep()
    assert (deleted["jobs"], deleted["batches"]) == (1, 1)


async def test_steps_are_small_and_reach_the_end(shop: Shop) -> None:
    """Twice as many rows as a step takes are deleted by one look."""
    await shop.open(step("only"))
    rows = 2 * retention_module.MAX_ROWS_A_STEP + 1
    await change(
        shop,
        "INSERT INTO public.mutation_requests (tenant_id, request_id, method, body_sha256, result_id, create_time) "
        "SELECT %s, gen_random_uuid(), 'm', '', '', now() - interval '3 days' FROM generate_series(1, %s)",
        shop.tenant_id,
        rows,
    )
    await change(
        shop,
        "INSERT INTO public.result_events (message_id, payload, create_time) "
        "SELECT gen_random_uuid(), '', now() - interval '3 days' FROM generate_series(1, %s)",
        rows,
    )
    async with retention(shop, events=timedelta(days=2), requests=timedelta(days=2)) as sweeper:
        deleted = await sweeper.sweep()
    assert (deleted["events"], deleted["requests"]) == (rows, rows)
    assert await shop.query(
        "SELECT count(*) FROM public.mutation_requests WHERE tenant_id = %s AND method = 'm'", shop.tenant_id
    ) == [(0,)]


async def test_answers_of_imports_outlive_their_request_ids(shop: Shop) -> None:
    """What an import answered goes a day after its request id may."""
    await shop.open(step("only"))
    for days in ("1", "2.5", "4"):
        await change(
            shop,
            f"INSERT INTO user_{shop.tenant_id}.product_imports (import_id, response, create_time)"
            " VALUES (gen_random_uuid(), '', now() - %s * interval '1 day')",
            days,
        )
    async with retention(shop, requests=timedelta(days=2)) as sweeper:
        assert (await sweeper.sweep())["imports"] == 1


async def test_one_orchestrator_at_a_time_deletes(shop: Shop) -> None:
    """While another transaction holds the right to delete, a look leaves everything to it."""
    await shop.open(step("only"))
    await change(
        shop,
        "INSERT INTO public.mutation_requests (tenant_id, request_id, method, body_sha256, result_id, create_time) "
        "VALUES (%s, gen_random_uuid(), 'm', '', '', now() - interval '3 days')",
        shop.tenant_id,
    )
    async with retention(shop, requests=timedelta(days=2)) as sweeper:
        async with await psycopg.AsyncConnection.connect(shop.orchestrator.database_url) as other:
            await other.execute("SELECT pg_advisory_xact_lock(hashtextextended('retention', 0))")
            assert (await sweeper.sweep())["requests"] == 0
        assert (await sweeper.sweep())["requests"] >= 1


async def test_live_jobs_are_never_deleted(shop: Shop) -> None:
    """A job that has not ended stays whatever its age."""
    await shop.open(step("only"), slots=1)
    job = await shop.create_job()
    async with retention(shop, jobs=timedelta(seconds=0)) as sweeper:
        await sweeper.sweep()
    assert (await shop.get_job(job.job_id)).state in (job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_RUNNING)
