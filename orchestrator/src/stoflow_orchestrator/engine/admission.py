"""Gives free slots to waiting jobs: one pass at a time in each marketplace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.loading import load_jobs
from stoflow_orchestrator.engine.pool import transaction
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.engine.writing import write_changes
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.repositories import admission as admission_repository

MAX_ADMITTED_A_PASS = 200


@dataclass(slots=True)
class Admission:
    """Runs a pass over every marketplace that was stirred; what is stirred during a pass is the next one."""

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    on_commit: Callable[[Publication], None]
    _stirred: set[str] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def stir(self, marketplaces: Iterable[str]) -> None:
        """Asks for a pass: a slot may have become free, or a job ready."""
        self._stirred.update(marketplaces)
        if self._stirred:
            self._wake.set()

    async def run(self) -> None:
        """Serves for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._stirred:
                marketplace = self._stirred.pop()
                try:
                    if await self.admit(marketplace) == MAX_ADMITTED_A_PASS:
                        self.stir([marketplace])
                except BaseException:
                    # The wake-up must outlive a lost connection or a restart of this task.
                    self.stir([marketplace])
                    raise

    async def admit(self, marketplace: str) -> int:
        """Admits as many jobs as there are free slots; returns how many."""
        async with transaction(self.pool) as connection:
            await admission_repository.lock(connection, marketplace)
            free = await admission_repository.count_free_slots(connection, marketplace)
            if free <= 0:
                return 0
            candidates = await admission_repository.find_candidates(
                connection, marketplace, min(free, MAX_ADMITTED_A_PASS)
            )
            if not candidates:
                return 0
            changes = await load_jobs(connection, candidates)
            admitted = 0
            for job_id in candidates:
                job = changes.jobs.get(job_id)
                # Its state may have changed between the search and its lock.
                if job is None or job.state is not JobState.PENDING:
                    continue
                moves.admit(changes, job, changes.find_task_at(job_id, job.task_position))
                admitted += 1
            publication = await write_changes(connection, changes)
        self.on_commit(publication)
        return admitted
