"""Gives free slots to waiting jobs: one pass at a time in each marketplace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.contention import Contention
from stoflow_orchestrator.engine.fairness import choose
from stoflow_orchestrator.engine.loading import load_jobs
from stoflow_orchestrator.engine.pool import transaction
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.engine.writing import write_changes
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.repositories import admission as admission_repository

MAX_ADMITTED_A_PASS = 200
MAX_TENANTS_A_PASS = 200
MAX_WOKEN_A_STEP = 1_000
# While jobs are left waiting for slots, those that come free within this time are filled together. A marketplace with
# room for every job waits for nothing.
PASS_INTERVAL_SECONDS = 0.02


@dataclass(slots=True)
class Admission:
    """Runs a pass over every marketplace that was stirred; what is stirred during a pass is the next one.

    A pass looks at the tenants that are known to wait and at those that it is told of. What is told only here, and lost
    in a crash, the reaper finds again.
    """

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    on_commit: Callable[[Publication], None]
    contention: Contention = field(default_factory=Contention)
    _stirred: dict[str, set[int]] = field(default_factory=dict)
    # Loop time of the next pass over marketplaces in which jobs were left waiting.
    _crowded_until: dict[str, float] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def stir(self, marketplaces: Iterable[str], tenants: Iterable[tuple[str, int]] = ()) -> None:
        """Asks for a pass: a slot may have become free, or a job ready.

        Args:
            marketplaces: Where.
            tenants: (marketplace, tenant) of jobs that may have become ready.
        """
        for marketplace in marketplaces:
            self._stirred.setdefault(marketplace, set())
        for marketplace, tenant_id in tenants:
            self._stirred.setdefault(marketplace, set()).add(tenant_id)
        if self._stirred:
            self._wake.set()

    async def run(self) -> None:
        """Serves for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._stirred:
                marketplace = await self._next_marketplace()
                tenants = self._stirred.pop(marketplace)
                if len(tenants) > MAX_TENANTS_A_PASS:
                    rest = list(tenants)[MAX_TENANTS_A_PASS:]
                    tenants.difference_update(rest)
                    self.stir([], [(marketplace, tenant_id) for tenant_id in rest])
                try:
                    if await self.admit(marketplace, tenants):
                        self.stir([marketplace])
                except BaseException:
                    # The wake-up must outlive a lost connection or a restart of this task.
                    self.stir([marketplace], [(marketplace, tenant_id) for tenant_id in tenants])
                    raise

    async def _next_marketplace(self) -> str:
        """Returns the one stirred first: a busy one, stirred again during its own pass, waits behind the others."""
        loop = asyncio.get_running_loop()
        while True:
            due = {name: self._crowded_until.get(name, 0.0) for name in self._stirred}
            now = loop.time()
            for name, time in due.items():
                if time <= now:
                    return name
            # What is stirred while it sleeps is not late by more than the interval.
            await asyncio.sleep(min(due.values()) - now)

    async def admit(self, marketplace: str, tenants: Collection[int] = ()) -> bool:
        """Admits as many jobs as there are free slots; returns whether there may be more to admit at once."""
        began = asyncio.get_running_loop().time()
        async with transaction(self.pool) as connection:
            await admission_repository.lock(connection, marketplace)
            cursor = await admission_repository.find(connection, marketplace, tenants, MAX_ADMITTED_A_PASS)
            situation = await admission_repository.read_situation(cursor)
            choice = choose(situation.tenants, situation.queues, situation.room)
            self.contention.report(marketplace, choice.left)
            self._crowded_until[marketplace] = began + PASS_INTERVAL_SECONDS if choice.left else 0.0
            if not choice.job_ids and not choice.changes_queues:
                return choice.is_cut
            publication = Publication()
            if choice.job_ids:
                changes = await load_jobs(connection, choice.job_ids)
                for job_id in choice.job_ids:
                    job = changes.jobs.get(job_id)
                    # Its state may have changed between the search and its lock.
                    if job is not None and job.state is JobState.PENDING:
                        moves.admit(changes, job, changes.find_task_at(job_id, job.task_position))
                publication = await write_changes(connection, changes)
            await admission_repository.save(connection, marketplace, choice)
        self.on_commit(publication)
        return choice.is_cut

    async def wake_due(self) -> None:
        """Makes jobs ready whose time has come, and asks for passes over them."""
        while True:
            async with self.pool.connection() as connection, connection.transaction():
                woken = await admission_repository.wake(connection, MAX_WOKEN_A_STEP)
            self.stir([], woken)
            if len(woken) < MAX_WOKEN_A_STEP:
                return

    async def resume(self, account_ids: Iterable[UUID]) -> None:
        """Makes jobs ready that wait for accounts which are connected again, and asks for passes over them."""
        async with self.pool.connection() as connection, connection.transaction():
            resumed = await admission_repository.resume_connected(connection, account_ids)
        self.stir([], resumed)

    async def resume_supported(self, marketplace: str, versions: Sequence[str]) -> None:
        """Makes jobs ready that wait for a connector of these manifest versions, and asks for passes over them."""
        async with self.pool.connection() as connection, connection.transaction():
            resumed = await admission_repository.resume_supported(connection, marketplace, versions)
        self.stir([], resumed)
