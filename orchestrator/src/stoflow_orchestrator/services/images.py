"""Pictures of products."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from stoflow.catalog.v1.product_pb2 import Product
from stoflow.catalog.v1.product_service_pb2 import AddProductImageRequest
from uuid_utils.compat import uuid7

from stoflow_orchestrator.messages.product import product_message
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.mutation import Mutation
from stoflow_orchestrator.repositories.product import ProductRepository
from stoflow_orchestrator.repositories.product_image import ProductImageRepository
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.image_check import (
    MAX_BYTES,
    CheckedImage,
    ImageInvalidError,
    check_image,
)
from stoflow_orchestrator.services.image_store import ImageStore, ImageUpload
from stoflow_orchestrator.services.product_checks import product_not_found
from stoflow_orchestrator.services.products import get_product
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FailedPreconditionError, PreconditionViolation

MAX_IMAGES = 24
# Each may take some hundred MB while it decodes.
MAX_DECODING = 2


class ImageService:
    """Receives pictures, checks them and appends them to products."""

    def __init__(self, database: Database, tenants: TenantDirectory, store: ImageStore) -> None:
        self._database = database
        self._tenants = tenants
        self._store = store
        self._decoding = asyncio.Semaphore(MAX_DECODING)

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
        async with self._database.tenant_transaction(header.tenant_id) as connection:
            if not await ProductRepository(connection).exists(product_id):
                raise product_not_found(product_id)
        with self._store.upload(header.tenant_id) as upload:
            await self._receive(upload, chunks)
            async with self._decoding:
                checked = await asyncio.to_thread(check_image, upload.path)
            mutation = describe_mutation(
                header.tenant_id, header.request_id, header, str(uuid7()), upload.sha256
            )
            return await self._append(mutation, product_id, upload, checked)

    @staticmethod
    async def _receive(upload: ImageUpload, chunks: AsyncIterator[bytes]) -> None:
        async for chunk in chunks:
            if upload.size_bytes + len(chunk) > MAX_BYTES:
                raise ImageInvalidError(f"The file is larger than {MAX_BYTES // 1024**2} MiB.")
            await asyncio.to_thread(upload.append, chunk)
        if not upload.size_bytes:
            raise ImageInvalidError("The file is empty.")
        await asyncio.to_thread(upload.finish)

    async def _append(
        self, mutation: Mutation, product_id: UUID, upload: ImageUpload, checked: CheckedImage
    ) -> Product:
        async with self._database.tenant_transaction(mutation.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is None:
                products = ProductRepository(connection)
                if await products.lock(product_id) is None:
                    raise product_not_found(product_id)
                images = ProductImageRepository(connection)
                if len(await images.list_ids(product_id)) >= MAX_IMAGES:
                    raise _too_many_images(product_id)
                await images.append(
                    product_id,
                    UUID(mutation.result_id),
                    # Before the commit, so that a product never names bytes that are not there; after every
                    # refusal, so that refused files do not pile up.
                    content_sha256=await asyncio.to_thread(upload.keep),
                    content_type=checked.content_type,
                    size_bytes=upload.size_bytes,
                    width_pixels=checked.width_pixels,
                    height_pixels=checked.height_pixels,
                )
                await products.change(product_id, {})
            row = await get_product(connection, product_id)
        return product_message(mutation.tenant_id, row)


def _too_many_images(product_id: UUID) -> FailedPreconditionError:
    message = f"The product has {MAX_IMAGES} images, which is the most."
    return FailedPreconditionError(
        message,
        reason="TOO_MANY_IMAGES",
        preconditions=[PreconditionViolation("PRODUCT_IMAGES", f"products/{product_id}", message)],
    )
