"""What a running sync may know of its account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Result, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Listing, Product
from stoflow_orchestrator.models.history import MarketplaceJob
from stoflow_orchestrator.models.live import LiveJob, LiveTask

LIVE = "LIVE"
COMPLETED = "COMPLETED"


class SyncStateRepository:
    """Statements seen from a lease."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find_subject(
        self, *, tenant_id: int, job_id: UUID, task_id: UUID, lease_token: UUID, instance_id: UUID
    ) -> Row[Any] | None:
        """Returns account_id, action and site of the job whose task the instance runs; None without that lease."""
        found: Result[Any] = await self._connection.execute(
            select(LiveJob.account_id, LiveJob.action, LiveJob.site)
            .join(LiveTask, LiveTask.job_id == LiveJob.job_id)
            .where(
                LiveTask.task_id == task_id,
                LiveTask.job_id == job_id,
                LiveTask.state == "RUNNING",
                LiveTask.lease_token == lease_token,
                LiveTask.instance_id == instance_id,
                LiveJob.tenant_id == tenant_id,
            )
        )
        return found.first()

    async def find_last_complete_time(self, account_id: UUID, action: str, site: str) -> datetime | None:
        """Returns when the newest completed job of a subject was created, archived or not yet."""
        # A job's id begins with the time of its creation, so the index of the account has them in order.
        found = await self._connection.execute(
            _newest(MarketplaceJob, account_id, action, site).union_all(
                _newest(LiveJob, account_id, action, site)
            )
        )
        return max((row.create_time for row in found), default=None)

    async def list_live(
        self, account_id: UUID, site: str, after_remote_id: str, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns remote_id and sku of LIVE listings in the order of their remote ids."""
        wanted: list[ColumnElement[bool]] = [
            Listing.account_id == account_id,
            Listing.state == LIVE,
            Listing.remote_id > after_remote_id,
        ]
        if site:
            wanted.append(Listing.site == site)
        found: Result[Any] = await self._connection.execute(
            select(
                Listing.remote_id, func.coalesce(func.nullif(Listing.sku, ""), Product.sku, "").label("sku")
            )
            .outerjoin(Product, Product.product_id == Listing.product_id)
            .where(*wanted)
            .order_by(Listing.remote_id)
            .limit(limit)
        )
        return found.all()


def _newest(
    table: type[MarketplaceJob | LiveJob], account_id: UUID, action: str, site: str
) -> Select[tuple[datetime]]:
    newest = (
        select(table.create_time)
        .where(
            table.account_id == account_id,
            table.action == action,
            table.site == site,
            table.state == COMPLETED,
        )
        .order_by(table.job_id.desc())
        .limit(1)
        .subquery()
    )
    return select(newest.c.create_time)
