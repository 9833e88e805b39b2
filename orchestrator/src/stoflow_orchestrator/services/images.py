"""Pictures of products."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1.product_pb2 import Product
from stoflow.catalog.v1.product_service_pb2 import AddProductImageRequest, FetchProductImageRequest
from uuid_utils.compat import uuid7

from stoflow_orchestrator.clients.image_source import ImageFetchFailedError, ImageSource
from stoflow_orchestrator.clients.image_store import ImageStore
from stoflow_orchestrator.messages.product import product_message
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.mutation import Mutation, MutationRepository
from stoflow_orchestrator.repositories.product import ProductRepository
from stoflow_orchestrator.repositories.product_image import ProductImageRepository
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation, repeated_result
from stoflow_orchestrator.services.image_check import (
    MAX_BYTES,
    CleanedImage,
    ImageInvalidError,
    clean_image,
)
from stoflow_orchestrator.services.image_upload import ImageUpload
from stoflow_orchestrator.services.product_checks import product_not_found
from stoflow_orchestrator.services.products import get_product
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FailedPreconditionError, PreconditionViolation

MAX_IMAGES = 24
# Each may take some hundred MB while it is decoded and written anew.
MAX_DECODING = 2
MAX_FETCHING = 8
FETCH_SECONDS = 30.0


class ImageService:
    """Receives pictures, cleans them and appends them to products."""

    def __init__(
        self, database: Database, tenants: TenantDirectory, store: ImageStore, source: ImageSource
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._store = store
        self._source = source
        self._decoding = asyncio.Semaphore(MAX_DECODING)
        self._fetching = asyncio.Semaphore(MAX_FETCHING)

    async def add(self, header: AddProductImageRequest.Header, chunks: AsyncIterator[bytes]) -> Product:
        """Appends one picture to a product.

        Args:
            header: What the picture belongs to.
            chunks: Its bytes, in order.

        Raises:
            InvalidArgumentError: IMAGE_INVALID.
            NotFoundError: TENANT_NOT_FOUND or PRODUCT_NOT_FOUND.
            FailedPreconditionError: TOO_MANY_IMAGES.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        await self._tenants.require(header.tenant_id)
        product_id = UUID(header.product_id)
        # Asked before 12 MiB are received for nothing; asked again under the lock.
        await self._require_product(header.tenant_id, product_id)
        with ImageUpload(self._store.incoming) as upload:
            await _receive(upload, chunks)
            mutation = describe_mutation(
                header.tenant_id, header.request_id, header, str(uuid7()), upload.sha256
            )
            return await self._append(mutation, product_id, upload)

    async def fetch(self, request: FetchProductImageRequest) -> Product:
        """Fetches one picture from an address and appends it to a product.

        Raises:
            InvalidArgumentError: IMAGE_ADDRESS_REFUSED or IMAGE_INVALID.
            NotFoundError: TENANT_NOT_FOUND or PRODUCT_NOT_FOUND.
            FailedPreconditionError: IMAGE_FETCH_FAILED or TOO_MANY_IMAGES.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        await self._tenants.require(request.tenant_id)
        product_id = UUID(request.product_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(uuid7()))
        if (repeated := await self._find_repeated(mutation, product_id)) is not None:
            return repeated
        await self._require_product(request.tenant_id, product_id)
        with ImageUpload(self._store.incoming) as upload:
            async with self._fetching:
                await self._fetch(upload, request.url)
            return await self._append(mutation, product_id, upload)

    async def _fetch(self, upload: ImageUpload, url: str) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS), aclosing(self._source.read(url)) as chunks:
                await _receive(upload, chunks)
        except TimeoutError as error:
            message = f"The address gave no whole file within {FETCH_SECONDS:g} seconds."
            raise ImageFetchFailedError(message) from error

    async def _require_product(self, tenant_id: int, product_id: UUID) -> None:
        async with self._database.tenant_transaction(tenant_id) as connection:
            if not await ProductRepository(connection).exists(product_id):
                raise product_not_found(product_id)

    async def _find_repeated(self, mutation: Mutation, product_id: UUID) -> Product | None:
        """Returns the product if this mutation was carried out before."""
        async with self._database.tenant_transaction(mutation.tenant_id) as connection:
            first = await MutationRepository(connection).find(mutation.tenant_id, mutation.request_id)
            if first is None:
                return None
            repeated_result(mutation, first)
            return product_message(mutation.tenant_id, await get_product(connection, product_id))

    async def _append(self, mutation: Mutation, product_id: UUID, upload: ImageUpload) -> Product:
        async with self._decoding:
            cleaned = await asyncio.to_thread(clean_image, upload.received, upload.cleaned)
        if (repeated := await self._find_repeated(mutation, product_id)) is not None:
            return repeated
        # So that refused files do not pile up; asked again under the lock.
        async with self._database.tenant_transaction(mutation.tenant_id) as connection:
            await _require_room(connection, product_id)
        # Before the row, so that a product never names bytes that are not there; outside any transaction, since a
        # bucket may take its time.
        await self._store.keep(mutation.tenant_id, cleaned.content_sha256, upload.cleaned)
        async with self._database.tenant_transaction(mutation.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is None:
                products = ProductRepository(connection)
                if await products.lock(product_id) is None:
                    raise product_not_found(product_id)
                await _require_room(connection, product_id)
                image_id = UUID(mutation.result_id)
                await ProductImageRepository(connection).append(product_id, image_id, **_columns(cleaned))
                await products.change(product_id, {})
            row = await get_product(connection, product_id)
        return product_message(mutation.tenant_id, row)


async def _require_room(connection: AsyncConnection, product_id: UUID) -> None:
    if len(await ProductImageRepository(connection).list_ids(product_id)) >= MAX_IMAGES:
        raise _too_many_images(product_id)


async def _receive(upload: ImageUpload, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        if upload.size_bytes + len(chunk) > MAX_BYTES:
            raise ImageInvalidError(f"The file is larger than {MAX_BYTES // 1024**2} MiB.")
        await asyncio.to_thread(upload.append, chunk)
    if not upload.size_bytes:
        raise ImageInvalidError("The file is empty.")
    await asyncio.to_thread(upload.finish)


def _columns(cleaned: CleanedImage) -> dict[str, str | int]:
    return {
        "content_sha256": cleaned.content_sha256,
        "content_type": cleaned.content_type,
        "size_bytes": cleaned.size_bytes,
        "width_pixels": cleaned.width_pixels,
        "height_pixels": cleaned.height_pixels,
    }


def _too_many_images(product_id: UUID) -> FailedPreconditionError:
    message = f"The product has {MAX_IMAGES} images, which is the most."
    return FailedPreconditionError(
        message,
        reason="TOO_MANY_IMAGES",
        preconditions=[PreconditionViolation("PRODUCT_IMAGES", f"products/{product_id}", message)],
    )
