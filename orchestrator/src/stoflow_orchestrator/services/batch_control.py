"""What a person asks of a whole batch: cancel, retry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.jobs.v1.batch_service_pb2 import CancelBatchRequest, RetryBatchRequest

from stoflow_orchestrator.engine.bulk_retry import BatchRefusal, BulkRetry
from stoflow_orchestrator.engine.commands import CancelJob
from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.repositories import batch_control as batch_repository
from stoflow_orchestrator.repositories import control as control_repository
from stoflow_orchestrator.services.batches import batch_not_found
from stoflow_orchestrator.services.idempotency import describe_mutation, repeated_result
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FailedPreconditionError, PreconditionViolation

log = structlog.get_logger(__name__)

# A few groups of the committer, so that others get their turns in between.
JOBS_A_STEP = 500

_REFUSALS: Final = {
    BatchRefusal.NOT_ENDED: "some of its jobs have not ended; wait until they have, or retry single jobs",
    BatchRefusal.CANCELLED: "it was cancelled and stays so; submit the products again",
    BatchRefusal.NOTHING_FAILED: "no job of it failed or expired",
    BatchRefusal.ATTEMPT_RUNS: "an attempt of its expired jobs still runs; try again in a moment",
    BatchRefusal.REPLACED: "each of its failed jobs has been replaced by another live job",
}


@dataclass(frozen=True, slots=True)
class BatchControl:
    """Cancels and retries batches."""

    tenants: TenantDirectory
    pool: AsyncConnectionPool[AsyncConnection[Any]]
    committer: Committer
    bulk_retry: BulkRetry

    async def cancel(self, request: CancelBatchRequest) -> None:
        """Makes the batch CANCELLED at once, then cancels its live jobs.

        When this process dies in between, the reaper goes on with the jobs.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or BATCH_NOT_FOUND.
            FailedPreconditionError: BATCH_STATE_INVALID.
        """
        await self.tenants.require(request.tenant_id)
        batch_id = UUID(request.batch_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, request.batch_id)
        with unavailable_when_unreachable():
            async with self.pool.connection() as connection, connection.transaction():
                first = await control_repository.claim(connection, mutation)
                if first is not None:
                    repeated_result(mutation, first)
                elif not await batch_repository.cancel(connection, request.tenant_id, batch_id):
                    # Raising takes the request id back.
                    await self._check_cancelled(connection, request.tenant_id, batch_id)
        await self._cancel_jobs(request.tenant_id, batch_id)

    async def _check_cancelled(
        self, connection: AsyncConnection[Any], tenant_id: int, batch_id: UUID
    ) -> None:
        end = await batch_repository.find_end(connection, tenant_id, batch_id)
        if end is None:
            raise batch_not_found(tenant_id, batch_id)
        if not end.is_cancelled:
            raise _state_invalid(batch_id, "all its jobs have ended")

    async def _cancel_jobs(self, tenant_id: int, batch_id: UUID) -> None:
        last: list[UUID] = []
        while True:
            with unavailable_when_unreachable():
                async with self.pool.connection() as connection:
                    job_ids = await batch_repository.list_cancelling_jobs(connection, batch_id, JOBS_A_STEP)
            if not job_ids or job_ids == last:
                return
            outcomes = await self.committer.run_all([CancelJob(tenant_id, job_id) for job_id in job_ids])
            for job_id, outcome in zip(job_ids, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    # The batch is cancelled and stays so: the reaper tries its jobs again.
                    log.warning("cancel_of_batch_job_failed", job_id=str(job_id), error=outcome)
            last = job_ids

    async def retry(self, request: RetryBatchRequest) -> int:
        """Begins another run of the jobs that failed or expired; returns how many this request began.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or BATCH_NOT_FOUND.
            FailedPreconditionError: BATCH_STATE_INVALID.
        """
        await self.tenants.require(request.tenant_id)
        batch_id = UUID(request.batch_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, "0")
        outcome = await self.bulk_retry.retry(mutation, batch_id)
        if outcome.first is not None:
            return int(repeated_result(mutation, outcome.first))
        if outcome.refusal is BatchRefusal.NOT_FOUND:
            raise batch_not_found(request.tenant_id, batch_id)
        if outcome.refusal is not None:
            raise _state_invalid(batch_id, _REFUSALS[outcome.refusal])
        return outcome.retried_count


def _state_invalid(batch_id: UUID, why: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"Batch {batch_id}: {why}.",
        reason="BATCH_STATE_INVALID",
        metadata={"batch_id": str(batch_id)},
        preconditions=[PreconditionViolation("BATCH_STATE", f"batches/{batch_id}", why)],
    )
