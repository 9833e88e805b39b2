"""What marketplaces tell of sellers' accounts: a hint, never the truth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.connector.v1 import connector_service_pb2 as rpc

from stoflow_orchestrator.messages.times import to_datetime
from stoflow_orchestrator.repositories.account_sync import AccountSyncRepository, list_seller_gates
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.hint import HintRepository
from stoflow_orchestrator.services.accounts import newest_manifest
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

_SYNC_KINDS = {rpc.HINT_KIND_ORDERS: "ORDERS", rpc.HINT_KIND_LISTINGS: "LISTINGS"}
# A tenant that is being migrated must not hold the others up; the marketplace sends again.
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '2s'")


class HintService:
    """Serves SubmitHint and EraseAccountData; each is one transaction over all tenants of the seller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, request: rpc.SubmitHintRequest) -> rpc.SubmitHintResponse:
        """Takes a hint, once.

        Raises:
            NotFoundError: MARKETPLACE_NOT_FOUND.
        """
        check_storable(request)
        async with self._database.public_transaction() as connection:
            await connection.execute(_LOCK_TIMEOUT)
            await newest_manifest(connection, request.marketplace)
            if not await HintRepository(connection).take(request.marketplace, request.hint_id):
                return rpc.SubmitHintResponse(is_new=False)
            count = await self._follow(connection, request)
        # The seller's id is theirs; the notification's names it well enough.
        log.info(
            "hint_taken",
            marketplace=request.marketplace,
            hint_id=request.hint_id,
            kind=rpc.HintKind.Name(request.kind),
            accounts=count,
        )
        return rpc.SubmitHintResponse(is_new=True, account_count=count)

    async def _follow(self, connection: AsyncConnection, request: rpc.SubmitHintRequest) -> int:
        if request.kind == rpc.HINT_KIND_ACCOUNT_DELETED:
            return await _erase(connection, request.marketplace, request.remote_account_id)
        gates = await list_seller_gates(connection, request.marketplace, request.remote_account_id)
        if request.kind == rpc.HINT_KIND_AUTHORIZATION_REVOKED:
            occur_time = to_datetime(request.occur_time) if request.HasField("occur_time") else None
            return await _revoke(connection, gates, occur_time)
        await AccountSyncRepository(connection).hint(
            [gate.account_id for gate in gates], _SYNC_KINDS[request.kind]
        )
        return len(gates)

    async def erase(self, request: rpc.EraseAccountDataRequest) -> int:
        """Erases a seller's data from every tenant's account; returns how many accounts those were."""
        check_storable(request)
        async with self._database.public_transaction() as connection:
            await connection.execute(_LOCK_TIMEOUT)
            return await _erase(connection, request.marketplace, request.remote_account_id)


async def _revoke(connection: AsyncConnection, gates: Sequence[Row[Any]], occur_time: datetime | None) -> int:
    # What was revoked before the newest authorization is another one.
    revoked = [
        gate
        for gate in gates
        if gate.state == "CONNECTED" and (occur_time is None or gate.connect_time <= occur_time)
    ]
    for gate in revoked:
        await HintRepository(connection).require_reconnection(gate.tenant_id, gate.account_id)
    return len(revoked)


async def _erase(connection: AsyncConnection, marketplace: str, remote_account_id: str) -> int:
    hints = HintRepository(connection)
    await hints.drop_connections(marketplace, remote_account_id)
    gates = await list_seller_gates(connection, marketplace, remote_account_id)
    for gate in gates:
        await hints.erase(gate.tenant_id, gate.account_id, marketplace)
        log.info("account_erased", tenant_id=gate.tenant_id, account_id=str(gate.account_id))
    return len(gates)
