"""Tenants: creation, idempotency, crashes, paging."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import grpc
import psycopg
import pytest
from stoflow.tenants.v1.tenant_service_pb2 import (
    CreateTenantRequest,
    GetTenantRequest,
    ListTenantsRequest,
)

from stoflow_orchestrator.migrations.runner import head_revision
from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, new_id, refusal


def creation(tenant_id: int = 0, **changes: Any) -> CreateTenantRequest:
    values: dict[str, Any] = {"request_id": new_id(), "tenant_id": tenant_id, "display_name": "Shop"}
    return CreateTenantRequest(**{**values, **changes})


async def test_created_tenant_has_its_own_tables(api: CatalogApi) -> None:
    """CreateTenant returns a tenant whose schema holds every table of a tenant, at the newest revision."""
    tenant = (await api.tenants.CreateTenant(creation(42))).tenant
    assert (tenant.tenant_id, tenant.schema_name, tenant.display_name) == (42, "user_42", "Shop")
    assert (await api.tenants.GetTenant(GetTenantRequest(tenant_id=42))).tenant == tenant
    tables = await api.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'user_42'")
    assert {"products", "product_images", "accounts", "listings", "marketplace_jobs"} <= {
        t[0] for t in tables
    }
    assert await api.sql("SELECT version_num FROM user_42.alembic_version") == [(head_revision("tenant"),)]


async def test_repeated_request_returns_first_tenant(api: CatalogApi) -> None:
    """The same request_id and body give the same tenant, chosen by the orchestrator, and make no second one."""
    request = creation()
    first = (await api.tenants.CreateTenant(request)).tenant
    second = (await api.tenants.CreateTenant(request)).tenant
    assert first == second
    assert await api.sql("SELECT count(*) FROM public.tenants") == [(1,)]


async def test_concurrent_repeats_make_one_tenant(api: CatalogApi) -> None:
    """Eight concurrent calls with one request_id all return the one tenant that they made."""
    request = creation()
    answers = await asyncio.gather(*(api.tenants.CreateTenant(request) for _ in range(8)))
    assert len({answer.tenant.tenant_id for answer in answers}) == 1
    assert await api.sql("SELECT count(*) FROM public.tenants") == [(1,)]


async def test_tenants_created_at_once_each_have_all_their_tables(api: CatalogApi) -> None:
    """Eight tenants created side by side succeed, and none gets the tables of another."""
    await asyncio.gather(*(api.tenants.CreateTenant(creation(100 + number)) for number in range(8)))
    counts = await api.sql(
        "SELECT schemaname, count(*) FROM pg_tables WHERE schemaname LIKE 'user\\_1__' GROUP BY 1 ORDER BY 1"
    )
    assert [name for name, _ in counts] == [f"user_{100 + number}" for number in range(8)]
    assert len({count for _, count in counts}) == 1


async def test_reused_request_id_is_refused(api: CatalogApi) -> None:
    """A request_id that was used with another body is ALREADY_EXISTS and changes nothing."""
    request = creation()
    await api.tenants.CreateTenant(request)
    error = await refusal(
        api.tenants.CreateTenant(creation(request_id=request.request_id, display_name="Other"))
    )
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert await api.sql("SELECT display_name FROM public.tenants") == [("Shop",)]


async def test_taken_id_is_refused_and_request_id_stays_free(api: CatalogApi) -> None:
    """An id that another request took is TENANT_EXISTS; the refused request_id can be used for another try."""
    await api.tenants.CreateTenant(creation(7))
    refused = creation(7)
    error = await refusal(api.tenants.CreateTenant(refused))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "TENANT_EXISTS")
    retried = await api.tenants.CreateTenant(creation(8, request_id=refused.request_id))
    assert retried.tenant.tenant_id == 8


async def test_chosen_ids_go_around_callers_own(api: CatalogApi) -> None:
    """Ids chosen by the orchestrator skip those that callers have taken already."""
    for tenant_id in (1, 2, 3, 5):
        await api.tenants.CreateTenant(creation(tenant_id))
    chosen = [(await api.tenants.CreateTenant(creation())).tenant.tenant_id for _ in range(2)]
    assert chosen == [4, 6]


async def test_unknown_and_unfinished_tenants_are_not_found(api: CatalogApi) -> None:
    """A tenant that does not exist or is not ready is TENANT_NOT_FOUND, and is not listed."""
    await api.sql(
        "INSERT INTO public.tenants (tenant_id, display_name, state) VALUES (5, 'x', 'PROVISIONING')"
    )
    for tenant_id in (5, 99):
        error = await refusal(api.tenants.GetTenant(GetTenantRequest(tenant_id=tenant_id)))
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "TENANT_NOT_FOUND")
    assert not (await api.tenants.ListTenants(ListTenantsRequest())).tenants


async def test_every_wrong_field_is_listed(api: CatalogApi) -> None:
    """A request with three wrong fields names all three at once."""
    request = CreateTenantRequest(request_id="x", tenant_id=-1, display_name="")
    error = await refusal(api.tenants.CreateTenant(request))
    assert error.reason == "INVALID_ARGUMENT"
    assert {violation.field for violation in error.violations} == {"request_id", "tenant_id", "display_name"}
    nul = await refusal(api.tenants.CreateTenant(creation(display_name="a\0b")))
    assert [violation.field for violation in nul.violations] == ["display_name"]


async def test_tenants_are_listed_page_by_page(api: CatalogApi) -> None:
    """Pages follow each other by id; a token of another method or of nobody is PAGE_TOKEN_INVALID."""
    for tenant_id in (3, 1, 2):
        await api.tenants.CreateTenant(creation(tenant_id))
    first = await api.tenants.ListTenants(ListTenantsRequest(page_size=2))
    assert [tenant.tenant_id for tenant in first.tenants] == [1, 2]
    rest = await api.tenants.ListTenants(ListTenantsRequest(page_token=first.next_page_token))
    assert [tenant.tenant_id for tenant in rest.tenants] == [3]
    assert rest.next_page_token == ""
    error = await refusal(api.tenants.ListTenants(ListTenantsRequest(page_token="bm90IG91cnM")))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


KILLED_PROCESS = """
import asyncio, sys
from stoflow.tenants.v1.tenant_service_pb2 import CreateTenantRequest
from stoflow_orchestrator.repositories.database import Database, create_migration_engine
from stoflow_orchestrator.services.tenants import TenantService

async def main():
    service = TenantService(Database.connect(sys.argv[1]), create_migration_engine(sys.argv[1]))
    await service.create(CreateTenantRequest.FromString(bytes.fromhex(sys.argv[2])))

asyncio.run(main())
"""


@pytest.mark.parametrize("tenant_id", [9, 0])
async def test_creation_killed_in_the_middle_is_completed_by_repeating_it(
    api: CatalogApi, database_url: str, tenant_id: int
) -> None:
    """A process killed while it migrates leaves no usable tenant; the same request then makes it ready."""
    request = creation(tenant_id)
    expected_id = tenant_id or 1
    # The lock that a tenant's migration takes first: the process stops between its two transactions.
    async with await psycopg.AsyncConnection.connect(database_url) as blocker:
        await blocker.execute("SELECT pg_advisory_xact_lock(1, hashtext(%s))", [f"user_{expected_id}"])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED_PROCESS, database_url, request.SerializeToString().hex()
        )
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while await api.sql(waiting) != [(1,)]:
            assert process.returncode is None, "the process ended before it was killed"
            await asyncio.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    error = await refusal(api.tenants.GetTenant(GetTenantRequest(tenant_id=expected_id)))
    assert error.reason == "TENANT_NOT_FOUND"
    assert await api.sql("SELECT state FROM public.tenants") == [("PROVISIONING",)]
    tenant = (await api.tenants.CreateTenant(request)).tenant
    assert tenant.tenant_id == expected_id
    assert await api.sql("SELECT state FROM public.tenants") == [("READY",)]
    assert (await api.new_product(expected_id)).version == 1
