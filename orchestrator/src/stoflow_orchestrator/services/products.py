"""A seller's products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1.product_pb2 import Product, ProductContent
from stoflow.catalog.v1.product_service_pb2 import (
    CreateProductRequest,
    ListProductsRequest,
    ListProductsResponse,
)
from stoflow.common.v1.money_pb2 import Money
from uuid_utils.compat import uuid7

from stoflow_orchestrator.messages.product import content_values, product_message
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, time_and_id
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.product import ProductRepository
from stoflow_orchestrator.repositories.reference import ReferenceRepository
from stoflow_orchestrator.services.currencies import CURRENCY_CODES
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable, storable_violations
from stoflow_service_kit.errors import (
    AlreadyExistsError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
)

# An error names so many known categories: enough to see what keys look like, few enough for a gRPC trailer.
NAMED_CATEGORIES = 10


class ProductService:
    """Creates and reads products."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants

    async def create(self, request: CreateProductRequest) -> Product:
        """Creates a product without images.

        Raises:
            InvalidArgumentError: Every wrong field, an unknown category or currency among them.
            NotFoundError: TENANT_NOT_FOUND.
            AlreadyExistsError: SKU_EXISTS or REQUEST_ID_REUSED.
        """
        await self._tenants.require(request.tenant_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(uuid7()))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            first = await claim_mutation(connection, mutation)
            if first is None:
                await self._insert(connection, UUID(mutation.result_id), request.content)
            row = await get_product(connection, UUID(first or mutation.result_id))
        return product_message(request.tenant_id, row)

    async def _insert(self, connection: AsyncConnection, product_id: UUID, content: ProductContent) -> None:
        violations = [
            *storable_violations(content, "content"),
            *currency_violations(content),
            *await self._category_violations(connection, content.category),
        ]
        if violations:
            raise InvalidArgumentError(violations)
        if not await ProductRepository(connection).insert(product_id, content_values(content)):
            raise AlreadyExistsError(
                f"Another product has the SKU {content.sku!r}.",
                reason="SKU_EXISTS",
                metadata={"sku": content.sku},
            )

    @staticmethod
    async def _category_violations(connection: AsyncConnection, category: str) -> list[FieldViolation]:
        reference = ReferenceRepository(connection)
        # PostgreSQL would refuse the question itself; the text is complained about already.
        if "\0" in category or await reference.category_exists(category):
            return []
        known = list(await reference.list_category_keys(NAMED_CATEGORIES + 1))
        if len(known) > NAMED_CATEGORIES:
            known[NAMED_CATEGORIES:] = ["..."]
        return [FieldViolation("content.category", f"unknown; known categories: {', '.join(known)}")]

    async def get(self, tenant_id: int, product_id: UUID) -> Product:
        """Returns one product.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or PRODUCT_NOT_FOUND.
        """
        await self._tenants.require(tenant_id)
        async with self._database.tenant_transaction(tenant_id) as connection:
            row = await get_product(connection, product_id)
        return product_message(tenant_id, row)

    async def list(self, request: ListProductsRequest) -> ListProductsResponse:
        """Returns a page of products, newest first.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID, or a SKU that cannot exist.
            NotFoundError: TENANT_NOT_FOUND.
        """
        check_storable(request)
        before = decode_token(request, request.page_token, time_and_id)
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            rows = await ProductRepository(connection).list_page(request.sku, before, size + 1)
        products = fit_page((product_message(request.tenant_id, row) for row in rows), size)
        token = ""
        if len(products) < len(rows):
            last = rows[len(products) - 1]
            token = encode_token(request, [last.create_time, last.product_id])
        return ListProductsResponse(products=products, next_page_token=token)


async def get_product(connection: AsyncConnection, product_id: UUID) -> Row[Any]:
    """Returns one product's row.

    Raises:
        NotFoundError: PRODUCT_NOT_FOUND.
    """
    row = await ProductRepository(connection).find(product_id)
    if row is None:
        raise product_not_found(product_id)
    return row


def product_not_found(product_id: UUID) -> NotFoundError:
    """Makes the error for a product that the tenant does not have."""
    return NotFoundError(
        f"There is no product {product_id}.",
        reason="PRODUCT_NOT_FOUND",
        metadata={"product_id": str(product_id)},
    )


def currency_violations(content: ProductContent) -> list[FieldViolation]:
    """Lists the prices of a product that are in no currency of ISO 4217."""
    return [
        FieldViolation(f"{field}.currency_code", f"{price.currency_code} is not an active code of ISO 4217")
        for field, price in _prices(content)
        if price.currency_code not in CURRENCY_CODES
    ]


def _prices(content: ProductContent) -> Iterator[tuple[str, Money]]:
    yield "content.price", content.price
    for index, override in enumerate(content.overrides):
        if override.HasField("price"):
            yield f"content.overrides[{index}].price", override.price
