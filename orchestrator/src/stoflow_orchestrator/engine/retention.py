"""Deletes what is past its age: in small steps, tenant by tenant, seldom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg.errors
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.repositories import retention as retention_repository
from stoflow_service_kit.clock import Clock

log = structlog.get_logger(__name__)

Connection = AsyncConnection[Any]
Step = Callable[[Connection, int], Awaitable[int]]

MAX_ROWS_A_STEP = 500
MAX_TENANTS_A_READ = 200
# After a start, so that processes which are often restarted delete as well.
FIRST_LOOK_SECONDS = 60.0
# Between steps: others use the database too.
PAUSE_SECONDS = 0.05
# An import's answer outlives its request id, which leads to it.
IMPORTS_LONGER = timedelta(days=1)
# Promised are 30 days; marketplaces send for a few days at most.
HINTS_AGE = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long what has ended is kept.

    Attributes:
        jobs: Jobs with their tasks and events, and batches, after their end.
        events: Result events, after they happened.
        requests: Request ids; a call that is repeated later counts as another.
        interval: Time between two looks.
    """

    jobs: timedelta
    events: timedelta
    requests: timedelta
    interval: timedelta


@dataclass(frozen=True, slots=True)
class Retention:
    """Looks once in a while. Several orchestrators may: a step is done by whoever has the lock."""

    pool: AsyncConnectionPool[Connection]
    clock: Clock
    policy: RetentionPolicy

    async def run(self) -> None:
        """Serves for ever."""
        interval = self.policy.interval.total_seconds()
        await self.clock.sleep(min(FIRST_LOOK_SECONDS, interval))
        while True:
            try:
                deleted = await self.sweep()
            except psycopg.OperationalError as error:
                # What is left is found again by the next look.
                log.warning("retention_postponed", error=type(error).__name__)
            else:
                if deleted.total():
                    log.info("retention_deleted", **deleted)
            await self.clock.sleep(interval)

    async def sweep(self) -> Counter[str]:
        """Deletes everything that is past its age now; returns how many rows of what."""
        deleted: Counter[str] = Counter()
        after = 0
        while tenants := await self._list_tenants(after):
            for tenant_id in tenants:
                await self._sweep_tenant(tenant_id, deleted)
            after = tenants[-1]
        policy = self.policy
        deleted["events"] += await self._repeat(
            lambda c, n: retention_repository.delete_events(c, policy.events, n)
        )
        deleted["requests"] += await self._repeat(
            lambda c, n: retention_repository.delete_requests(c, policy.requests, n)
        )
        deleted["hints"] += await self._repeat(
            lambda c, n: retention_repository.delete_hints(c, HINTS_AGE, n)
        )
        async with self.pool.connection() as connection, connection.transaction():
            await retention_repository.delete_paid_debts(connection)
        return deleted

    async def _list_tenants(self, after: int) -> list[int]:
        async with self.pool.connection() as connection:
            return await retention_repository.list_tenants(connection, after, MAX_TENANTS_A_READ)

    async def _sweep_tenant(self, tenant_id: int, deleted: Counter[str]) -> None:
        age = self.policy.jobs
        try:
            deleted["jobs"] += await self._repeat(
                lambda c, n: retention_repository.delete_jobs(c, tenant_id, age, n)
            )
            deleted["batches"] += await self._repeat(
                lambda c, n: retention_repository.delete_batches(c, tenant_id, age, n)
            )
            imports_age = self.policy.requests + IMPORTS_LONGER
            deleted["imports"] += await self._repeat(
                lambda c, n: retention_repository.delete_imports(c, tenant_id, imports_age, n)
            )
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
            # It is being migrated, or was removed since it was listed.
            log.warning("retention_skipped", tenant_id=tenant_id)

    async def _repeat(self, step: Step) -> int:
        total = 0
        while True:
            async with self.pool.connection() as connection, connection.transaction():
                if not await retention_repository.try_lock(connection):
                    # Another orchestrator is at it.
                    return total
                count = await step(connection, MAX_ROWS_A_STEP)
            total += count
            if count < MAX_ROWS_A_STEP:
                return total
            await self.clock.sleep(PAUSE_SECONDS)
