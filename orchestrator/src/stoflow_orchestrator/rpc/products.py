"""stoflow.catalog.v1.ProductService."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import grpc.aio
from stoflow.catalog.v1.product_service_pb2 import (
    AddProductImageRequest,
    AddProductImageResponse,
    ArrangeProductImagesRequest,
    ArrangeProductImagesResponse,
    CreateProductRequest,
    CreateProductResponse,
    DeleteProductRequest,
    DeleteProductResponse,
    FetchProductImageRequest,
    FetchProductImageResponse,
    GetProductRequest,
    GetProductResponse,
    ImportProductsRequest,
    ImportProductsResponse,
    ListProductsRequest,
    ListProductsResponse,
    UpdateProductRequest,
    UpdateProductResponse,
)
from stoflow.catalog.v1.product_service_pb2_grpc import ProductServiceServicer

from stoflow_orchestrator.services.images import ImageService
from stoflow_orchestrator.services.product_changes import ProductChanges
from stoflow_orchestrator.services.product_import import ProductImportService
from stoflow_orchestrator.services.products import ProductService
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError, ServiceError

_Context = grpc.aio.ServicerContext[Any, Any]

# Five times the largest picture, and more than the largest import.
MAX_DISCARDED_BYTES = 60 * 1024 * 1024
MAX_DISCARD_SECONDS = 10


_Upload = TypeVar("_Upload", AddProductImageRequest, ImportProductsRequest)


@dataclass(frozen=True, slots=True)
class ProductServices:
    """What the servicer passes calls on to."""

    products: ProductService
    changes: ProductChanges
    imports: ProductImportService
    images: ImageService


class ProductServicer(ProductServiceServicer):
    """Serves ProductService."""

    def __init__(self, services: ProductServices) -> None:
        self._products = services.products
        self._changes = services.changes
        self._imports = services.imports
        self._images = services.images

    async def CreateProduct(self, request: CreateProductRequest, context: _Context) -> CreateProductResponse:
        return CreateProductResponse(product=await self._products.create(request))

    async def UpdateProduct(self, request: UpdateProductRequest, context: _Context) -> UpdateProductResponse:
        return UpdateProductResponse(product=await self._changes.update(request))

    async def DeleteProduct(self, request: DeleteProductRequest, context: _Context) -> DeleteProductResponse:
        await self._changes.delete(request)
        return DeleteProductResponse()

    async def ImportProducts(
        self, request_iterator: AsyncIterator[ImportProductsRequest], context: _Context
    ) -> ImportProductsResponse:
        async with _uploading(request_iterator) as first:
            return await self._imports.run(first.header, _batches(request_iterator))

    async def AddProductImage(
        self, request_iterator: AsyncIterator[AddProductImageRequest], context: _Context
    ) -> AddProductImageResponse:
        async with _uploading(request_iterator) as first:
            product = await self._images.add(first.header, _chunks(request_iterator))
        return AddProductImageResponse(product=product)

    async def FetchProductImage(
        self, request: FetchProductImageRequest, context: _Context
    ) -> FetchProductImageResponse:
        return FetchProductImageResponse(product=await self._images.fetch(request))

    async def ArrangeProductImages(
        self, request: ArrangeProductImagesRequest, context: _Context
    ) -> ArrangeProductImagesResponse:
        return ArrangeProductImagesResponse(product=await self._changes.arrange_images(request))

    async def GetProduct(self, request: GetProductRequest, context: _Context) -> GetProductResponse:
        product = await self._products.get(request.tenant_id, UUID(request.product_id))
        return GetProductResponse(product=product)

    async def ListProducts(self, request: ListProductsRequest, context: _Context) -> ListProductsResponse:
        return await self._products.list(request)


@contextlib.asynccontextmanager
async def _uploading(messages: AsyncIterator[_Upload]) -> AsyncIterator[_Upload]:
    """Gives the message with the header; reads on when the call is refused."""
    try:
        first = await anext(aiter(messages), None)
        if first is None or not first.HasField("header"):
            raise InvalidArgumentError([FieldViolation("header", "The first message must carry the header.")])
        yield first
    except ServiceError:
        await _discard(messages)
        raise


async def _chunks(messages: AsyncIterator[AddProductImageRequest]) -> AsyncIterator[bytes]:
    async for message in messages:
        _check_no_header(message)
        yield message.chunk


async def _batches(
    messages: AsyncIterator[ImportProductsRequest],
) -> AsyncIterator[ImportProductsRequest.Rows]:
    async for message in messages:
        _check_no_header(message)
        yield message.rows


def _check_no_header(message: AddProductImageRequest | ImportProductsRequest) -> None:
    if message.HasField("header"):
        raise InvalidArgumentError([FieldViolation("header", "Only the first message carries the header.")])


async def _discard(messages: AsyncIterator[_Upload]) -> None:
    # A grpc.aio client that is still sending when it is refused reports its failed write in place of the refusal.
    size_bytes = 0
    with contextlib.suppress(TimeoutError, ServiceError):
        async with asyncio.timeout(MAX_DISCARD_SECONDS):
            async for message in messages:
                size_bytes += message.ByteSize()
                if size_bytes > MAX_DISCARDED_BYTES:
                    return
