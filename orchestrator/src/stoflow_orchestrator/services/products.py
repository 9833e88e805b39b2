"""A seller's products."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1.product_pb2 import Condition, Product, ProductContent
from stoflow.catalog.v1.product_service_pb2 import (
    CreateProductRequest,
    ListProductsRequest,
    ListProductsResponse,
)
from uuid_utils.compat import uuid7

from stoflow_orchestrator.messages.product import CONDITION_PREFIX, content_values, product_message
from stoflow_orchestrator.messages.times import optional_times
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, time_and_id
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.product import ProductFilter, ProductRepository
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.product_checks import (
    CategoryCheck,
    content_violations,
    product_not_found,
    sku_exists,
)
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import InvalidArgumentError


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
        categories = await CategoryCheck.of(connection, [content.category])
        violations = [
            *content_violations(content, "content"),
            *categories.violations(content.category, "content.category"),
        ]
        if violations:
            raise InvalidArgumentError(violations)
        if not await ProductRepository(connection).insert(product_id, content_values(content)):
            raise sku_exists(content.sku)

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
            InvalidArgumentError: PAGE_TOKEN_INVALID, or a filter that nothing can match.
            NotFoundError: TENANT_NOT_FOUND.
        """
        check_storable(request)
        wanted = _filter(request)
        before = decode_token(request, request.page_token, time_and_id)
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            rows = await ProductRepository(connection).list_page(wanted, before, size + 1)
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


def _filter(request: ListProductsRequest) -> ProductFilter:
    condition = Condition.Name(request.condition).removeprefix(CONDITION_PREFIX) if request.condition else ""
    return ProductFilter(
        sku=request.sku,
        text=request.text,
        category=request.category,
        brand=request.brand,
        condition=condition,
        is_in_stock=request.is_in_stock if request.HasField("is_in_stock") else None,
        update_time_from=optional_times(request, "", "update_time_from").get("update_time_from"),
        product_ids=[UUID(product_id) for product_id in request.product_ids],
    )
