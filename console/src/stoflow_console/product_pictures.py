"""Has the pictures of imported products fetched from the addresses that their rows name."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
from stoflow.catalog.v1 import product_service_pb2_grpc
from stoflow.catalog.v1.product_service_pb2 import FetchProductImageRequest

from stoflow_console.import_report import BadPicture, ImportOutcome
from stoflow_console.product_files import ReadRow
from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.grpc_channel import open_channel, rich_error

# Half of what an orchestrator fetches at once.
PRODUCTS_AT_ONCE = 4
TIMEOUT_SECONDS = 120.0
TRIES = 4


@dataclass(frozen=True, slots=True)
class _Picture:
    row: int
    url: str
    request: FetchProductImageRequest


async def fetch_pictures(
    address: str, tenant_id: int, rows: Sequence[ReadRow], outcome: ImportOutcome, on_done: Callable[[], None]
) -> list[BadPicture]:
    """Fetches the pictures of each imported row in their order; returns those that could not be had.

    Args:
        address: The orchestrator.
        tenant_id: Whose products they are.
        rows: All that were read.
        outcome: Says which were imported. Request ids derive from its own, so that a repeat fetches what is missing.
        on_done: Called after each picture.
    """
    products = dict(outcome.imported)
    wanted = [
        [
            _picture(tenant_id, row, index, products[row.number], outcome.request_id)
            for index in range(len(row.image_urls))
        ]
        for row in rows
        if row.number in products
    ]
    running = asyncio.Semaphore(PRODUCTS_AT_ONCE)
    async with open_channel(address) as channel:
        stub: product_service_pb2_grpc.ProductServiceAsyncStub = product_service_pb2_grpc.ProductServiceStub(
            channel
        )

        async def fetch_all(pictures: Sequence[_Picture]) -> list[BadPicture]:
            bad = []
            async with running:
                # One after another: each is appended behind those before it.
                for picture in pictures:
                    if (reason := await _fetch(stub, picture)) is not None:
                        bad.append(BadPicture(picture.row, picture.url, reason))
                    on_done()
            return bad

        found = await asyncio.gather(*(fetch_all(pictures) for pictures in wanted))
    return [bad for several in found for bad in several]


def _picture(tenant_id: int, row: ReadRow, index: int, product_id: str, request_id: str) -> _Picture:
    url = row.image_urls[index]
    request = FetchProductImageRequest(
        request_id=str(uuid.uuid5(uuid.UUID(request_id), f"{row.number} {index} {url}")),
        tenant_id=tenant_id,
        product_id=product_id,
        url=url,
    )
    return _Picture(row.number, url, request)


async def _fetch(stub: product_service_pb2_grpc.ProductServiceAsyncStub, picture: _Picture) -> str | None:
    """Returns why a picture could not be had; None when it is there."""
    backoff = Backoff()
    for number in range(1, TRIES + 1):
        try:
            await stub.FetchProductImage(picture.request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and number < TRIES:
                await asyncio.sleep(backoff.delay_seconds(number))
                continue
            rich = rich_error(error)
            return rich.message or rich.code.name
        return None
    return None
