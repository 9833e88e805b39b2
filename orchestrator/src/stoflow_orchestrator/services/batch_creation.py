"""Batches as callers submit them: thousands of jobs in one call, all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import uuid_utils.compat as uuid_utils
from stoflow.connector.v1.task_pb2 import TaskAssignment
from stoflow.jobs.v1.batch_pb2 import Batch
from stoflow.jobs.v1.batch_service_pb2 import CreateBatchRequest

from stoflow_orchestrator.engine.bulk_intake import BulkIntake
from stoflow_orchestrator.engine.intake import PlannedTask
from stoflow_orchestrator.engine.new_batch import NewBatch, NewBatchJob
from stoflow_orchestrator.messages.batch import new_batch_message
from stoflow_orchestrator.repositories.mutation import Mutation
from stoflow_orchestrator.services.batches import BatchService
from stoflow_orchestrator.services.idempotency import describe_mutation, repeated_result
from stoflow_orchestrator.services.planning import plan_tasks, product_violations
from stoflow_orchestrator.services.snapshots import Snapshot, SnapshotLoader
from stoflow_orchestrator.services.submission import Submission, Submissions
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import (
    AlreadyExistsError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
)
from stoflow_service_kit.turns import Turns

MAX_VIOLATIONS = 1_000


class BatchCreation:
    """Creates batches."""

    def __init__(
        self,
        tenants: TenantDirectory,
        submissions: Submissions,
        snapshots: SnapshotLoader,
        intake: BulkIntake,
        batches: BatchService,
    ) -> None:
        self._tenants = tenants
        self._submissions = submissions
        self._snapshots = snapshots
        self._intake = intake
        self._batches = batches

    async def create(self, request: CreateBatchRequest) -> Batch:
        """Creates a batch with its jobs; everything wrong with the request is said before anything is written.

        Returns:
            The batch created now; or the one created before under the same request id, as it is now.
        """
        check_storable(request)
        await self._tenants.require(request.tenant_id)
        batch_id = uuid_utils.uuid7()
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(batch_id))
        first, account = await self._submissions.find_first(request, mutation)
        if first is not None:
            return await self._batches.get(request.tenant_id, UUID(first))
        submission = await self._submissions.check(request, account)
        product_ids = [UUID(product_id) for product_id in request.product_ids]
        if len(set(product_ids)) < len(product_ids):
            # The same id may be written in several ways.
            raise InvalidArgumentError([FieldViolation("product_ids", "must name each product once")])
        snapshots = await self._snapshots.load(
            request.tenant_id, product_ids, submission.marketplace, submission.price_rule
        )
        _check_found(request, product_ids, snapshots)
        jobs = await _plan_jobs(submission, product_ids, snapshots)
        return await self._insert(mutation, _describe(mutation, batch_id, submission, jobs))

    async def _insert(self, mutation: Mutation, batch: NewBatch) -> Batch:
        intake = await self._intake.create(batch)
        if intake.create_time is not None:
            return new_batch_message(batch, intake.create_time)
        if intake.first is not None:
            return await self._batches.get(batch.tenant_id, UUID(repeated_result(mutation, intake.first)))
        raise _jobs_exist(batch, intake.existing)


def _check_found(
    request: CreateBatchRequest, product_ids: Sequence[UUID], found: Mapping[UUID, Snapshot]
) -> None:
    missing = [
        FieldViolation(f"product_ids[{index}]", f"there is no product {product_id}")
        for index, product_id in enumerate(product_ids)
        if product_id not in found
    ]
    if missing:
        raise NotFoundError(
            f"Tenant {request.tenant_id} has not {len(missing)} of the {len(product_ids)} products.",
            reason="PRODUCT_NOT_FOUND",
            metadata={"product_id": str(product_ids[_index(missing[0])])},
            violations=missing,
        )


def _index(violation: FieldViolation) -> int:
    return int(violation.field.removeprefix("product_ids[").removesuffix("]"))


async def _plan_jobs(
    submission: Submission, product_ids: Sequence[UUID], snapshots: Mapping[UUID, Snapshot]
) -> list[NewBatchJob]:
    """Plans each product's job.

    Raises:
        InvalidArgumentError: PRODUCT_REFUSED, with the violations of all products.
    """
    action = submission.action
    schema = action.product_schema
    plans: dict[int, tuple[PlannedTask, ...]] = {}
    violations: list[FieldViolation] = []
    jobs: list[NewBatchJob] = []
    turns = Turns()
    for index, product_id in enumerate(product_ids):
        # Checking a product against a schema takes up to a millisecond.
        await turns.rest()
        snapshot = snapshots[product_id].message
        violations += snapshots[product_id].price.violations(f"product_ids[{index}]")
        violations += snapshots[product_id].listed_violations(
            action, submission.account_id, submission.site, f"product_ids[{index}]"
        )
        violations += product_violations(schema, snapshot, f"product_ids[{index}]")
        # A plan depends on nothing of the product but its number of images.
        images = len(snapshot.product.images)
        if images not in plans:
            try:
                plans[images] = plan_tasks(action, snapshot)
            except InvalidArgumentError as refused:
                violations += [_of_product(index, violation) for violation in refused.violations]
        if len(violations) >= MAX_VIOLATIONS:
            break
        if not violations:
            assignment = TaskAssignment(product=snapshot).SerializeToString()
            jobs.append(NewBatchJob(product_id, assignment, plans[images]))
    if violations:
        raise InvalidArgumentError(violations[:MAX_VIOLATIONS], reason="PRODUCT_REFUSED")
    return jobs


def _of_product(index: int, violation: FieldViolation) -> FieldViolation:
    path = violation.field.removeprefix("product")
    return FieldViolation(f"product_ids[{index}]{path}", violation.description, violation.rule)


def _describe(
    mutation: Mutation, batch_id: UUID, submission: Submission, jobs: Sequence[NewBatchJob]
) -> NewBatch:
    return NewBatch(
        mutation=mutation,
        batch_id=batch_id,
        marketplace=submission.marketplace,
        account_id=submission.account_id,
        site=submission.site,
        action=submission.action.name,
        manifest_version=submission.manifest_version,
        # Serialized messages of one type may be concatenated: the product follows in each job's own part.
        shared_assignment=submission.assignment.SerializeToString(),
        priority=submission.priority,
        max_retries=submission.max_retries,
        not_before_time=submission.not_before_time,
        expire_after_seconds=submission.expire_after_seconds,
        jobs=jobs,
    )


def _jobs_exist(batch: NewBatch, existing: Mapping[UUID, UUID]) -> AlreadyExistsError:
    violations = [
        FieldViolation(f"product_ids[{index}]", f"job {job_id} already does this")
        for index, job in enumerate(batch.jobs)
        if (job_id := existing.get(job.product_id)) is not None
    ]
    return AlreadyExistsError(
        f"{len(violations)} of the {len(batch.jobs)} products have a live job for the same account, action and site; "
        "leave them out, or wait until those have ended.",
        reason="JOB_EXISTS",
        metadata={"job_id": str(next(iter(existing.values())))},
        violations=violations,
    )
