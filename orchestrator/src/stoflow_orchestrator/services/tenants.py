"""Tenants: created with a schema of their own, and looked up by everybody else."""

from __future__ import annotations

import asyncio

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.tenants.v1.tenant_pb2 import Tenant
from stoflow.tenants.v1.tenant_service_pb2 import (
    CreateTenantRequest,
    ListTenantsRequest,
    ListTenantsResponse,
)

from stoflow_orchestrator.messages.tenant import tenant_message
from stoflow_orchestrator.migrations.runner import upgrade_tenant
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, single_number
from stoflow_orchestrator.repositories.database import Database, unavailable_when_unreachable
from stoflow_orchestrator.repositories.mutation import MutationRepository
from stoflow_orchestrator.repositories.tenant import TenantRepository
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import AlreadyExistsError, NotFoundError

# Provisioning is a burst of DDL in threads that others need as well.
MAX_PROVISIONING = 2
MAX_REMEMBERED_TENANTS = 100_000


class TenantDirectory:
    """Knows which tenants can be worked for; remembers those it has seen, since tenants never vanish."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ready: set[int] = set()

    async def require(self, tenant_id: int) -> None:
        """Returns if the tenant exists and its schema is ready.

        Raises:
            NotFoundError: TENANT_NOT_FOUND.
        """
        if not await self.is_known(tenant_id):
            raise tenant_not_found(tenant_id)

    async def is_known(self, tenant_id: int) -> bool:
        """Tells whether the tenant exists and its schema is ready."""
        if tenant_id in self._ready:
            return True
        async with self._database.public_transaction() as connection:
            if not await TenantRepository(connection).is_ready(tenant_id):
                return False
        if len(self._ready) >= MAX_REMEMBERED_TENANTS:
            self._ready.clear()
        self._ready.add(tenant_id)
        return True


class TenantService:
    """Creates and reads tenants."""

    def __init__(self, database: Database, migration_engine: Engine) -> None:
        """Takes the engines.

        Args:
            database: For everything but migrations.
            migration_engine: Synchronous, without a pool (`create_migration_engine`).
        """
        self._database = database
        self._migration_engine = migration_engine
        self._provisioning = asyncio.Semaphore(MAX_PROVISIONING)

    async def create(self, request: CreateTenantRequest) -> Tenant:
        """Creates a tenant with its schema; repeating an interrupted call completes it.

        Raises:
            AlreadyExistsError: TENANT_EXISTS or REQUEST_ID_REUSED.
        """
        check_storable(request)
        async with self._database.public_transaction() as connection:
            tenant_id = await self._register(connection, request)
            is_ready = await TenantRepository(connection).is_ready(tenant_id)
        if not is_ready:
            await self._provision(tenant_id)
        return await self.get(tenant_id)

    async def _register(self, connection: AsyncConnection, request: CreateTenantRequest) -> int:
        mutation = describe_mutation(0, request.request_id, request, str(request.tenant_id))
        first = await claim_mutation(connection, mutation)
        if first is not None:
            return int(first)
        tenants = TenantRepository(connection)
        if not request.tenant_id:
            tenant_id = await tenants.insert_next(request.display_name)
            await MutationRepository(connection).set_result(mutation, str(tenant_id))
            return tenant_id
        if not await tenants.insert(request.tenant_id, request.display_name):
            raise AlreadyExistsError(
                f"Tenant {request.tenant_id} exists already.",
                reason="TENANT_EXISTS",
                metadata={"tenant_id": str(request.tenant_id)},
            )
        return request.tenant_id

    async def _provision(self, tenant_id: int) -> None:
        # Not in create's transaction: a crash in between leaves PROVISIONING, which a repeated call finds.
        with unavailable_when_unreachable():
            async with self._provisioning:
                await asyncio.to_thread(upgrade_tenant, self._migration_engine, tenant_id)
        async with self._database.public_transaction() as connection:
            await TenantRepository(connection).mark_ready(tenant_id)

    async def get(self, tenant_id: int) -> Tenant:
        """Returns a tenant that is ready.

        Raises:
            NotFoundError: TENANT_NOT_FOUND.
        """
        async with self._database.public_transaction() as connection:
            row = await TenantRepository(connection).find(tenant_id)
        if row is None or row.state != "READY":
            raise tenant_not_found(tenant_id)
        return tenant_message(row)

    async def list(self, request: ListTenantsRequest) -> ListTenantsResponse:
        """Returns a page of the tenants that are ready, ordered by id.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
        """
        after = decode_token(request, request.page_token, single_number) or 0
        size = page_size(request)
        async with self._database.public_transaction() as connection:
            rows = await TenantRepository(connection).list_page(after, size + 1)
        tenants = fit_page((tenant_message(row) for row in rows), size)
        token = encode_token(request, [tenants[-1].tenant_id]) if len(tenants) < len(rows) else ""
        return ListTenantsResponse(tenants=tenants, next_page_token=token)


def tenant_not_found(tenant_id: int) -> NotFoundError:
    """Makes the error for a tenant that does not exist, or is not ready."""
    return NotFoundError(
        f"There is no tenant {tenant_id}.",
        reason="TENANT_NOT_FOUND",
        metadata={"tenant_id": str(tenant_id)},
    )
