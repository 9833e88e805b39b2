"""BatchService over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc.aio
from stoflow.jobs.v1 import batch_service_pb2 as rpc
from stoflow.jobs.v1 import batch_service_pb2_grpc

from stoflow_orchestrator.services.batch_control import BatchControl
from stoflow_orchestrator.services.batch_creation import BatchCreation
from stoflow_orchestrator.services.batches import BatchService

Context = grpc.aio.ServicerContext[Any, Any]


class BatchServicer(batch_service_pb2_grpc.BatchServiceServicer):
    """Proto in, one call of a service, proto out."""

    def __init__(self, batches: BatchService, creation: BatchCreation, control: BatchControl) -> None:
        self._batches = batches
        self._creation = creation
        self._control = control

    async def CreateBatch(self, request: rpc.CreateBatchRequest, context: Context) -> rpc.CreateBatchResponse:
        return rpc.CreateBatchResponse(batch=await self._creation.create(request))

    async def GetBatch(self, request: rpc.GetBatchRequest, context: Context) -> rpc.GetBatchResponse:
        batch = await self._batches.get(request.tenant_id, UUID(request.batch_id))
        return rpc.GetBatchResponse(batch=batch)

    async def ListBatches(self, request: rpc.ListBatchesRequest, context: Context) -> rpc.ListBatchesResponse:
        return await self._batches.list_page(request)

    async def CancelBatch(self, request: rpc.CancelBatchRequest, context: Context) -> rpc.CancelBatchResponse:
        await self._control.cancel(request)
        batch = await self._batches.get(request.tenant_id, UUID(request.batch_id))
        return rpc.CancelBatchResponse(batch=batch)

    async def RetryBatch(self, request: rpc.RetryBatchRequest, context: Context) -> rpc.RetryBatchResponse:
        retried_count = await self._control.retry(request)
        batch = await self._batches.get(request.tenant_id, UUID(request.batch_id))
        return rpc.RetryBatchResponse(batch=batch, retried_count=retried_count)

    async def WatchBatch(
        self, request: rpc.WatchBatchRequest, context: Context
    ) -> AsyncIterator[rpc.WatchBatchResponse]:
        async for batch in self._batches.watch(request):
            yield rpc.WatchBatchResponse(batch=batch)
