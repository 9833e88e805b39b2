"""How connections find their tenant."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import ProgrammingError
from stoflow.catalog.v1.product_service_pb2 import GetProductRequest

from stoflow_orchestrator.models.catalog import Listing, Product
from stoflow_orchestrator.repositories.database import Database
from stoflow_service_kit.errors import UnavailableError
from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, refusal


async def test_missing_translation_fails_and_never_touches_public(api: CatalogApi) -> None:
    """A tenant's statement on the public engine fails, even when `public` has a table of that name."""
    await api.sql("CREATE TABLE public.products (LIKE public.tenants)")
    async with api.database.public().connect() as connection:
        with pytest.raises(ProgrammingError, match=r'"tenant(\.products)?" does not exist'):
            await connection.execute(select(Product.product_id))
        await connection.rollback()
        with pytest.raises(ProgrammingError, match='"tenant'):
            await connection.execute(insert(Product).values(product_id=uuid4(), sku="x"))
    assert await api.sql("SELECT count(*) FROM public.products") == [(0,)]


async def test_tenant_survives_commits_and_does_not_leak(api: CatalogApi) -> None:
    """After a commit and a rollback a connection still speaks to its tenant; the next checkout does not."""
    one, two = await api.new_tenant(), await api.new_tenant()
    product = await api.new_product(one)
    single = Database(api.database.public())
    async with single.tenant(one).connect() as connection:
        for finish in (connection.commit, connection.rollback, connection.commit):
            found = (await connection.execute(select(Product.sku))).scalars().all()
            assert found == [product.content.sku]
            await finish()
    async with single.tenant(two).connect() as connection:
        assert (await connection.execute(select(Product.sku))).all() == []
        assert (await connection.execute(text("SHOW search_path"))).scalar_one() == '"$user", public'


async def test_concurrent_tenants_share_one_pool_without_mixing(api: CatalogApi) -> None:
    """Two hundred interleaved reads of two tenants over five connections each see only their own tenant."""
    one, two = await api.new_tenant(), await api.new_tenant()
    skus = {tenant: (await api.new_product(tenant)).content.sku for tenant in (one, two)}

    async def read(tenant_id: int) -> tuple[int, list[str]]:
        async with api.database.tenant_transaction(tenant_id) as connection:
            return tenant_id, list((await connection.execute(select(Product.sku))).scalars())

    for tenant_id, found in await asyncio.gather(*(read(tenant) for tenant in [one, two] * 100)):
        assert found == [skus[tenant_id]]


async def test_compiled_statements_are_shared_by_tenants(api: CatalogApi) -> None:
    """Statements are compiled once for all tenants, not once for each."""
    tenants = [await api.new_tenant() for _ in range(3)]
    cache: dict[object, object] = {}
    for tenant_id in tenants:
        engine = api.database.tenant(tenant_id).execution_options(compiled_cache=cache)
        async with engine.connect() as connection:
            await connection.execute(select(Listing.listing_id))
    assert len(cache) == 1


async def test_unreachable_database_is_unavailable() -> None:
    """A server that does not answer is UNAVAILABLE with a delay after which to repeat the call."""
    database = Database.connect("postgresql://nobody:secret@127.0.0.1:1/nothing")
    with pytest.raises(UnavailableError) as caught:
        async with database.public_transaction():
            pass
    assert caught.value.retry_after_seconds == 1
    assert "secret" not in str(caught.value)
    await database.close()


async def test_tenant_without_schema_is_an_internal_error(api: CatalogApi) -> None:
    """A tenant whose schema is gone gets INTERNAL with an error id, and nothing of the cause."""
    tenant_id = await api.new_tenant()
    await api.sql(f"DROP SCHEMA user_{tenant_id} CASCADE")
    request = GetProductRequest(tenant_id=tenant_id, product_id="0192f0c1-7a3e-7e57-9d0a-000000000001")
    error = await refusal(api.products.GetProduct(request))
    assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "user_" not in error.message
