"""Whether and how often accounts are synchronized by themselves."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row
from stoflow.accounts.v1 import account_pb2
from stoflow.accounts.v1.account_service_pb2 import GetSyncPoliciesRequest, SetSyncPolicyRequest

from stoflow_orchestrator.messages.times import to_timestamp
from stoflow_orchestrator.repositories.account_sync import AccountSyncRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.services.accounts import get_account
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError

_KIND_PREFIX = "SYNC_KIND_"


class SyncPolicies:
    """Serves GetSyncPolicies and SetSyncPolicy."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants

    async def list(self, request: GetSyncPoliciesRequest) -> list[account_pb2.SyncPolicy]:
        """Returns an account's policies, orders first.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        await self._tenants.require(request.tenant_id)
        account_id = UUID(request.account_id)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            await get_account(connection, account_id)
            rows = await AccountSyncRepository(connection).list(account_id)
        return [_message(row) for row in rows]

    async def set(self, request: SetSyncPolicyRequest) -> account_pb2.SyncPolicy:
        """Sets a policy and returns it.

        Raises:
            InvalidArgumentError: An interval of parts of seconds.
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        if request.interval.nanos:
            raise InvalidArgumentError([FieldViolation("interval", "must be whole seconds")])
        await self._tenants.require(request.tenant_id)
        account_id = UUID(request.account_id)
        kind = account_pb2.SyncKind.Name(request.kind).removeprefix(_KIND_PREFIX)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(account_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            is_first = await claim_mutation(connection, mutation) is None
            account = await get_account(connection, account_id)
            syncs = AccountSyncRepository(connection)
            if is_first and account.state != "ERASED":
                await syncs.insert(request.tenant_id, account_id)
                await syncs.set_policy(
                    account_id,
                    kind,
                    is_automatic=request.is_automatic,
                    interval_seconds=request.interval.seconds if request.HasField("interval") else None,
                )
            rows = await syncs.list(account_id)
        messages = {row.kind: _message(row) for row in rows}
        return messages.get(kind, account_pb2.SyncPolicy(kind=request.kind))


def _message(row: Row[Any]) -> account_pb2.SyncPolicy:
    message = account_pb2.SyncPolicy(
        kind=account_pb2.SyncKind.Value(_KIND_PREFIX + row.kind), is_automatic=row.is_automatic
    )
    message.interval.FromSeconds(row.interval_seconds)
    if row.due_time is not None:
        message.next_time.CopyFrom(to_timestamp(row.due_time))
    return message
