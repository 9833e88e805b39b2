"""Cancels, pauses, resumes and retries jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg.errors
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.jobs.v1.job_pb2 import Job
from stoflow.jobs.v1.job_service_pb2 import (
    CancelJobRequest,
    PauseJobRequest,
    ResumeJobRequest,
    RetryJobRequest,
)

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands import (
    CancelJob,
    ControlCommand,
    ControlOutcome,
    PauseJob,
    ResumeJob,
    RetryJob,
)
from stoflow_orchestrator.engine.loading import load_for_commands
from stoflow_orchestrator.engine.pool import transaction, unavailable_when_unreachable
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.engine.writing import write_changes
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.repositories import control as control_repository
from stoflow_orchestrator.repositories import history as history_repository
from stoflow_orchestrator.repositories.mutation import Mutation
from stoflow_orchestrator.services.idempotency import describe_mutation, repeated_result
from stoflow_orchestrator.services.job_creation import job_exists
from stoflow_orchestrator.services.job_reading import JobReading, job_not_found
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import FailedPreconditionError, PreconditionViolation, UnavailableError

Connection = AsyncConnection[Any]
Request = CancelJobRequest | PauseJobRequest | ResumeJobRequest | RetryJobRequest

# An attempt that was told to stop mostly has by then.
ATTEMPT_RUNS_RETRY_SECONDS = 1.0


class _RepeatedError(Exception):
    """The call was carried out before, under the same request_id."""


class JobControl:
    """What people do to jobs: rare enough for a transaction each, under the same locks as the committer's groups."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Connection],
        on_commit: Callable[[Publication], None],
        tenants: TenantDirectory,
        reading: JobReading,
    ) -> None:
        self._pool = pool
        self._on_commit = on_commit
        self._tenants = tenants
        self._reading = reading

    async def cancel(self, request: CancelJobRequest) -> Job:
        """Ends a job."""
        return await self._control(request, CancelJob, "cancelled")

    async def pause(self, request: PauseJobRequest) -> Job:
        """Holds a job back."""
        return await self._control(request, PauseJob, "paused")

    async def resume(self, request: ResumeJobRequest) -> Job:
        """Lets a paused job go on."""
        return await self._control(request, ResumeJob, "resumed")

    async def retry(self, request: RetryJobRequest) -> Job:
        """Begins another run of a job that failed or expired."""
        return await self._control(request, RetryJob, "retried")

    async def _control(self, request: Request, make: type[ControlCommand], done: str) -> Job:
        await self._tenants.require(request.tenant_id)
        # The canonical form: one job may be written in several ways.
        command = make(request.tenant_id, UUID(request.job_id))
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(command.job_id))
        try:
            with unavailable_when_unreachable():
                publication = await self._carry_out(command, mutation, done)
        except _RepeatedError:
            publication = Publication()
        except psycopg.errors.UniqueViolation as error:
            raise await self._subject_taken(command) from error
        self._on_commit(publication)
        return await self._reading.get(request.tenant_id, command.job_id)

    async def _carry_out(self, command: ControlCommand, mutation: Mutation, done: str) -> Publication:
        async with transaction(self._pool) as connection:
            changes = await self._load(connection, command)
            # After the job's lock, as the committer does it.
            if (first := await control_repository.claim(connection, mutation)) is not None:
                repeated_result(mutation, first)
                # A job that was loaded from the history stays there.
                raise _RepeatedError
            outcome = command.decide(changes)
            if outcome is ControlOutcome.NOT_LIVE:
                outcome = await self._decide_archived(connection, command)
            _raise_unless_done(outcome, command, done)
            return await write_changes(connection, changes)

    async def _load(self, connection: Connection, command: ControlCommand) -> Changes:
        changes = await load_for_commands(connection, [command])
        if command.job_id in changes.jobs:
            return changes
        if isinstance(command, RetryJob):
            await history_repository.unarchive_jobs(connection, command.tenant_id, [command.job_id])
        elif await history_repository.find_state(connection, command.tenant_id, command.job_id) is not None:
            return changes
        # It is live now, or another call has just brought it back.
        return await load_for_commands(connection, [command])

    async def _decide_archived(self, connection: Connection, command: ControlCommand) -> ControlOutcome:
        state = await history_repository.find_state(connection, command.tenant_id, command.job_id)
        if state is None:
            raise job_not_found(command.tenant_id, command.job_id)
        if isinstance(command, CancelJob) and state is JobState.CANCELLED:
            return ControlOutcome.UNCHANGED
        return ControlOutcome.STATE_INVALID

    async def _subject_taken(self, command: ControlCommand) -> Exception:
        job = await self._reading.get(command.tenant_id, command.job_id)
        product_id = UUID(job.product_id) if job.product_id else None
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection:
                other = await control_repository.find_live_twin(
                    connection, UUID(job.account_id), product_id, job.action, job.site, command.job_id
                )
        if other is None:
            return UnavailableError(
                "A job of the same subject has just ended; repeat the call.", retry_after_seconds=0.1
            )
        return job_exists(other, job.action)


def _raise_unless_done(outcome: ControlOutcome, command: ControlCommand, done: str) -> None:
    if outcome in (ControlOutcome.CHANGED, ControlOutcome.UNCHANGED):
        return
    is_running = outcome is ControlOutcome.ATTEMPT_RUNS
    message = (
        f"An attempt of job {command.job_id} has not stopped yet; try again in a moment."
        if is_running
        else f"The state of job {command.job_id} does not allow that it is {done}."
    )
    raise FailedPreconditionError(
        message,
        reason="JOB_STATE_INVALID",
        metadata={"job_id": str(command.job_id)},
        preconditions=[PreconditionViolation("JOB_STATE", f"jobs/{command.job_id}", message)],
        retry_after_seconds=ATTEMPT_RUNS_RETRY_SECONDS if is_running else None,
    )
