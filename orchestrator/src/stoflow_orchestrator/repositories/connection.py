"""Consents that sellers were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, delete, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.connection import AccountConnection

_SECOND: ColumnElement[Any] = literal_column("interval '1 second'")
_COLUMNS = (
    AccountConnection.connection_id,
    AccountConnection.tenant_id,
    AccountConnection.account_id,
    AccountConnection.status,
    AccountConnection.redirect_uri,
    AccountConnection.secret,
    AccountConnection.expire_time,
)


class ConnectionRepository:
    """Statements on public.account_connections."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self, consent: dict[str, Any], seconds: float) -> datetime:
        """Stores a consent to be asked for in place of the account's earlier one; returns until when it holds."""
        values = {
            **consent,
            "status": "CONSENT",
            "expire_time": func.clock_timestamp() + seconds * _SECOND,
            "create_time": func.clock_timestamp(),
        }
        statement = insert(AccountConnection).values(values)
        replaced = {name: statement.excluded[name] for name in values if name != "account_id"}
        stored = await self._connection.execute(
            statement.on_conflict_do_update(index_elements=["account_id"], set_=replaced).returning(
                AccountConnection.expire_time
            )
        )
        expire_time: datetime = stored.scalar_one()
        return expire_time

    async def find(self, connection_id: UUID) -> Row[Any] | None:
        """Returns a consent that is not over."""
        return await self._first(AccountConnection.connection_id == connection_id, lock=False)

    async def find_of_account(self, account_id: UUID) -> Row[Any] | None:
        """Returns the account's consent, if it is not over."""
        return await self._first(AccountConnection.account_id == account_id, lock=False)

    async def lock(self, connection_id: UUID) -> Row[Any] | None:
        """Returns a consent that is not over and makes others wait who change it."""
        return await self._first(AccountConnection.connection_id == connection_id, lock=True)

    async def lock_by_state(self, state_sha256: bytes) -> Row[Any] | None:
        """Returns the consent with this state, if it is not over, and makes others wait who change it."""
        return await self._first(AccountConnection.state_sha256 == state_sha256, lock=True)

    async def _first(self, condition: ColumnElement[bool], *, lock: bool) -> Row[Any] | None:
        statement: Select[*tuple[Any, ...]] = select(*_COLUMNS)
        statement = statement.where(condition, AccountConnection.expire_time > func.clock_timestamp())
        found = await self._connection.execute(statement.with_for_update() if lock else statement)
        row: Row[Any] | None = found.first()
        return row

    async def keep_code(self, connection_id: UUID, sealed: bytes, seconds: float) -> None:
        """Stores the code; the connection is to be made within so many seconds."""
        await self._connection.execute(
            update(AccountConnection)
            .where(AccountConnection.connection_id == connection_id)
            .values(status="CODE", secret=sealed, expire_time=func.clock_timestamp() + seconds * _SECOND)
        )

    async def settle(self, connection_id: UUID, status: str) -> None:
        """Ends a consent, CONNECTED or REFUSED, and forgets its secrets; until its time is over it is remembered."""
        await self._connection.execute(
            update(AccountConnection)
            .where(AccountConnection.connection_id == connection_id)
            .values(status=status, secret=None)
        )

    async def delete(self, connection_id: UUID) -> None:
        """Forgets a consent."""
        await self._connection.execute(
            delete(AccountConnection).where(AccountConnection.connection_id == connection_id)
        )

    async def list_expired(self, limit: int) -> Sequence[Row[Any]]:
        """Returns consents whose time is over, oldest first."""
        statement: Select[*tuple[Any, ...]] = select(*_COLUMNS)
        found = await self._connection.execute(
            statement.where(AccountConnection.expire_time <= func.clock_timestamp())
            .order_by(AccountConnection.expire_time)
            .limit(limit)
        )
        return found.all()

    async def lock_expired(self, connection_id: UUID) -> bool:
        """Takes a consent whose time is over, unless somebody has it; tells whether it was there."""
        found = await self._connection.execute(
            select(AccountConnection.connection_id)
            .where(
                AccountConnection.connection_id == connection_id,
                AccountConnection.expire_time <= func.clock_timestamp(),
            )
            .with_for_update(skip_locked=True)
        )
        return found.first() is not None
