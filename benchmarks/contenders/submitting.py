"""Submits jobs over gRPC: one call a batch, or one call a job."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from stoflow.jobs.v1.batch_service_pb2 import CreateBatchRequest
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest

from benchmarks.contenders.api import Api
from benchmarks.contenders.shops import Shop

CALLS_IN_FLIGHT = 32
MAX_BATCH = 10_000


def job_request(shop: Shop, action: str, product_id: str) -> CreateJobRequest:
    return CreateJobRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        product_id=product_id,
        action=action,
    )


async def submit_batches(api: Api, shops: Sequence[Shop], action: str, jobs_each: int) -> None:
    """Submits one batch a shop, at most CALLS_IN_FLIGHT of them at once."""
    requests = iter(
        [
            CreateBatchRequest(
                request_id=str(uuid.uuid4()),
                tenant_id=shop.tenant_id,
                account_id=shop.account_id,
                action=action,
                product_ids=shop.product_ids[start : min(start + MAX_BATCH, jobs_each)],
            )
            for shop in shops
            for start in range(0, jobs_each, MAX_BATCH)
        ]
    )

    async def caller() -> None:
        for request in requests:
            await api.batches.CreateBatch(request)

    await asyncio.gather(*(caller() for _ in range(CALLS_IN_FLIGHT)))


async def submit_calls(api: Api, shops: Sequence[Shop], action: str, jobs_each: int) -> None:
    """Submits one call a job, CALLS_IN_FLIGHT of them at once, going round the shops."""
    requests = iter(
        [job_request(shop, action, shop.product_ids[n]) for n in range(jobs_each) for shop in shops]
    )

    async def caller() -> None:
        for request in requests:
            await api.jobs.CreateJob(request)

    await asyncio.gather(*(caller() for _ in range(CALLS_IN_FLIGHT)))
