"""Listings of a product, for the connector that runs one of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.product_listing import ProductListingRepository
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FailedPreconditionError, PreconditionViolation

LEASE_REQUIRED = "LEASE_REQUIRED"


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who asks, and by which lease."""

    tenant_id: int
    job_id: UUID
    task_id: UUID
    lease_token: UUID = field(repr=False)
    instance_id: UUID


class ProductListings:
    """Serves GetListings of the connector contract."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants

    async def list_for(self, holder: LeaseHolder) -> Sequence[Row[Any]]:
        """Returns what is known of the listings of the job's product on the job's account.

        Raises:
            NotFoundError: TENANT_NOT_FOUND.
            FailedPreconditionError: LEASE_REQUIRED.
        """
        await self._tenants.require(holder.tenant_id)
        async with self._database.tenant_reading(holder.tenant_id) as connection:
            listings = ProductListingRepository(connection)
            subject = await listings.find_subject(
                tenant_id=holder.tenant_id,
                job_id=holder.job_id,
                task_id=holder.task_id,
                lease_token=holder.lease_token,
                instance_id=holder.instance_id,
            )
            if subject is None:
                raise lease_required(holder)
            if subject.product_id is None:
                return []
            return await listings.list_listings(subject.account_id, subject.product_id)


def lease_required(holder: LeaseHolder) -> FailedPreconditionError:
    """Returns the refusal of who holds no lease on the task."""
    message = "The caller holds no lease on this task."
    return FailedPreconditionError(
        message,
        reason=LEASE_REQUIRED,
        metadata={"task_id": str(holder.task_id)},
        preconditions=[PreconditionViolation(LEASE_REQUIRED, f"tasks/{holder.task_id}", message)],
    )
