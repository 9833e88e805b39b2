"""stoflow.catalog.v1.ProductService."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc.aio
from stoflow.catalog.v1.product_service_pb2 import (
    AddProductImageRequest,
    AddProductImageResponse,
    CreateProductRequest,
    CreateProductResponse,
    GetProductRequest,
    GetProductResponse,
    ListProductsRequest,
    ListProductsResponse,
)
from stoflow.catalog.v1.product_service_pb2_grpc import ProductServiceServicer

from stoflow_orchestrator.services.images import ImageService
from stoflow_orchestrator.services.products import ProductService
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError, ServiceError

_Context = grpc.aio.ServicerContext[Any, Any]

# Five times the largest picture.
MAX_DISCARDED_BYTES = 60 * 1024 * 1024
MAX_DISCARD_SECONDS = 10


class ProductServicer(ProductServiceServicer):
    """Serves ProductService."""

    def __init__(self, products: ProductService, images: ImageService) -> None:
        self._products = products
        self._images = images

    async def CreateProduct(self, request: CreateProductRequest, context: _Context) -> CreateProductResponse:
        return CreateProductResponse(product=await self._products.create(request))

    async def AddProductImage(
        self, request_iterator: AsyncIterator[AddProductImageRequest], context: _Context
    ) -> AddProductImageResponse:
        try:
            first = await anext(aiter(request_iterator), None)
            if first is None or not first.HasField("header"):
                raise InvalidArgumentError(
                    [FieldViolation("header", "The first message must carry the header.")]
                )
            product = await self._images.add(first.header, _chunks(request_iterator))
        except ServiceError:
            await _discard(request_iterator)
            raise
        return AddProductImageResponse(product=product)

    async def GetProduct(self, request: GetProductRequest, context: _Context) -> GetProductResponse:
        product = await self._products.get(request.tenant_id, UUID(request.product_id))
        return GetProductResponse(product=product)

    async def ListProducts(self, request: ListProductsRequest, context: _Context) -> ListProductsResponse:
        return await self._products.list(request)


async def _chunks(messages: AsyncIterator[AddProductImageRequest]) -> AsyncIterator[bytes]:
    async for message in messages:
        if message.HasField("header"):
            raise InvalidArgumentError(
                [FieldViolation("header", "Only the first message carries the header.")]
            )
        yield message.chunk


async def _discard(messages: AsyncIterator[AddProductImageRequest]) -> None:
    # A grpc.aio client that is still sending when it is refused reports its failed write in place of the refusal.
    size_bytes = 0
    with contextlib.suppress(TimeoutError, ServiceError):
        async with asyncio.timeout(MAX_DISCARD_SECONDS):
            async for message in messages:
                size_bytes += len(message.chunk)
                if size_bytes > MAX_DISCARDED_BYTES:
                    return
