"""Accounts, their gates and their credentials."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, Uuid, any_, bindparam, case, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Account
from stoflow_orchestrator.models.connector import AccountGate
from stoflow_orchestrator.repositories.account_sync import AccountSyncRepository


def _accounts() -> Select[*tuple[Any, ...]]:
    # The gate's state is the one that counts: results of tasks change it without opening the tenant's schema.
    accounts: Select[*tuple[Any, ...]] = select(
        Account.account_id,
        Account.marketplace,
        Account.display_name,
        Account.sites,
        Account.settings,
        Account.price_rule,
        Account.price_rule_version,
        Account.price_rule_time,
        AccountGate.update_quiet_seconds,
        Account.create_time,
        Account.update_time,
        AccountGate.state,
        AccountGate.remote_account_id,
        case((AccountGate.rate_limit_time > func.now(), AccountGate.rate_limit_time)).label(
            "rate_limit_time"
        ),
        AccountGate.stop_reason,
    ).join(AccountGate, AccountGate.account_id == Account.account_id)
    return accounts


# Built once: building costs more than running it.
_FIND_ACCOUNTS = _accounts().where(Account.account_id == any_(bindparam("account_ids", type_=ARRAY(Uuid()))))


class AccountRepository:
    """Statements on a tenant's accounts and on public.account_gates, but for credentials."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def insert(
        self,
        tenant_id: int,
        account: dict[str, Any],
        *,
        state: str = "CONNECTED",
        remote_account_id: str = "",
        max_admitted_jobs: int | None = None,
        syncs_by_itself: bool = True,
    ) -> UUID | None:
        """Inserts an account and its gate.

        Returns:
            None, or the tenant's account that is this seller's already; then nothing was inserted.
        """
        gate = pg_insert(AccountGate).values(
            account_id=account["account_id"],
            tenant_id=tenant_id,
            marketplace=account["marketplace"],
            state=state,
            remote_account_id=remote_account_id,
            max_admitted_jobs=max_admitted_jobs,
        )
        inserted = await self._connection.execute(
            gate.on_conflict_do_nothing().returning(AccountGate.account_id)
        )
        if inserted.first() is None:
            return await self.find_seller(tenant_id, account["marketplace"], remote_account_id)
        await self._connection.execute(insert(Account).values(state=state, **account))
        await AccountSyncRepository(self._connection).insert(
            tenant_id, account["account_id"], is_automatic=syncs_by_itself
        )
        return None

    async def find_seller(self, tenant_id: int, marketplace: str, remote_account_id: str) -> UUID | None:
        """Returns the tenant's account of a seller."""
        found = await self._connection.execute(
            select(AccountGate.account_id).where(
                AccountGate.marketplace == marketplace,
                AccountGate.remote_account_id == remote_account_id,
                AccountGate.remote_account_id != "",
                AccountGate.tenant_id == tenant_id,
            )
        )
        return found.scalar_one_or_none()

    async def delete(self, account_id: UUID) -> None:
        """Deletes an account that was never connected, with its gate."""
        await self._connection.execute(delete(AccountGate).where(AccountGate.account_id == account_id))
        await self._connection.execute(delete(Account).where(Account.account_id == account_id))
        await AccountSyncRepository(self._connection).delete(account_id)

    async def expect_connection(self, account_id: UUID, seconds: float) -> None:
        """Lets a job that connects the account be admitted for so long, whatever the account's state."""
        await self._connection.execute(
            update(AccountGate)
            .where(AccountGate.account_id == account_id)
            .values(connect_until=func.clock_timestamp() + timedelta(seconds=seconds))
        )

    async def describe(
        self, account_id: UUID, *, display_name: str, sites: Sequence[str], settings: dict[str, Any]
    ) -> None:
        """Replaces what a seller or the marketplace said of an account."""
        await self._connection.execute(
            update(Account)
            .where(Account.account_id == account_id)
            .values(
                display_name=display_name,
                sites=list(sites),
                settings=settings,
                update_time=func.clock_timestamp(),
            )
        )

    async def set_seller(self, account_id: UUID, remote_account_id: str) -> None:
        """Stores the marketplace's id of the account's seller.

        Raises:
            IntegrityError: The seller has another account of the tenant.
        """
        await self._connection.execute(
            update(AccountGate)
            .where(AccountGate.account_id == account_id)
            .values(remote_account_id=remote_account_id)
        )

    async def find(self, account_id: UUID) -> Row[Any] | None:
        """Returns one account without its credentials."""
        found = await self._connection.execute(_accounts().where(Account.account_id == account_id))
        row: Row[Any] | None = found.first()
        return row

    async def find_all(self, account_ids: Collection[UUID]) -> dict[UUID, Row[Any]]:
        """Returns those of the accounts that exist, without their credentials."""
        found = await self._connection.execute(_FIND_ACCOUNTS, {"account_ids": list(account_ids)})
        return {row.account_id: row for row in found}

    async def list_page(self, before: tuple[datetime, UUID] | None, limit: int) -> Sequence[Row[Any]]:
        """Returns the next accounts without their credentials, newest first.

        Args:
            before: create_time and account_id of the last account of the page before.
            limit: Most rows.
        """
        statement = _accounts().order_by(Account.create_time.desc(), Account.account_id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(tuple_(Account.create_time, Account.account_id) < tuple_(*before))
        rows: Sequence[Row[Any]] = (await self._connection.execute(statement)).all()
        return rows

    async def lock(self, account_id: UUID) -> bool:
        """Makes others wait who change the account's state or credentials; tells whether it exists.

        The gate comes first and alone: whoever makes jobs wait for a reconnection holds it as well, so none
        begins to wait for the one that is just happening.
        """
        found = await self._connection.execute(
            select(Account.account_id)
            .join(AccountGate, AccountGate.account_id == Account.account_id)
            .where(Account.account_id == account_id)
            .with_for_update(of=AccountGate)
        )
        return found.first() is not None

    async def set_price_rule(self, account_id: UUID, rule: dict[str, Any] | None, version: int) -> bool:
        """Replaces an account's price rule if it still has this version; tells whether it had."""
        updated = await self._connection.execute(
            update(Account)
            .where(Account.account_id == account_id, Account.price_rule_version == version)
            .values(
                price_rule=rule,
                price_rule_version=Account.price_rule_version + 1,
                # Not now(): that is when this transaction began, before it waited for the row.
                price_rule_time=func.clock_timestamp(),
            )
            .returning(Account.account_id)
        )
        return updated.first() is not None

    async def set_update_quiet_seconds(self, account_id: UUID, quiet_seconds: int | None) -> bool:
        """Sets how long a product must rest before its listings follow; tells whether there is such an account."""
        updated = await self._connection.execute(
            update(AccountGate)
            .where(
                AccountGate.account_id == account_id,
                # In the tenant's schema: a gate alone does not say that the account is the tenant's.
                select(Account.account_id).where(Account.account_id == account_id).exists(),
            )
            .values(update_quiet_seconds=quiet_seconds)
            .returning(AccountGate.account_id)
        )
        return updated.first() is not None

    async def set_state(self, account_id: UUID, state: str, stop_reason: str | None = None) -> None:
        """Sets CONNECTED, just authorized, or RECONNECT_REQUIRED, for callers and for admission alike."""
        gate: dict[str, Any] = {"state": state, "stop_reason": stop_reason}
        if state == "CONNECTED":
            gate["connect_time"] = func.clock_timestamp()
            gate["connect_until"] = None
        await self._connection.execute(
            update(AccountGate).where(AccountGate.account_id == account_id).values(gate)
        )
        await self._connection.execute(
            update(Account).where(Account.account_id == account_id).values(state=state)
        )
