"""Creates the jobs of a batch, all or none, beside the committer: its groups stay short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg.errors
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.new_batch import BatchIntake, NewBatch
from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.repositories import batch as batch_repository
from stoflow_orchestrator.repositories import bulk as bulk_repository
from stoflow_orchestrator.repositories import control as control_repository
from stoflow_service_kit.errors import UnavailableError

Connection = AsyncConnection[Any]

# Two batches that want the same products in different orders wait for each other until PostgreSQL ends one.
MAX_TRIES = 4


@dataclass(frozen=True, slots=True)
class BulkIntake:
    """One transaction a batch, of a few statements whatever its size."""

    pool: AsyncConnectionPool[Connection]
    on_commit: Callable[[Publication], None]

    async def create(self, batch: NewBatch) -> BatchIntake:
        """Creates the batch with its jobs, tasks and first events.

        Raises:
            UnavailableError: The database is out of reach, or others create and end the same jobs all the time.
        """
        for _ in range(MAX_TRIES):
            try:
                with unavailable_when_unreachable(is_single=False):
                    intake = await self._insert(batch)
            except psycopg.errors.UniqueViolation:
                existing = await self._find_existing(batch)
                if existing:
                    return BatchIntake(existing=existing)
            except psycopg.errors.DeadlockDetected:
                continue
            else:
                if intake.first is None:
                    self.on_commit(
                        Publication(
                            stirred={batch.marketplace}, queued={(batch.marketplace, batch.tenant_id)}
                        )
                    )
                return intake
        raise UnavailableError(
            "Jobs of the same subjects come and go; repeat the call.", retry_after_seconds=0.5
        )

    async def _insert(self, batch: NewBatch) -> BatchIntake:
        async with self.pool.connection() as connection, connection.transaction():
            first = await control_repository.claim(connection, batch.mutation)
            if first is not None:
                return BatchIntake(first=first)
            now = await batch_repository.insert(connection, batch)
            await bulk_repository.copy_jobs(connection, batch, now)
            return BatchIntake(create_time=now)

    async def _find_existing(self, batch: NewBatch) -> dict[UUID, UUID]:
        with unavailable_when_unreachable():
            async with self.pool.connection() as connection:
                return await batch_repository.find_live_subjects(connection, batch)
