"""Batches of a shop: submitted, read and driven to whatever ends a test decides."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc.aio
import nats.errors
import pytest
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import batch_pb2, batch_service_pb2, job_pb2, job_service_pb2

from stoflow_service_kit.grpc_status import RichError, rich_error
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector
from tests.support.products import insert_products

# What becomes of a started task: a name of JobState, or nothing for one that is left alone.
Decide = Callable[[task_pb2.TaskCommand], str]


async def make_products(shop: Shop, count: int) -> list[str]:
    return await insert_products(shop.orchestrator.database_url, shop.tenant_id, count)


def batch_request(
    shop: Shop, product_ids: Iterable[str], **values: Any
) -> batch_service_pb2.CreateBatchRequest:
    fields: dict[str, Any] = {
        "request_id": str(uuid.uuid4()),
        "tenant_id": shop.tenant_id,
        "account_id": shop.account_id,
        "action": "publish",
        "product_ids": product_ids,
        **values,
    }
    return batch_service_pb2.CreateBatchRequest(**fields)


async def create_batch(shop: Shop, product_ids: Iterable[str], **values: Any) -> batch_pb2.Batch:
    request = batch_request(shop, product_ids, **values)
    return (await shop.stubs.batches.CreateBatch(request, timeout=60)).batch


async def get_batch(shop: Shop, batch_id: str) -> batch_pb2.Batch:
    request = batch_service_pb2.GetBatchRequest(tenant_id=shop.tenant_id, batch_id=batch_id)
    return (await shop.stubs.batches.GetBatch(request)).batch


async def cancel_batch(shop: Shop, batch_id: str, request_id: str = "") -> batch_pb2.Batch:
    request = batch_service_pb2.CancelBatchRequest(
        request_id=request_id or str(uuid.uuid4()), tenant_id=shop.tenant_id, batch_id=batch_id
    )
    return (await shop.stubs.batches.CancelBatch(request)).batch


async def retry_batch(shop: Shop, batch_id: str, request_id: str = "") -> tuple[batch_pb2.Batch, int]:
    request = batch_service_pb2.RetryBatchRequest(
        request_id=request_id or str(uuid.uuid4()), tenant_id=shop.tenant_id, batch_id=batch_id
    )
    response = await shop.stubs.batches.RetryBatch(request)
    return response.batch, response.retried_count


async def cancel_job(shop: Shop, job_id: str) -> None:
    request = job_service_pb2.CancelJobRequest(
        request_id=str(uuid.uuid4()), tenant_id=shop.tenant_id, job_id=job_id
    )
    await shop.stubs.jobs.CancelJob(request)


async def jobs_of(shop: Shop, batch_id: str) -> list[job_pb2.Job]:
    request = job_service_pb2.ListJobsRequest(
        tenant_id=shop.tenant_id, filter=job_service_pb2.JobFilter(batch_id=batch_id), page_size=1000
    )
    return list((await shop.stubs.jobs.ListJobs(request)).jobs)


def counts_of(batch: batch_pb2.Batch) -> dict[str, int]:
    return {
        job_pb2.JobState.Name(entry.state).removeprefix("JOB_STATE_"): entry.count for entry in batch.counts
    }


def state_of(batch: batch_pb2.Batch) -> str:
    return batch_pb2.BatchState.Name(batch.state).removeprefix("BATCH_STATE_")


async def wait_for_batch(shop: Shop, batch_id: str) -> batch_pb2.Batch:
    """Watches a batch to its end."""
    request = batch_service_pb2.WatchBatchRequest(tenant_id=shop.tenant_id, batch_id=batch_id)
    last = batch_pb2.Batch()
    async for update in shop.stubs.batches.WatchBatch(request, timeout=40):
        last = update.batch
    return last


async def wait_until_batch_is_archived(shop: Shop, batch_id: str) -> None:
    for _ in range(100):
        if not await shop.query("SELECT 1 FROM public.live_batches WHERE batch_id = %s", batch_id):
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail(f"batch {batch_id} is still live")
    table = f"user_{shop.tenant_id}.batch_jobs"
    assert await shop.query(f"SELECT 1 FROM {table} WHERE batch_id = %s", batch_id)


async def drive(connector: Connector, count: int, decide: Decide = lambda _: "COMPLETED") -> None:
    """Starts and ends `count` tasks."""
    for _ in range(count):
        command, granted = await connector.receive_and_start()
        await _end(connector, command, granted.lease_token, decide(command))


async def drive_until_idle(connector: Connector, decide: Decide, idle_seconds: float = 2.0) -> None:
    """Starts and ends tasks until none comes for a while."""
    while True:
        try:
            command = await connector.receive(idle_seconds)
        except nats.errors.TimeoutError:
            # Nothing comes any more: every job has ended or is meant to be left alone.
            return
        granted = await connector.start(command)
        if granted.lease_token:
            await _end(connector, command, granted.lease_token, decide(command))


async def _end(connector: Connector, command: task_pb2.TaskCommand, token: str, end: str) -> None:
    match end:
        case "COMPLETED":
            await connector.succeed(command, token)
        case "FAILED":
            await connector.fail(command, token, failure_pb2.ERROR_CLASS_PERMANENT)


async def refused(call: Awaitable[object]) -> RichError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return rich_error(caught.value)
