"""What the orchestrator knows of an account, for the connector that syncs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from stoflow.connector.v1.connector_service_pb2 import GetSyncStateRequest

from stoflow_orchestrator.paging import decode_token, encode_token, single_text
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.sync_state import SyncStateRepository
from stoflow_orchestrator.services.product_listings import LeaseHolder, lease_required
from stoflow_orchestrator.services.tenants import TenantDirectory


@dataclass(frozen=True, slots=True)
class SyncState:
    """What is known.

    Attributes:
        last_complete_time: When the newest completed job of the same subject was created.
        listings: Rows with remote_id and sku.
        next_page_token: Where the next page begins; empty when there is none.
    """

    last_complete_time: datetime | None
    listings: Sequence[Row[Any]]
    next_page_token: str


class SyncStates:
    """Serves GetSyncState of the connector contract."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants

    async def get(self, holder: LeaseHolder, page_size: int, page_token: str) -> SyncState:
        """Returns what the job's account is compared with.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
            NotFoundError: TENANT_NOT_FOUND.
            FailedPreconditionError: LEASE_REQUIRED.
        """
        # The tasks of a job hand the token on, so it is bound to the job alone.
        query = GetSyncStateRequest(tenant_id=holder.tenant_id, job_id=str(holder.job_id))
        after = decode_token(query, page_token, single_text) or ""
        await self._tenants.require(holder.tenant_id)
        async with self._database.tenant_reading(holder.tenant_id) as connection:
            states = SyncStateRepository(connection)
            subject = await states.find_subject(
                tenant_id=holder.tenant_id,
                job_id=holder.job_id,
                task_id=holder.task_id,
                lease_token=holder.lease_token,
                instance_id=holder.instance_id,
            )
            if subject is None:
                raise lease_required(holder)
            last = await states.find_last_complete_time(subject.account_id, subject.action, subject.site)
            if not page_size:
                return SyncState(last, (), "")
            found = await states.list_live(subject.account_id, subject.site, after, page_size + 1)
        page = found[:page_size]
        has_more = len(found) > page_size
        return SyncState(last, page, encode_token(query, [page[-1].remote_id]) if has_more else "")
