"""Tenants with an account and products, made before anything is measured."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

import psycopg
from psycopg import sql
from stoflow.accounts.v1.account_pb2 import OAuthCredentials
from stoflow.accounts.v1.account_service_pb2 import CreateAccountRequest
from stoflow.tenants.v1.tenant_service_pb2 import CreateTenantRequest

from benchmarks.contenders.api import Api
from benchmarks.noop_connector import MARKETPLACE

TENANTS_IN_FLIGHT = 2

# Products are not what is measured, so they come by the thousand, not by CreateProduct.
_INSERT_PRODUCTS = """
INSERT INTO {schema}.products (product_id, sku, title, description, price_currency, price_minor, stock_quantity,
    brand, category, condition, attributes, overrides, version)
SELECT uuidv7(), 'sku-' || n, 'Linen dress', 'Worn twice, no stains.', 'EUR', 3900, 1,
    'Acme', 'clothing/women/dresses', 'VERY_GOOD', '{{}}', '{{}}', 1
FROM generate_series(1, {count}) AS n
RETURNING product_id
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant that can submit jobs: one live job a product."""

    tenant_id: int
    account_id: str
    product_ids: tuple[str, ...]


async def open_shops(api: Api, database_url: str, count: int, products: int) -> list[Shop]:
    """Creates tenants with one account and so many products each."""
    gate = asyncio.Semaphore(TENANTS_IN_FLIGHT)

    async def open_one() -> Shop:
        async with gate:
            return await _open_shop(api, database_url, products)

    return list(await asyncio.gather(*(open_one() for _ in range(count))))


async def _open_shop(api: Api, database_url: str, products: int) -> Shop:
    tenant = await api.tenants.CreateTenant(
        CreateTenantRequest(request_id=str(uuid.uuid4()), display_name="Shop")
    )
    tenant_id = tenant.tenant.tenant_id
    account = await api.accounts.CreateAccount(
        CreateAccountRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=tenant_id,
            marketplace=MARKETPLACE,
            display_name="Account",
            credentials=OAuthCredentials(refresh_token="refresh"),
        )
    )
    product_ids = await asyncio.to_thread(_insert_products, database_url, tenant_id, products)
    return Shop(tenant_id, account.account.account_id, product_ids)


def _insert_products(database_url: str, tenant_id: int, count: int) -> tuple[str, ...]:
    statement = sql.SQL(_INSERT_PRODUCTS).format(
        schema=sql.Identifier(f"user_{tenant_id}"), count=sql.Literal(count)
    )
    with psycopg.connect(database_url) as connection:
        return tuple(str(row[0]) for row in connection.execute(statement).fetchall())
