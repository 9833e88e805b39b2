"""Hints of marketplaces that were taken, and erasures of sellers' data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuid_utils
from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.models.base import TENANT_SCHEMA
from stoflow_orchestrator.models.catalog import Account
from stoflow_orchestrator.models.connection import (
    AccountConnection,
    AccountErasure,
    AccountSync,
    ReceivedHint,
)
from stoflow_orchestrator.models.connector import AccountGate
from stoflow_orchestrator.models.listing_update import DueListingUpdate
from stoflow_orchestrator.models.live import LiveJob
from stoflow_orchestrator.models.session import AccountSession, Pairing, PairingCode

LIVE_STATES = ("PENDING", "RUNNING", "PAUSED")


def _of_tenant(tenant_id: int) -> dict[str, Any]:
    # By statement: a transaction goes over the tenants of one seller.
    return {"schema_translate_map": {TENANT_SCHEMA: tenant_schema(tenant_id)}}


class HintRepository:
    """Statements that one notification of a marketplace may cause, over all tenants."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self, marketplace: str, hint_id: str) -> bool:
        """Records a hint; tells whether it is new. The same one at the same time is waited for."""
        statement = pg_insert(ReceivedHint).values(marketplace=marketplace, hint_id=hint_id)
        taken = await self._connection.execute(
            statement.on_conflict_do_nothing().returning(ReceivedHint.hint_id)
        )
        return taken.first() is not None

    async def require_reconnection(self, tenant_id: int, account_id: UUID) -> None:
        """Closes a connected account."""
        await self._connection.execute(
            update(AccountGate).where(AccountGate.account_id == account_id).values(state="RECONNECT_REQUIRED")
        )
        await self._connection.execute(
            update(Account)
            .where(Account.account_id == account_id)
            .values(state="RECONNECT_REQUIRED", update_time=func.clock_timestamp()),
            execution_options=_of_tenant(tenant_id),
        )

    async def drop_connections(self, marketplace: str, remote_account_id: str) -> None:
        """Drops the open consents of a seller's accounts, before the gates are locked: the order everywhere."""
        accounts = select(AccountGate.account_id).where(
            AccountGate.marketplace == marketplace, AccountGate.remote_account_id == remote_account_id
        )
        await self._connection.execute(
            delete(AccountConnection).where(AccountConnection.account_id.in_(accounts))
        )

    async def erase(self, tenant_id: int, account_id: UUID, marketplace: str) -> None:
        """Erases what identifies the seller, and records that it was done."""
        await self._connection.execute(
            update(AccountGate)
            .where(AccountGate.account_id == account_id)
            .values(state="ERASED", remote_account_id="", connect_until=None, pause_reason="")
        )
        await self._connection.execute(
            update(Account)
            .where(Account.account_id == account_id)
            .values(
                state="ERASED",
                display_name="",
                settings={},
                credentials=None,
                access_token_expire_time=None,
                grant_id=None,
                grant_instance_id=None,
                grant_expire_time=None,
                update_time=func.clock_timestamp(),
            ),
            execution_options=_of_tenant(tenant_id),
        )
        for table in (AccountSync, DueListingUpdate, AccountSession, Pairing, PairingCode):
            await self._connection.execute(delete(table).where(table.account_id == account_id))
        await self._connection.execute(
            insert(AccountErasure).values(
                erasure_id=uuid_utils.uuid7(),
                tenant_id=tenant_id,
                account_id=account_id,
                marketplace=marketplace,
            )
        )

    async def list_unfinished(self, limit: int) -> Sequence[Row[Any]]:
        """Returns erasures whose accounts may still have live jobs, oldest first."""
        statement: Select[*tuple[Any, ...]] = select(
            AccountErasure.erasure_id, AccountErasure.tenant_id, AccountErasure.account_id
        )
        found = await self._connection.execute(
            statement.where(AccountErasure.finish_time.is_(None))
            .order_by(AccountErasure.erasure_id)
            .limit(limit)
        )
        return found.all()

    async def list_live_jobs(self, tenant_id: int, account_id: UUID, limit: int) -> Sequence[UUID]:
        """Returns live jobs of an account."""
        found = await self._connection.execute(
            select(LiveJob.job_id)
            .where(
                LiveJob.tenant_id == tenant_id,
                LiveJob.account_id == account_id,
                LiveJob.state.in_(LIVE_STATES),
            )
            .order_by(LiveJob.job_id)
            .limit(limit)
        )
        return found.scalars().all()

    async def finish_erasure(self, erasure_id: UUID) -> None:
        """Records that nothing of the account is under way any more."""
        await self._connection.execute(
            update(AccountErasure)
            .where(AccountErasure.erasure_id == erasure_id, AccountErasure.finish_time.is_(None))
            .values(finish_time=func.clock_timestamp())
        )
