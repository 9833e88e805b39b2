"""What a running task may know of its product's listings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Result, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Listing
from stoflow_orchestrator.models.live import LiveJob, LiveTask

MAX_LISTINGS = 100


class ProductListingRepository:
    """Statements on a tenant's listings, seen from a lease."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find_subject(
        self, *, tenant_id: int, job_id: UUID, task_id: UUID, lease_token: UUID, instance_id: UUID
    ) -> Row[Any] | None:
        """Returns account_id and product_id of the job whose task the instance runs; None without that lease."""
        found: Result[Any] = await self._connection.execute(
            select(LiveJob.account_id, LiveJob.product_id)
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

    async def list_listings(self, account_id: UUID, product_id: UUID) -> Sequence[Row[Any]]:
        """Returns the product's listings on an account, the one that shows the newest product first."""
        found: Result[Any] = await self._connection.execute(
            select(
                Listing.remote_id,
                Listing.site,
                Listing.state,
                Listing.url,
                Listing.product_version,
                Listing.notes,
            )
            .where(Listing.account_id == account_id, Listing.product_id == product_id)
            .order_by(Listing.product_version.desc(), Listing.update_time.desc(), Listing.listing_id.desc())
            .limit(MAX_LISTINGS)
        )
        return found.all()
