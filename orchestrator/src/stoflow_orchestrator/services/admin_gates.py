"""Pauses and limits that operators set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.admin.v1 import admin_pb2
from stoflow.admin.v1 import admin_service_pb2 as rpc

from stoflow_orchestrator.engine.admission import Admission
from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.messages.admin import account_gate_message, marketplace_gate_message
from stoflow_orchestrator.repositories import admission as admission_repository
from stoflow_orchestrator.repositories import control as control_repository
from stoflow_orchestrator.repositories import gate as gate_repository
from stoflow_orchestrator.services.idempotency import describe_mutation, repeated_result
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import NotFoundError

Connection = AsyncConnection[Any]
NO_TENANT = 0


class AdminGates:
    """Each change waits for the pass of admission that is under way, so that it holds once the call has answered."""

    def __init__(self, pool: AsyncConnectionPool[Connection], admission: Admission) -> None:
        self._pool = pool
        self._admission = admission

    async def pause_marketplace(self, request: rpc.PauseMarketplaceRequest) -> admin_pb2.MarketplaceGate:
        """Admits no more jobs of a marketplace.

        Raises:
            InvalidArgumentError: The reason cannot be stored.
            NotFoundError: MARKETPLACE_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        async with self._marketplace_change(request, request.marketplace) as (connection, is_first):
            if is_first:
                await gate_repository.pause_marketplace(connection, request.marketplace, request.reason)
            row = await gate_repository.find_marketplace(connection, request.marketplace)
        return marketplace_gate_message(request.marketplace, row)

    async def resume_marketplace(self, request: rpc.ResumeMarketplaceRequest) -> admin_pb2.MarketplaceGate:
        """Admits jobs of a marketplace again; raises like `pause_marketplace`."""
        async with self._marketplace_change(request, request.marketplace) as (connection, is_first):
            if is_first:
                await gate_repository.resume_marketplace(connection, request.marketplace)
            row = await gate_repository.find_marketplace(connection, request.marketplace)
        self._admission.stir([request.marketplace])
        return marketplace_gate_message(request.marketplace, row)

    async def pause_account(self, request: rpc.PauseAccountRequest) -> admin_pb2.AccountGate:
        """Admits no more jobs of an account.

        Raises:
            InvalidArgumentError: The reason cannot be stored.
            NotFoundError: ACCOUNT_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        account_id = UUID(request.account_id)
        async with self._account_change(request, request.tenant_id, account_id) as (connection, is_first):
            if is_first:
                await gate_repository.pause_account(connection, account_id, request.reason)
            return account_gate_message(await _get_account(connection, request.tenant_id, account_id))

    async def resume_account(self, request: rpc.ResumeAccountRequest) -> admin_pb2.AccountGate:
        """Admits jobs of an account again; raises like `pause_account`."""
        account_id = UUID(request.account_id)
        async with self._account_change(request, request.tenant_id, account_id) as (connection, is_first):
            if is_first:
                await gate_repository.resume_account(connection, account_id)
            row = await _get_account(connection, request.tenant_id, account_id)
        self._admission.stir([], [(row.marketplace, row.tenant_id)])
        return account_gate_message(row)

    async def set_limits(self, request: rpc.SetLimitsRequest) -> rpc.SetLimitsResponse:
        """Limits a marketplace or an account.

        Raises:
            NotFoundError: MARKETPLACE_NOT_FOUND or ACCOUNT_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        limit = request.max_admitted_jobs if request.HasField("max_admitted_jobs") else None
        if request.WhichOneof("target") == "marketplace":
            name = request.marketplace
            async with self._marketplace_change(request, name) as (connection, is_first):
                if is_first:
                    await gate_repository.limit_marketplace(connection, name, limit)
                gate = marketplace_gate_message(
                    name, await gate_repository.find_marketplace(connection, name)
                )
            self._admission.stir([name])
            return rpc.SetLimitsResponse(marketplace=gate)
        tenant_id, account_id = request.account.tenant_id, UUID(request.account.account_id)
        async with self._account_change(request, tenant_id, account_id) as (connection, is_first):
            if is_first:
                await gate_repository.limit_account(connection, account_id, limit)
            row = await _get_account(connection, tenant_id, account_id)
        self._admission.stir([], [(row.marketplace, tenant_id)])
        return rpc.SetLimitsResponse(account=account_gate_message(row))

    @asynccontextmanager
    async def _marketplace_change(
        self, request: Any, marketplace: str
    ) -> AsyncIterator[tuple[Connection, bool]]:
        async with self._change(request, NO_TENANT, marketplace) as (connection, is_first):
            if not await gate_repository.is_registered(connection, marketplace):
                raise NotFoundError(
                    f"No connector has registered the marketplace {marketplace!r}.",
                    reason="MARKETPLACE_NOT_FOUND",
                    metadata={"marketplace": marketplace},
                )
            await admission_repository.lock(connection, marketplace)
            yield connection, is_first

    @asynccontextmanager
    async def _account_change(
        self, request: Any, tenant_id: int, account_id: UUID
    ) -> AsyncIterator[tuple[Connection, bool]]:
        async with self._change(request, tenant_id, str(account_id)) as (connection, is_first):
            row = await _get_account(connection, tenant_id, account_id)
            await admission_repository.lock(connection, row.marketplace)
            yield connection, is_first

    @asynccontextmanager
    async def _change(
        self, request: Message, tenant_id: int, result_id: str
    ) -> AsyncIterator[tuple[Connection, bool]]:
        check_storable(request)
        mutation = describe_mutation(tenant_id, getattr(request, "request_id"), request, result_id)  # noqa: B009
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                first = await control_repository.claim(connection, mutation)
                if first is not None:
                    repeated_result(mutation, first)
                yield connection, first is None


async def _get_account(connection: Connection, tenant_id: int, account_id: UUID) -> Any:
    row = await gate_repository.find_account(connection, tenant_id, account_id)
    if row is None:
        raise NotFoundError(
            f"Tenant {tenant_id} has no account {account_id}.",
            reason="ACCOUNT_NOT_FOUND",
            metadata={"account_id": str(account_id)},
        )
    return row
