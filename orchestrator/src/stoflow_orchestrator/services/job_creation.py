"""Creates jobs one by one."""

from __future__ import annotations

from uuid import UUID

import uuid_utils.compat as uuid_utils
from stoflow.jobs.v1.job_pb2 import Job
from stoflow.jobs.v1.job_service_pb2 import CreateJobRequest

from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.engine.intake import Intake, NewJob
from stoflow_orchestrator.messages.job import new_job_message
from stoflow_orchestrator.repositories.mutation import Mutation
from stoflow_orchestrator.services.idempotency import describe_mutation
from stoflow_orchestrator.services.job_reading import JobReading
from stoflow_orchestrator.services.planning import check_product, plan_tasks
from stoflow_orchestrator.services.snapshots import Snapshot, SnapshotLoader
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


class JobCreation:
    """CreateJob."""

    def __init__(
        self,
        tenants: TenantDirectory,
        snapshots: SnapshotLoader,
        submissions: Submissions,
        committer: Committer,
        reading: JobReading,
    ) -> None:
        self._tenants = tenants
        self._snapshots = snapshots
        self._submissions = submissions
        self._committer = committer
        self._reading = reading

    async def create(self, request: CreateJobRequest) -> Job:
        """Creates a job with its tasks; everything wrong with the request is said before anything is written."""
        check_storable(request)
        await self._tenants.require(request.tenant_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(uuid_utils.uuid7()))
        first, account = await self._submissions.find_first(request, mutation)
        if first is not None:
            return await self._reading.get(request.tenant_id, UUID(first))
        submission = await self._submissions.check(request, account)
        snapshot = await self._get_snapshot(request, submission)
        new_job = _describe(mutation, request, submission, snapshot)
        intake = await self._committer.create(new_job)
        job_id = _created(intake, mutation, request)
        if intake.create_time is None:
            return await self._reading.get(request.tenant_id, job_id)
        return new_job_message(new_job, intake.create_time)

    async def _get_snapshot(self, request: CreateJobRequest, submission: Submission) -> Snapshot | None:
        if not request.product_id:
            if submission.action.requires_product:
                violation = FieldViolation("product_id", f"the action {request.action} needs a product")
                raise InvalidArgumentError([violation])
            return None
        product_id = UUID(request.product_id)
        snapshot = await self._snapshots.load_one(
            request.tenant_id, product_id, submission.marketplace, submission.price_rule
        )
        if snapshot is None:
            raise NotFoundError(
                f"Tenant {request.tenant_id} has no product {request.product_id}.",
                reason="PRODUCT_NOT_FOUND",
                metadata={"product_id": request.product_id},
            )
        return snapshot


def _describe(
    mutation: Mutation, request: CreateJobRequest, submission: Submission, snapshot: Snapshot | None
) -> NewJob:
    if snapshot is not None:
        others = snapshot.price.violations("product")
        if not request.allow_duplicate:
            others += snapshot.listed_violations(
                submission.action, submission.account_id, submission.site, "product"
            )
        check_product(submission.action, snapshot.message, others)
        submission.assignment.product.CopyFrom(snapshot.message)
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
        tasks=plan_tasks(submission.action, None if snapshot is None else snapshot.message),
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
        raise job_exists(intake.existing_job_id, request.action)
    raise UnavailableError(
        "A job of the same subject has just ended; repeat the call.", retry_after_seconds=0.1
    )


def job_exists(job_id: UUID, action: str) -> AlreadyExistsError:
    """Makes the error of a second live job for the same thing."""
    return AlreadyExistsError(
        f"Job {job_id} already does {action!r} for this account, product and site; watch that one, or wait until it "
        "ends.",
        reason="JOB_EXISTS",
        metadata={"job_id": str(job_id)},
    )
