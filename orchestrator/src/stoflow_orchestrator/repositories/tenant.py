"""Tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from stoflow_orchestrator.models.tenancy import Tenant

TENANT_ID_SEQUENCE = "public.tenants_tenant_id_seq"


class TenantRepository:
    """Statements on public.tenants."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def insert(self, tenant_id: int, display_name: str) -> bool:
        """Inserts a tenant that is being provisioned; tells whether the id was free."""
        inserted = await self._connection.execute(
            insert(Tenant)
            .values(tenant_id=tenant_id, display_name=display_name, state="PROVISIONING")
            .on_conflict_do_nothing()
            .returning(Tenant.tenant_id)
        )
        return inserted.first() is not None

    async def insert_next(self, display_name: str) -> int:
        """Inserts a tenant that is being provisioned under an id that nobody has; returns the id."""
        while True:
            tenant_id: int = await self._scalar(text("SELECT nextval(CAST(:name AS regclass))"))
            if await self.insert(tenant_id, display_name):
                return tenant_id
            await self._skip_taken(tenant_id)

    async def _skip_taken(self, tenant_id: int) -> None:
        # Callers' own ids may lie in the sequence's way by the thousand: it jumps to the end of their run. A
        # jump back past another process costs both a conflict, never an id.
        following = aliased(Tenant)
        last_of_run = select(func.min(Tenant.tenant_id)).where(
            Tenant.tenant_id >= tenant_id,
            ~select(following.tenant_id)
            .where(following.tenant_id == Tenant.tenant_id + 1)
            .correlate(Tenant)
            .exists(),
        )
        await self._connection.execute(
            select(func.setval(literal(TENANT_ID_SEQUENCE), last_of_run.scalar_subquery()))
        )

    async def _scalar(self, statement: Any) -> Any:
        return (await self._connection.execute(statement, {"name": TENANT_ID_SEQUENCE})).scalar_one()

    async def find(self, tenant_id: int) -> Row[Any] | None:
        """Returns a tenant, ready or not."""
        return (await self._connection.execute(select(Tenant).where(Tenant.tenant_id == tenant_id))).first()

    async def is_ready(self, tenant_id: int) -> bool:
        """Tells whether the tenant exists and its schema can be used."""
        found = await self._connection.execute(
            select(Tenant.tenant_id).where(Tenant.tenant_id == tenant_id, Tenant.state == "READY")
        )
        return found.first() is not None

    async def mark_ready(self, tenant_id: int) -> None:
        """Says that the tenant's schema can be used."""
        await self._connection.execute(
            update(Tenant).where(Tenant.tenant_id == tenant_id).values(state="READY")
        )

    async def list_page(self, after: int, limit: int) -> Sequence[Row[Any]]:
        """Returns the next ready tenants above an id, ordered by id."""
        rows = await self._connection.execute(
            select(Tenant)
            .where(Tenant.tenant_id > after, Tenant.state == "READY")
            .order_by(Tenant.tenant_id)
            .limit(limit)
        )
        return rows.all()
