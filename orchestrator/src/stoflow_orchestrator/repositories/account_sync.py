"""When accounts are synchronized: policies, hints, and what is due."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Uuid,
    any_,
    case,
    delete,
    func,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy import update as sql_update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.connection import AccountSync
from stoflow_orchestrator.models.connector import AccountGate

DEFAULT_INTERVAL_SECONDS = {"ORDERS": 15 * 60, "LISTINGS": 24 * 60 * 60}
KINDS = tuple(DEFAULT_INTERVAL_SECONDS)
_SECOND: ColumnElement[Any] = literal_column("interval '1 second'")

# SKIP LOCKED: two orchestrators look at once, and neither should wait.
_CLAIM = text("""
    UPDATE public.account_syncs AS s SET due_time = clock_timestamp() + make_interval(secs => :seconds)
      FROM (SELECT account_id, kind FROM public.account_syncs
             WHERE due_time <= now() ORDER BY due_time LIMIT :limit FOR UPDATE SKIP LOCKED) AS due
      JOIN public.account_gates AS g USING (account_id)
     WHERE (s.account_id, s.kind) = (due.account_id, due.kind)
    RETURNING s.tenant_id, s.account_id, s.kind, s.sync_id, s.is_hinted, g.marketplace, g.state""")


def _after(interval: ColumnElement[int]) -> ColumnElement[Any]:
    # A tenth more or less, so that accounts that began together part.
    return func.clock_timestamp() + interval * (0.9 + 0.2 * func.random()) * _SECOND


class AccountSyncRepository:
    """Statements on public.account_syncs."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def insert(self, tenant_id: int, account_id: UUID, *, is_automatic: bool = True) -> None:
        """Plans an account's syncs as they are from the start; the first comes after a whole interval, if by itself."""
        rows = [
            {
                "account_id": account_id,
                "kind": kind,
                "tenant_id": tenant_id,
                "is_automatic": is_automatic,
                "interval_seconds": seconds,
                "due_time": _after(literal(seconds)) if is_automatic else None,
                "sync_id": func.gen_random_uuid(),
                "is_hinted": False,
            }
            for kind, seconds in DEFAULT_INTERVAL_SECONDS.items()
        ]
        await self._connection.execute(insert(AccountSync).values(rows).on_conflict_do_nothing())

    async def delete(self, account_id: UUID) -> None:
        """Forgets an account's syncs."""
        await self._connection.execute(delete(AccountSync).where(AccountSync.account_id == account_id))

    async def list(self, account_id: UUID) -> Sequence[Row[Any]]:
        """Returns an account's policies, orders first."""
        statement: Select[*tuple[Any, ...]] = select(
            AccountSync.kind, AccountSync.is_automatic, AccountSync.interval_seconds, AccountSync.due_time
        )
        found = await self._connection.execute(
            statement.where(AccountSync.account_id == account_id).order_by(AccountSync.kind.desc())
        )
        return found.all()

    async def set_policy(
        self, account_id: UUID, kind: str, *, is_automatic: bool, interval_seconds: int | None
    ) -> None:
        """Sets a policy, and when the next sync is due by it; one that a hint asked for stays due."""
        interval: ColumnElement[int] = AccountSync.interval_seconds + 0
        if interval_seconds is not None:
            interval = literal(interval_seconds)
        planned = func.least(AccountSync.due_time, _after(interval)) if is_automatic else None
        await self._connection.execute(
            sql_update(AccountSync)
            .where(AccountSync.account_id == account_id, AccountSync.kind == kind)
            .values(
                is_automatic=is_automatic,
                interval_seconds=interval,
                due_time=case((AccountSync.is_hinted, AccountSync.due_time), else_=planned),
            )
        )

    async def hint(self, account_ids: Collection[UUID], kind: str) -> None:
        """Makes syncs due now; one that is being made just now is followed by another."""
        await self._connection.execute(
            sql_update(AccountSync)
            .where(
                AccountSync.account_id == any_(literal(list(account_ids), ARRAY(Uuid()))),
                AccountSync.kind == kind,
            )
            .values(due_time=func.clock_timestamp(), sync_id=func.gen_random_uuid(), is_hinted=True)
        )

    async def claim(self, limit: int, seconds: float) -> Sequence[Row[Any]]:
        """Returns syncs that are due; who does not finish one in these seconds leaves it to others."""
        return (await self._connection.execute(_CLAIM, {"limit": limit, "seconds": seconds})).all()

    async def finish(self, sync_id: UUID) -> None:
        """Plans the next sync after one; a hint that came meanwhile has given it another id, and stays due."""
        await self._connection.execute(
            sql_update(AccountSync)
            .where(AccountSync.sync_id == sync_id)
            .values(
                due_time=case((AccountSync.is_automatic, _after(AccountSync.interval_seconds + 0))),
                sync_id=func.gen_random_uuid(),
                is_hinted=False,
            )
        )

    async def put_off(self, sync_id: UUID, seconds: float) -> None:
        """Makes a sync due later."""
        await self._connection.execute(
            sql_update(AccountSync)
            .where(AccountSync.sync_id == sync_id)
            .values(due_time=func.clock_timestamp() + seconds * _SECOND)
        )


async def list_seller_gates(
    connection: AsyncConnection, marketplace: str, remote_account_id: str
) -> Sequence[Row[Any]]:
    """Returns the gates of a seller's accounts over all tenants, locked in the order of their ids."""
    statement: Select[*tuple[Any, ...]] = select(
        AccountGate.account_id, AccountGate.tenant_id, AccountGate.state, AccountGate.connect_time
    )
    found = await connection.execute(
        statement.where(
            AccountGate.marketplace == marketplace,
            AccountGate.remote_account_id == remote_account_id,
            AccountGate.remote_account_id != "",
        )
        .order_by(AccountGate.account_id)
        .with_for_update()
    )
    return found.all()
