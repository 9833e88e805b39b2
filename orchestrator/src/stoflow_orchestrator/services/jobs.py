"""Jobs as callers see them: created, read, watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import uuid_utils.compat as uuid_utils
from stoflow.connector.v1.task_pb2 import ProductSnapshot
from stoflow.jobs.v1 import job_pb2
from stoflow.jobs.v1.job_pb2 import Job
from stoflow.jobs.v1.job_service_pb2 import (
    CreateJobRequest,
    ListJobEventsRequest,
    ListJobEventsResponse,
    ListJobsRequest,
    ListJobsResponse,
    WatchJobRequest,
    WatchJobResponse,
)

from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.engine.intake import Intake, NewJob
from stoflow_orchestrator.messages.job import event_message, job_message
from stoflow_orchestrator.messaging.hints import JobHints
from stoflow_orchestrator.paging import decode_token, encode_token, page_size, single_number
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.job import JobFilter, JobReader
from stoflow_orchestrator.repositories.mutation import Mutation
from stoflow_orchestrator.services.idempotency import describe_mutation
from stoflow_orchestrator.services.planning import check_product, plan_tasks
from stoflow_orchestrator.services.snapshots import SnapshotLoader
from stoflow_orchestrator.services.submission import Submission, Submissions
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import (
    AlreadyExistsError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)

# Hints may be lost: a watcher looks by itself this often.
WATCH_POLL_SECONDS = 2.0
MAX_EVENTS_A_READ = 1_000


class JobService:
    """The use cases of JobService."""

    def __init__(
        self,
        database: Database,
        tenants: TenantDirectory,
        snapshots: SnapshotLoader,
        submissions: Submissions,
        reader: JobReader,
        committer: Committer,
        hints: JobHints,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._snapshots = snapshots
        self._submissions = submissions
        self._reader = reader
        self._committer = committer
        self._hints = hints

    async def create(self, request: CreateJobRequest) -> Job:
        """Creates a job with its tasks; everything wrong with the request is said before anything is written."""
        check_storable(request)
        await self._tenants.require(request.tenant_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(uuid_utils.uuid7()))
        if (first := await self._submissions.find_first(mutation)) is not None:
            return await self.get(request.tenant_id, UUID(first))
        submission = await self._submissions.check(request)
        snapshot = await self._get_snapshot(request, submission)
        new_job = _describe(mutation, request, submission, snapshot)
        intake = await self._committer.create(new_job)
        return await self.get(request.tenant_id, _created(intake, mutation, request))

    async def _get_snapshot(
        self, request: CreateJobRequest, submission: Submission
    ) -> ProductSnapshot | None:
        if not request.product_id:
            if submission.action.requires_product:
                violation = FieldViolation("product_id", f"the action {request.action} needs a product")
                raise InvalidArgumentError([violation])
            return None
        product_id = UUID(request.product_id)
        found = await self._snapshots.load(request.tenant_id, [product_id], submission.marketplace)
        if product_id not in found:
            raise NotFoundError(
                f"Tenant {request.tenant_id} has no product {request.product_id}.",
                reason="PRODUCT_NOT_FOUND",
                metadata={"product_id": request.product_id},
            )
        return found[product_id]

    async def get(self, tenant_id: int, job_id: UUID) -> Job:
        """Returns a job with its tasks."""
        await self._tenants.require(tenant_id)
        async with self._reader.snapshot(tenant_id) as snapshot:
            row = await snapshot.find_job(job_id)
            if row is None:
                raise _job_not_found(tenant_id, job_id)
            return job_message(tenant_id, row, await snapshot.list_tasks(job_id))

    async def list(self, request: ListJobsRequest) -> ListJobsResponse:
        """Returns a page of jobs without their tasks, newest first."""
        before = decode_token(request, request.page_token, _single_uuid)
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        narrow = JobFilter(
            states=[job_pb2.JobState.Name(s).removeprefix("JOB_STATE_") for s in request.filter.states],
            product_id=UUID(request.filter.product_id) if request.filter.product_id else None,
            before_job_id=before,
        )
        async with self._reader.snapshot(request.tenant_id) as snapshot:
            rows = await snapshot.list_jobs(narrow, size + 1)
        return ListJobsResponse(
            jobs=[job_message(request.tenant_id, row) for row in rows[:size]],
            next_page_token=encode_token(request, [rows[size - 1].job_id]) if len(rows) > size else "",
        )

    async def list_events(self, request: ListJobEventsRequest) -> ListJobEventsResponse:
        """Returns a page of a job's history, oldest first."""
        after = decode_token(request, request.page_token, single_number) or 0
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        job_id = UUID(request.job_id)
        async with self._reader.snapshot(request.tenant_id) as snapshot:
            if await snapshot.find_job(job_id) is None:
                raise _job_not_found(request.tenant_id, job_id)
            rows = await snapshot.list_events(job_id, after, size + 1)
        return ListJobEventsResponse(
            events=[event_message(row) for row in rows[:size]],
            next_page_token=encode_token(request, [rows[size - 1].sequence]) if len(rows) > size else "",
        )

    async def watch(self, request: WatchJobRequest) -> AsyncIterator[WatchJobResponse]:
        """Yields a snapshot, then every event after it, until the job is terminal."""
        await self._tenants.require(request.tenant_id)
        job_id = UUID(request.job_id)
        # Listening begins before the snapshot is read, so no change falls between them.
        async with self._hints.watch(job_id) as changed:
            job = await self.get(request.tenant_id, job_id)
            yield WatchJobResponse(job=job)
            after = request.after_sequence if request.HasField("after_sequence") else job.event_sequence
            is_terminal = False
            while True:
                changed.clear()
                async with self._reader.snapshot(request.tenant_id) as snapshot:
                    row = await snapshot.find_job(job_id)
                    rows = await snapshot.list_events(job_id, after, MAX_EVENTS_A_READ)
                if row is None:
                    raise _job_not_found(request.tenant_id, job_id)
                for event_row in rows:
                    yield WatchJobResponse(event=event_message(event_row))
                    after = event_row.sequence
                is_terminal = row.finish_time is not None
                if len(rows) == MAX_EVENTS_A_READ:
                    continue
                if is_terminal:
                    return
                await _wait(changed, WATCH_POLL_SECONDS)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        # No hint came, or it was lost: the caller looks again either way.
        return


def _describe(
    mutation: Mutation, request: CreateJobRequest, submission: Submission, snapshot: ProductSnapshot | None
) -> NewJob:
    if snapshot is not None:
        check_product(submission.action, snapshot)
        submission.assignment.product.CopyFrom(snapshot)
    return NewJob(
        request_id=mutation.request_id,
        method=mutation.method,
        body_sha256=mutation.body_sha256,
        job_id=UUID(mutation.result_id),
        tenant_id=request.tenant_id,
        marketplace=submission.marketplace,
        account_id=submission.account_id,
        product_id=UUID(request.product_id) if request.product_id else None,
        site=submission.site,
        action=request.action,
        manifest_version=submission.manifest_version,
        assignment=submission.assignment.SerializeToString(),
        priority=submission.priority,
        max_retries=submission.max_retries,
        not_before_time=submission.not_before_time,
        expire_after_seconds=submission.expire_after_seconds,
        tasks=plan_tasks(submission.action, snapshot),
        is_duplicate=request.allow_duplicate,
    )


def _created(intake: Intake, mutation: Mutation, request: CreateJobRequest) -> UUID:
    if intake.job_id is not None:
        return intake.job_id
    if intake.reused:
        raise AlreadyExistsError(
            "This request_id was used before with another body; choose a new one.",
            reason="REQUEST_ID_REUSED",
            metadata={"request_id": str(mutation.request_id)},
        )
    if intake.existing_job_id is not None:
        raise AlreadyExistsError(
            f"Job {intake.existing_job_id} already does {request.action!r} for this account, product and site; "
            "watch that one, or wait until it ends.",
            reason="JOB_EXISTS",
            metadata={"job_id": str(intake.existing_job_id)},
        )
    raise UnavailableError(
        "A job of the same subject has just ended; repeat the call.", retry_after_seconds=0.1
    )


def _job_not_found(tenant_id: int, job_id: UUID) -> NotFoundError:
    return NotFoundError(
        f"Tenant {tenant_id} has no job {job_id}.",
        reason="JOB_NOT_FOUND",
        metadata={"job_id": str(job_id)},
    )


def _single_uuid(parts: list[str]) -> UUID:
    (text,) = parts
    return UUID(text)
