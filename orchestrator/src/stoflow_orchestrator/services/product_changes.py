"""Changes of products: none overwrites another that its caller has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1.product_pb2 import Product, ProductContent
from stoflow.catalog.v1.product_service_pb2 import (
    ArrangeProductImagesRequest,
    DeleteProductRequest,
    UpdateProductRequest,
)

from stoflow_orchestrator.messages.product import content_values, etag, product_message
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.product import ProductRepository
from stoflow_orchestrator.repositories.product_image import ProductImageRepository
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.product_checks import (
    CategoryCheck,
    content_violations,
    etag_mismatch,
    product_not_found,
    sku_exists,
)
from stoflow_orchestrator.services.products import get_product
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import (
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    PreconditionViolation,
)
from stoflow_service_kit.grpc_validation import list_violations

WHOLE = "*"
SKU_KEY = "uq_products_sku"


class ProductChanges:
    """Updates and deletes products and arranges their images."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants

    async def update(self, request: UpdateProductRequest) -> Product:
        """Changes the fields that the mask names, if the product is still as the caller read it.

        Raises:
            InvalidArgumentError: Every wrong field of what would result, or paths that are no fields.
            NotFoundError: TENANT_NOT_FOUND or PRODUCT_NOT_FOUND.
            AbortedError: ETAG_MISMATCH.
            AlreadyExistsError: SKU_EXISTS or REQUEST_ID_REUSED.
        """
        paths = _mask(request)
        await self._tenants.require(request.tenant_id)
        product_id = UUID(request.product_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(product_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is None:
                await lock_version(connection, product_id, request.etag)
                stored = product_message(request.tenant_id, await get_product(connection, product_id)).content
                await self._store(
                    connection, product_id, stored, merge_content(stored, request.content, paths)
                )
            row = await get_product(connection, product_id)
        return product_message(request.tenant_id, row)

    @staticmethod
    async def _store(
        connection: AsyncConnection, product_id: UUID, stored: ProductContent, wanted: ProductContent
    ) -> None:
        categories = await CategoryCheck.of(connection, [wanted.category])
        violations = [
            *list_violations(wanted, "content"),
            *content_violations(wanted, "content"),
            *categories.violations(wanted.category, "content.category"),
        ]
        if violations:
            raise InvalidArgumentError(violations)
        before, after = content_values(stored), content_values(wanted)
        changed = {name: value for name, value in after.items() if value != before[name]}
        if not changed:
            return
        try:
            await ProductRepository(connection).change(product_id, changed)
        except IntegrityError as error:
            diagnosis = getattr(error.orig, "diag", None)
            if getattr(diagnosis, "constraint_name", None) != SKU_KEY:
                raise
            raise sku_exists(wanted.sku) from error

    async def delete(self, request: DeleteProductRequest) -> None:
        """Removes a product and its images.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or PRODUCT_NOT_FOUND.
            AbortedError: ETAG_MISMATCH.
            FailedPreconditionError: PRODUCT_IN_USE.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        await self._tenants.require(request.tenant_id)
        product_id = UUID(request.product_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(product_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is not None:
                return
            await lock_version(connection, product_id, request.etag)
            if not request.force:
                await _require_unused(connection, request.tenant_id, product_id)
            await ProductRepository(connection).delete(product_id)

    async def arrange_images(self, request: ArrangeProductImagesRequest) -> Product:
        """Gives a product's images a new order and removes those that are not named.

        Raises:
            InvalidArgumentError: An image is not the product's.
            NotFoundError: TENANT_NOT_FOUND or PRODUCT_NOT_FOUND.
            AbortedError: ETAG_MISMATCH.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        await self._tenants.require(request.tenant_id)
        product_id = UUID(request.product_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(product_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is None:
                await lock_version(connection, product_id, request.etag)
                await self._arrange(connection, product_id, [UUID(image) for image in request.image_ids])
            row = await get_product(connection, product_id)
        return product_message(request.tenant_id, row)

    @staticmethod
    async def _arrange(connection: AsyncConnection, product_id: UUID, wanted: list[UUID]) -> None:
        images = ProductImageRepository(connection)
        present = await images.list_ids(product_id)
        violations = [
            FieldViolation(f"image_ids[{index}]", "is no image of the product")
            for index, image_id in enumerate(wanted)
            if image_id not in present
        ]
        if len(set(wanted)) < len(wanted):
            # The contract compares texts, and an id may be written in two ways.
            violations.append(FieldViolation("image_ids", "each image may appear once"))
        if violations:
            raise InvalidArgumentError(violations)
        if wanted != present:
            await images.arrange(product_id, wanted)
            await ProductRepository(connection).change(product_id, {})


async def lock_version(connection: AsyncConnection, product_id: UUID, wanted_etag: str) -> None:
    """Locks a product that is still as the caller read it; an empty etag takes it as it is.

    Raises:
        NotFoundError: PRODUCT_NOT_FOUND.
        AbortedError: ETAG_MISMATCH.
    """
    version = await ProductRepository(connection).lock(product_id)
    if version is None:
        raise product_not_found(product_id)
    if wanted_etag not in {"", etag(version)}:
        raise etag_mismatch(product_id, etag(version))


async def _require_unused(connection: AsyncConnection, tenant_id: int, product_id: UUID) -> None:
    products = ProductRepository(connection)
    reasons = []
    if await products.is_listed(product_id):
        reasons.append("It is listed: end its listings first.")
    if await products.has_live_job(tenant_id, product_id):
        reasons.append("A job on it has not ended: wait for it, or cancel it.")
    if reasons:
        subject = f"products/{product_id}"
        raise FailedPreconditionError(
            f"The product is in use. {' '.join(reasons)}",
            reason="PRODUCT_IN_USE",
            preconditions=[PreconditionViolation("PRODUCT_USE", subject, reason) for reason in reasons],
        )


def _mask(request: UpdateProductRequest) -> Sequence[str]:
    known = set(ProductContent.DESCRIPTOR.fields_by_name)
    paths = list(request.update_mask.paths) or [WHOLE]
    if paths == [WHOLE]:
        return sorted(known)
    violations = [
        FieldViolation(f"update_mask.paths[{index}]", f"{path!r} is no field of content")
        for index, path in enumerate(paths)
        if path not in known
    ]
    if violations:
        raise InvalidArgumentError(violations)
    return paths


def merge_content(stored: ProductContent, wanted: ProductContent, paths: Sequence[str]) -> ProductContent:
    """Returns a product with the named fields of one and the other fields of another."""
    kept, named = ProductContent(), ProductContent()
    kept.CopyFrom(stored)
    named.CopyFrom(wanted)
    name: Any
    for name in ProductContent.DESCRIPTOR.fields_by_name:
        (kept if name in paths else named).ClearField(name)
    kept.MergeFrom(named)
    return kept
