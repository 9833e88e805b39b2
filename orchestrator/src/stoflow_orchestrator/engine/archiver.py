"""Moves ended jobs to their tenants, off the hot path: one tenant's migration holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg.errors
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.metrics import EngineMetrics
from stoflow_orchestrator.engine.pool import transaction
from stoflow_orchestrator.repositories.archive import archive_jobs

log = structlog.get_logger(__name__)

MAX_JOBS_A_STEP = 500
TENANTS_A_STEP = 50
# Readers find ended jobs wherever they are, so nobody waits for this: what ends meanwhile goes along.
GATHER_SECONDS = 0.2


@dataclass(slots=True)
class Archiver:
    """Takes some tenants after the other, in small transactions."""

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    metrics: EngineMetrics
    _tenants: set[int] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def archive_soon(self, tenant_ids: Iterable[int]) -> None:
        """Asks for these tenants' ended jobs to be moved."""
        self._tenants.update(tenant_ids)
        if self._tenants:
            self._wake.set()

    async def run(self) -> None:
        """Serves for ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            while self._tenants:
                together = sorted(self._tenants)[:TENANTS_A_STEP]
                self._tenants.difference_update(together)
                await self.archive(together)

    async def archive(self, tenant_ids: Sequence[int]) -> int:
        """Moves every ended job of some tenants that nobody else is moving; returns how many."""
        moved = 0
        while True:
            try:
                async with transaction(self.pool) as connection:
                    step = await archive_jobs(connection, tenant_ids, MAX_JOBS_A_STEP)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                if len(tenant_ids) > 1:
                    # One of them is being migrated: the others do not wait for it.
                    return moved + sum([await self.archive([tenant_id]) for tenant_id in tenant_ids])
                # The tenant is being migrated, or its batch retried; the next tick asks again.
                log.warning("archive_postponed", tenant_id=tenant_ids[0])
                return moved
            moved += step
            self.metrics.archived_jobs.inc(step)
            if step < MAX_JOBS_A_STEP:
                return moved
