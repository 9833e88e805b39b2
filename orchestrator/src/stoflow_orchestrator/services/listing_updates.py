"""Brings stale listings up to date once their products have rested, and ends those of which nothing is left to sell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from stoflow.jobs.v1.job_pb2 import PRIORITY_CRITICAL, PRIORITY_UNSPECIFIED
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest

from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.listing_update import ListingUpdateRepository
from stoflow_orchestrator.services.accounts import get_account
from stoflow_orchestrator.services.job_creation import JobCreation
from stoflow_orchestrator.services.planning import Planner
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import ResourceExhaustedError, ServiceError, UnavailableError
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

UPDATE_ACTION = "update"
DELETE_ACTION = "delete"
TICK_SECONDS = 1.0
UPDATES_A_TICK = 100
# Who dies with a claim leaves it to others after this time; far longer than the creation of a hundred jobs takes.
CLAIM_SECONDS = 10.0
# An update that runs already may carry what the product was before; it is looked at again.
BUSY_SECONDS = 5.0
MAX_PROBLEM_CHARACTERS = 1_000


class ListingUpdates:
    """Looks once a second for what is due. Several orchestrators may: each update is claimed by one of them.

    The job's request_id is stored with the plan, so a plan that is carried out twice makes one job.
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
                while await self.tick() == UPDATES_A_TICK:
                    pass
            except Exception:
                # Mostly an outage of the database; the claims run out by themselves.
                log.exception("listing_updates_failed")

    async def tick(self) -> int:
        """Carries out what is due now; returns how many updates that were."""
        async with self._database.public_transaction() as connection:
            due = await ListingUpdateRepository(connection).claim(UPDATES_A_TICK, CLAIM_SECONDS)
        tenants = sorted(due, key=lambda row: int(row.tenant_id))
        for tenant_id, rows in groupby(tenants, key=lambda row: int(row.tenant_id)):
            await self._update_tenant(tenant_id, list(rows))
        return len(due)

    async def _update_tenant(self, tenant_id: int, rows: Sequence[Row[Any]]) -> None:
        subjects = {(row.account_id, row.product_id, row.site): row for row in rows}
        to_end = {subject for subject, row in subjects.items() if row.action == DELETE_ACTION}
        async with self._database.tenant_transaction(tenant_id) as connection:
            updates = ListingUpdateRepository(connection)
            ending = await updates.list_endable(to_end) if to_end else set()
            # What was to be ended and can be sold again is updated.
            stale = await updates.list_stale(subjects) - ending
            # Brought up to date by another job, ended or unlinked meanwhile.
            done = subjects.keys() - stale - ending
            await updates.finish([subjects[subject].update_id for subject in done])
        await asyncio.gather(
            *(self._update(subjects[subject], is_ending=False) for subject in stale),
            *(self._update(subjects[subject], is_ending=True) for subject in ending),
        )

    async def _update(self, row: Row[Any], *, is_ending: bool) -> None:
        try:
            job = await self._creation.create(await self._request(row, is_ending=is_ending))
        except (UnavailableError, ResourceExhaustedError):
            # Claimed again once this claim has run out.
            log.warning("listing_update_put_off", tenant_id=row.tenant_id, product_id=str(row.product_id))
        except ServiceError as error:
            await self._settle(row, error)
        else:
            log.info("listing_update_created", tenant_id=row.tenant_id, job_id=job.job_id)
            async with self._database.public_transaction() as connection:
                await ListingUpdateRepository(connection).finish([UUID(str(row.update_id))])

    async def _request(self, row: Row[Any], *, is_ending: bool) -> CreateJobRequest:
        action = UPDATE_ACTION
        if is_ending:
            async with self._database.tenant_reading(row.tenant_id) as connection:
                account = await get_account(connection, row.account_id)
            manifest = await self._planner.get_manifest(account.marketplace)
            # Where listings cannot be ended, nothing is left to be bought.
            action = (
                DELETE_ACTION if any(a.name == DELETE_ACTION for a in manifest.actions) else UPDATE_ACTION
            )
        return CreateJobRequest(
            request_id=str(row.update_id),
            tenant_id=row.tenant_id,
            account_id=str(row.account_id),
            product_id=str(row.product_id),
            site=row.site,
            action=action,
            # Whoever buys it elsewhere meanwhile buys what is gone.
            priority=PRIORITY_CRITICAL if is_ending else PRIORITY_UNSPECIFIED,
        )

    async def _settle(self, row: Row[Any], error: ServiceError) -> None:
        async with self._database.public_transaction() as connection:
            updates = ListingUpdateRepository(connection)
            if error.reason == "JOB_EXISTS":
                await updates.put_off(row.update_id, BUSY_SECONDS)
                return
            log.warning("listing_update_refused", tenant_id=row.tenant_id, reason=error.reason)
            await updates.refuse(row.update_id, error.message[:MAX_PROBLEM_CHARACTERS])
