"""Retries the failed jobs of a batch in one transaction: a crash leaves all of them retried or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import UUID

import psycopg.errors
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.commands import RetryJob
from stoflow_orchestrator.engine.commands.control import ControlOutcome
from stoflow_orchestrator.engine.loading import load_jobs
from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.engine.writing import write_changes
from stoflow_orchestrator.repositories import batch_control as batch_repository
from stoflow_orchestrator.repositories import control as control_repository
from stoflow_orchestrator.repositories import live as live_repository
from stoflow_orchestrator.repositories.batch_control import FailedJob
from stoflow_orchestrator.repositories.history import unarchive_jobs
from stoflow_orchestrator.repositories.mutation import Mutation
from stoflow_service_kit.errors import UnavailableError

Connection = AsyncConnection[Any]

# A job of the same subject may be created at the same moment, or a deadlock be broken.
MAX_TRIES = 4


class BatchRefusal(Enum):
    """Why no job of a batch was retried."""

    NOT_FOUND = auto()
    NOT_ENDED = auto()
    CANCELLED = auto()
    NOTHING_FAILED = auto()
    ATTEMPT_RUNS = auto()
    REPLACED = auto()


@dataclass(frozen=True, slots=True)
class BatchRetry:
    """What became of the request.

    Attributes:
        retried_count: Jobs whose next run began now.
        first: The mutation recorded under its request_id before; nothing was changed.
        refusal: Why nothing was changed.
    """

    retried_count: int = 0
    first: Mutation | None = None
    refusal: BatchRefusal | None = None


class _RefusedError(Exception):
    def __init__(self, refusal: BatchRefusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class BulkRetry:
    """Begins another run of every job of a batch that failed or expired."""

    pool: AsyncConnectionPool[Connection]
    on_commit: Callable[[Publication], None]

    async def retry(self, mutation: Mutation, batch_id: UUID) -> BatchRetry:
        """Retries what can be retried; refuses when that is nothing.

        Raises:
            UnavailableError: The database is out of reach, or others change the same jobs all the time.
        """
        for _ in range(MAX_TRIES):
            publication = Publication()
            try:
                with unavailable_when_unreachable(is_single=False):
                    async with self.pool.connection() as connection, connection.transaction():
                        first = await control_repository.claim(connection, mutation)
                        if first is not None:
                            return BatchRetry(first=first)
                        retried_count, publication = await _retry(connection, mutation.tenant_id, batch_id)
                        await control_repository.set_result(connection, mutation, str(retried_count))
            except _RefusedError as refused:
                return BatchRetry(refusal=refused.refusal)
            except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
                continue
            except psycopg.errors.LockNotAvailable as error:
                raise UnavailableError("The tenant is being upgraded.", retry_after_seconds=2.0) from error
            self.on_commit(publication)
            return BatchRetry(retried_count)
        raise UnavailableError("Others change the same jobs; repeat the call.", retry_after_seconds=0.5)


async def _retry(connection: Connection, tenant_id: int, batch_id: UUID) -> tuple[int, Publication]:
    await _check_ended(connection, tenant_id, batch_id)
    failed = await _lock_failed(connection, tenant_id, batch_id)
    chosen = [job for job in failed if not job.is_leased and not job.is_replaced]
    if not chosen:
        raise _RefusedError(_why_none(failed))
    archived = [job.job_id for job in chosen if job.is_archived]
    if archived:
        await unarchive_jobs(connection, tenant_id, archived)
    changes = await load_jobs(connection, [job.job_id for job in chosen])
    outcomes = [RetryJob(tenant_id, job.job_id).decide(changes) for job in chosen]
    retried_count = outcomes.count(ControlOutcome.CHANGED)
    if not retried_count:
        # Another request retried them between the search and their locks.
        raise _RefusedError(BatchRefusal.NOT_ENDED)
    return retried_count, await write_changes(connection, changes)


async def _lock_failed(connection: Connection, tenant_id: int, batch_id: UUID) -> list[FailedJob]:
    failed = await batch_repository.list_failed_jobs(connection, tenant_id, batch_id)
    live = [job.job_id for job in failed if not job.is_archived]
    if not live:
        return failed
    # Like the archiver, which may be taking them just now: jobs before their batch, which unarchiving locks.
    await live_repository.lock_jobs(connection, live)
    return await batch_repository.list_failed_jobs(connection, tenant_id, batch_id)


async def _check_ended(connection: Connection, tenant_id: int, batch_id: UUID) -> None:
    end = await batch_repository.find_end(connection, tenant_id, batch_id)
    if end is None:
        raise _RefusedError(BatchRefusal.NOT_FOUND)
    if end.is_cancelled:
        raise _RefusedError(BatchRefusal.CANCELLED)
    if not end.is_ended:
        raise _RefusedError(BatchRefusal.NOT_ENDED)


def _why_none(failed: Sequence[FailedJob]) -> BatchRefusal:
    if any(job.is_leased for job in failed):
        return BatchRefusal.ATTEMPT_RUNS
    return BatchRefusal.REPLACED if failed else BatchRefusal.NOTHING_FAILED
