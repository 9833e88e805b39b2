"""Credentials of accounts, the right to refresh them, and the leases that give access to them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, case, func, literal_column, null, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Account
from stoflow_orchestrator.models.connector import AccountGate
from stoflow_orchestrator.models.live import LiveJob, LiveTask

# A grant that has done its work; one that ran out may still do it, for as long as it is the newest.
_SPENT: ColumnElement[datetime] = literal_column("'-infinity'::timestamptz")


def _credentials() -> Select[*tuple[Any, ...]]:
    # PostgreSQL's clock is the only one: replicas' own may differ.
    credentials: Select[*tuple[Any, ...]] = select(
        Account.credentials,
        Account.access_token_expire_time,
        Account.grant_id,
        Account.grant_instance_id,
        func.isfinite(Account.grant_expire_time).label("is_grant_unspent"),
        AccountGate.state,
        func.now().label("read_time"),
    ).join(AccountGate, AccountGate.account_id == Account.account_id)
    return credentials


class CredentialRepository:
    """Statements on the sealed credentials and grants in a tenant's accounts."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def holds_lease(
        self,
        *,
        tenant_id: int,
        account_id: UUID,
        job_id: UUID,
        task_id: UUID,
        lease_token: UUID,
        instance_id: UUID,
        action: str | None = None,
    ) -> bool:
        """Tells whether the instance runs this task, and the task works for this account; by this action, if given."""
        found = await self._connection.execute(
            select(LiveTask.task_id)
            .join(LiveJob, LiveJob.job_id == LiveTask.job_id)
            .where(
                LiveTask.task_id == task_id,
                LiveTask.job_id == job_id,
                LiveTask.state == "RUNNING",
                LiveTask.lease_token == lease_token,
                LiveTask.instance_id == instance_id,
                LiveJob.tenant_id == tenant_id,
                LiveJob.account_id == account_id,
                true() if action is None else LiveJob.action == action,
            )
        )
        return found.first() is not None

    async def find(self, account_id: UUID) -> Row[Any] | None:
        """Returns the sealed credentials with their grant."""
        found = await self._connection.execute(_credentials().where(Account.account_id == account_id))
        row: Row[Any] | None = found.first()
        return row

    async def lock(self, account_id: UUID) -> Row[Any] | None:
        """Returns what `find` does and makes others wait who change the credentials or the gate."""
        # The gate first, in a statement of its own: a join locks in an order of the planner's choice.
        await self._connection.execute(
            select(AccountGate.account_id).where(AccountGate.account_id == account_id).with_for_update()
        )
        found = await self._connection.execute(
            _credentials().where(Account.account_id == account_id).with_for_update(of=Account)
        )
        row: Row[Any] | None = found.first()
        return row

    async def claim_grant(
        self, account_id: UUID, seen_credentials: bytes, instance_id: UUID, grant_id: UUID, lease: timedelta
    ) -> UUID | None:
        """Takes the right to refresh, if it is free or the instance's own already.

        Args:
            account_id: The account.
            seen_credentials: What the caller judged; if it was changed since, nothing is taken.
            instance_id: Who asks.
            grant_id: Names the grant, unless the instance holds one: it keeps that.
            lease: How long it holds from now on.

        Returns:
            The grant's id, or None.
        """
        alive = Account.grant_expire_time > func.now()
        mine = Account.grant_instance_id == instance_id
        claimed = await self._connection.execute(
            update(Account)
            .where(
                Account.account_id == account_id,
                Account.credentials == seen_credentials,
                or_(Account.grant_id.is_(None), ~alive, mine),
            )
            .values(
                grant_id=case((alive & mine, Account.grant_id), else_=grant_id),
                grant_instance_id=instance_id,
                grant_expire_time=func.now() + lease,
            )
            .returning(Account.grant_id)
        )
        return claimed.scalar_one_or_none()

    async def spend_grant(self, account_id: UUID) -> None:
        """Ends the grant but remembers it, so that its holder's repeated answer is recognized."""
        await self._connection.execute(
            update(Account).where(Account.account_id == account_id).values(grant_expire_time=_SPENT)
        )

    async def store_refreshed(self, account_id: UUID, sealed: bytes, expire_time: datetime) -> None:
        """Stores refreshed tokens and ends the grant, in one statement."""
        await self._connection.execute(
            update(Account)
            .where(Account.account_id == account_id)
            .values(
                credentials=sealed,
                access_token_expire_time=expire_time,
                grant_expire_time=_SPENT,
                update_time=func.now(),
            )
        )

    async def replace(self, account_id: UUID, sealed: bytes, expire_time: datetime | None) -> None:
        """Stores credentials from a new authorization; whoever refreshes the old ones loses the grant."""
        await self._connection.execute(
            update(Account)
            .where(Account.account_id == account_id)
            .values(
                credentials=sealed,
                access_token_expire_time=expire_time,
                grant_id=null(),
                grant_instance_id=null(),
                grant_expire_time=null(),
                update_time=func.clock_timestamp(),
            )
        )
