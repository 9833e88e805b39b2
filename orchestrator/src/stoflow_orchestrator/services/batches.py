"""Batches as callers read and watch them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from stoflow.jobs.v1.batch_pb2 import Batch
from stoflow.jobs.v1.batch_service_pb2 import (
    ListBatchesRequest,
    ListBatchesResponse,
    WatchBatchRequest,
)

from stoflow_orchestrator.messages.batch import batch_message
from stoflow_orchestrator.messaging.hints import JobHints
from stoflow_orchestrator.paging import decode_token, encode_token, page_size
from stoflow_orchestrator.repositories.batch_reading import BatchReader
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import NotFoundError

# A batch of thousands changes all the time; nobody reads faster.
WATCH_INTERVAL_SECONDS = 0.2
# Hints may be lost: a watcher looks by itself this often.
WATCH_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class BatchService:
    """Reads batches."""

    tenants: TenantDirectory
    reader: BatchReader
    hints: JobHints
    clock: Clock

    async def get(self, tenant_id: int, batch_id: UUID) -> Batch:
        """Returns a batch with its counts.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or BATCH_NOT_FOUND.
        """
        await self.tenants.require(tenant_id)
        return await self._read(tenant_id, batch_id)

    async def list_page(self, request: ListBatchesRequest) -> ListBatchesResponse:
        """Returns a page of batches, newest first."""
        before = decode_token(request, request.page_token, _single_uuid)
        await self.tenants.require(request.tenant_id)
        size = page_size(request)
        rows = await self.reader.list_page(request.tenant_id, before, size + 1)
        return ListBatchesResponse(
            batches=[batch_message(request.tenant_id, row) for row in rows[:size]],
            next_page_token=encode_token(request, [rows[size - 1].batch_id]) if len(rows) > size else "",
        )

    async def watch(self, request: WatchBatchRequest) -> AsyncIterator[Batch]:
        """Yields the batch now and whenever its counts changed, until all its jobs have ended."""
        await self.tenants.require(request.tenant_id)
        batch_id = UUID(request.batch_id)
        last: Batch | None = None
        # Hints name batches beside jobs; listening begins before the first look, so no change falls between.
        async with self.hints.watch(batch_id) as watch:
            while True:
                watch.changed.clear()
                batch = await self._read(request.tenant_id, batch_id)
                if batch != last:
                    yield batch
                    last = batch
                if batch.HasField("finish_time"):
                    return
                await self.clock.sleep(WATCH_INTERVAL_SECONDS)
                await _wait(watch.changed, WATCH_POLL_SECONDS - WATCH_INTERVAL_SECONDS)

    async def _read(self, tenant_id: int, batch_id: UUID) -> Batch:
        row = await self.reader.find(tenant_id, batch_id)
        if row is None:
            raise batch_not_found(tenant_id, batch_id)
        return batch_message(tenant_id, row)


def batch_not_found(tenant_id: int, batch_id: UUID) -> NotFoundError:
    """Makes the error for a batch that does not exist, or not for this tenant."""
    return NotFoundError(
        f"Tenant {tenant_id} has no batch {batch_id}.",
        reason="BATCH_NOT_FOUND",
        metadata={"batch_id": str(batch_id)},
    )


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        # No hint came, or it was lost: the caller looks again either way.
        return


def _single_uuid(parts: list[str]) -> UUID:
    (text,) = parts
    return UUID(text)
