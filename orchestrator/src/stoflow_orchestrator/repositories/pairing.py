"""Pairing codes and pairings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, and_, func, insert, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.session import AccountSession, Pairing, PairingCode


class PairingRepository:
    """Statements on public.pairing_codes and public.pairings."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def insert_code(
        self, code_id: UUID, tenant_id: int, account_id: UUID, digest: bytes, sealed: bytes, life: timedelta
    ) -> None:
        """Stores a code."""
        await self._connection.execute(
            insert(PairingCode).values(
                code_id=code_id,
                tenant_id=tenant_id,
                account_id=account_id,
                code_sha256=digest,
                sealed_code=sealed,
                expire_time=func.now() + literal(life),
            )
        )

    async def find_code(self, code_id: UUID) -> Row[Any] | None:
        """Returns a code that is good: sealed_code, expire_time."""
        found = await self._connection.execute(
            select(PairingCode.sealed_code, PairingCode.expire_time).where(
                PairingCode.code_id == code_id,
                PairingCode.pairing_id.is_(None),
                PairingCode.expire_time > func.now(),
            )
        )
        return cast("Row[Any] | None", found.first())

    async def lock_code(self, digest: bytes) -> Row[Any] | None:
        """Returns a code, used or not, that has not ended, and makes others wait who would use it."""
        found = await self._connection.execute(
            select(PairingCode.code_id, PairingCode.tenant_id, PairingCode.account_id, PairingCode.pairing_id)
            .where(PairingCode.code_sha256 == digest, PairingCode.expire_time > func.now())
            .with_for_update()
        )
        return cast("Row[Any] | None", found.first())

    async def use_code(self, code_id: UUID, pairing_id: UUID) -> None:
        """Marks a code as exchanged."""
        await self._connection.execute(
            update(PairingCode)
            .where(PairingCode.code_id == code_id)
            .values(pairing_id=pairing_id, sealed_code=b"")
        )

    async def insert(self, pairing: dict[str, Any]) -> None:
        """Stores a pairing."""
        await self._connection.execute(insert(Pairing).values(**pairing))

    async def connect(self, digest: bytes, marketplace: str, client_id: UUID) -> Row[Any] | None:
        """Notes that a paired browser connects; None when its secret is good for nothing here."""
        found = await self._connection.execute(
            update(Pairing)
            .where(
                Pairing.token_sha256 == digest,
                Pairing.marketplace == marketplace,
                Pairing.client_id == client_id,
                Pairing.revoke_time.is_(None),
            )
            .values(connect_time=func.now())
            .returning(Pairing.pairing_id, Pairing.tenant_id, Pairing.account_id)
        )
        return cast("Row[Any] | None", found.first())

    async def list_page(
        self, tenant_id: int, account_id: UUID, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns an account's next pairings that hold, newest first, with whether each has the session."""
        holds = and_(
            AccountSession.account_id == Pairing.account_id,
            AccountSession.pairing_id == Pairing.pairing_id,
            AccountSession.expire_time > func.now(),
        )
        statement = (
            select(
                Pairing.pairing_id,
                Pairing.account_id,
                Pairing.client_name,
                Pairing.create_time,
                Pairing.connect_time,
                AccountSession.account_id.is_not(None).label("is_active"),
            )
            .outerjoin(AccountSession, holds)
            .where(
                Pairing.tenant_id == tenant_id,
                Pairing.account_id == account_id,
                Pairing.revoke_time.is_(None),
            )
            .order_by(Pairing.create_time.desc(), Pairing.pairing_id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(tuple_(Pairing.create_time, Pairing.pairing_id) < tuple_(*before))
        return cast("Sequence[Row[Any]]", (await self._connection.execute(statement)).all())

    async def revoke(
        self, pairing_id: UUID, *, tenant_id: int | None = None, digest: bytes | None = None
    ) -> bool:
        """Revokes a pairing and ends its session; tells whether there is one, of this tenant or secret if named."""
        statement = update(Pairing).where(Pairing.pairing_id == pairing_id)
        if tenant_id is not None:
            statement = statement.where(Pairing.tenant_id == tenant_id)
        if digest is not None:
            statement = statement.where(Pairing.token_sha256 == digest)
        found = await self._connection.execute(
            statement.values(revoke_time=func.coalesce(Pairing.revoke_time, func.now())).returning(
                Pairing.pairing_id
            )
        )
        if found.first() is None:
            return False
        await self._connection.execute(
            update(AccountSession)
            .where(AccountSession.pairing_id == pairing_id)
            .values(instance_id=None, expire_time=None)
        )
        return True
