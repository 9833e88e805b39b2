"""Synchronizes accounts by themselves: one job for each sync that is due, and never a second beside it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Row
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest

from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.account_sync import AccountSyncRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.services.job_creation import JobCreation
from stoflow_orchestrator.services.planning import Planner
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import (
    NotFoundError,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
)
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

ACTIONS = {"ORDERS": "sync_orders", "LISTINGS": "sync_listings"}
TICK_SECONDS = 1.0
SYNCS_A_TICK = 100
# Who dies with a claim leaves it to others after this time; far longer than the creation of a hundred jobs takes.
CLAIM_SECONDS = 10.0
# A sync that runs already may have read what was before the hint; another follows it.
BUSY_SECONDS = 5.0


class AccountSyncs:
    """Looks once a second for what is due. Several orchestrators may: each sync is claimed by one of them.

    The jobs' request_ids derive from the sync's id, so a sync that is carried out twice makes its jobs once.
    """

    def __init__(self, database: Database, creation: JobCreation, planner: Planner, clock: Clock) -> None:
        self._database = database
        self._creation = creation
        self._planner = planner
        self._clock = clock

    async def run(self) -> None:
        """Serves for ever."""
        while True:
            await self._clock.sleep(TICK_SECONDS)
            try:
                while await self.tick() == SYNCS_A_TICK:
                    pass
            except Exception:
                # Mostly an outage of the database; the claims run out by themselves.
                log.exception("account_syncs_failed")

    async def tick(self) -> int:
        """Carries out what is due now; returns how many syncs that were."""
        async with self._database.public_transaction() as connection:
            due = await AccountSyncRepository(connection).claim(SYNCS_A_TICK, CLAIM_SECONDS)
        await asyncio.gather(*(self._sync(row) for row in due))
        return len(due)

    async def _sync(self, row: Row[Any]) -> None:
        try:
            is_busy = await self._has_action(row) and await self._make_jobs(row)
        except (UnavailableError, ResourceExhaustedError):
            # Claimed again once this claim has run out.
            log.warning("account_sync_put_off", tenant_id=row.tenant_id, account_id=str(row.account_id))
            return
        async with self._database.public_transaction() as connection:
            syncs = AccountSyncRepository(connection)
            if is_busy and row.is_hinted:
                await syncs.put_off(row.sync_id, BUSY_SECONDS)
            else:
                await syncs.finish(row.sync_id)

    async def _has_action(self, row: Row[Any]) -> bool:
        if row.state != "CONNECTED":
            return False
        try:
            manifest = await self._planner.get_manifest(row.marketplace)
        except NotFoundError:
            return False
        return any(action.name == ACTIONS[row.kind] for action in manifest.actions)

    async def _make_jobs(self, row: Row[Any]) -> bool:
        """Makes a job for each site; tells whether one runs already."""
        sites = [""]
        if row.kind == "LISTINGS":
            # Orders are the seller's, listings a site's.
            async with self._database.tenant_reading(row.tenant_id) as connection:
                found = await AccountRepository(connection).find_all({row.account_id})
            sites = list(found[row.account_id].sites) if row.account_id in found else []
            sites = sites or [""]
        results = await asyncio.gather(*(self._make_job(row, site) for site in sites))
        return any(results)

    async def _make_job(self, row: Row[Any], site: str) -> bool:
        try:
            job = await self._creation.create(
                CreateJobRequest(
                    request_id=str(uuid5(UUID(str(row.sync_id)), site)),
                    tenant_id=row.tenant_id,
                    account_id=str(row.account_id),
                    site=site,
                    action=ACTIONS[row.kind],
                )
            )
        except (UnavailableError, ResourceExhaustedError):
            raise
        except ServiceError as error:
            if error.reason != "JOB_EXISTS":
                log.warning("account_sync_refused", tenant_id=row.tenant_id, reason=error.reason)
            return error.reason == "JOB_EXISTS"
        log.info("account_sync_created", tenant_id=row.tenant_id, job_id=job.job_id, hinted=row.is_hinted)
        return False
