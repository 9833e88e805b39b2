"""Asks the engine and the reference what callers and connectors ask, and compares the answers."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_service_pb2

from stoflow_orchestrator.engine.intake import Intake, NewJob, PlannedTask
from stoflow_service_kit.errors import ServiceError
from tests.model.engine import rows
from tests.model.engine.calls import Grant, Submission
from tests.model.engine.engine import Place
from tests.model.engine.marketplace import NAMES, Marketplace
from tests.model.engine.messages import (
    Lease,
    lease_message,
    read_report,
    read_start,
    report_request,
    start_request,
)
from tests.model.engine.rows import MINUTE, PLANS, Bell, JobRow, Outcome

REQUESTS = {
    "cancel": job_service_pb2.CancelJobRequest,
    "pause": job_service_pb2.PauseJobRequest,
    "resume": job_service_pb2.ResumeJobRequest,
    "retry": job_service_pb2.RetryJobRequest,
}


class Driver(Marketplace):
    """A marketplace and whoever uses it."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        # Granted ever, in this order.
        self.leases: list[Lease] = []
        # Accepted ever.
        self.submissions: list[tuple[UUID, Submission]] = []
        self.calls: list[tuple[str, Any]] = []

    # -- callers --

    def create(
        self,
        action: str = "relist",
        *,
        account: int = 0,
        product: int = 0,
        priority: int = 3,
        max_retries: int = 0,
        is_duplicate: bool = False,
        wait: int | None = None,
    ) -> None:
        submission = Submission(
            job_id=self.name(),
            task_ids=tuple(self.name() for _ in PLANS[action]),
            tenant=self.tenant,
            account=self.accounts[account],
            product=None if action == "sync" else self.products[product],
            action=action,
            priority=priority,
            max_retries=max_retries,
            is_duplicate=is_duplicate,
            not_before=None if wait is None else self.reference.now + wait,
        )
        request_id = self.name()
        existing = self.reference.create(submission)
        intake = self.run(self._create(request_id, submission, submission.job_id, submission.task_ids))
        expected = (None if existing else submission.job_id, existing)
        self.answer("create", (intake.job_id, intake.existing_job_id), expected)
        if existing is None:
            self.submissions.append((request_id, submission))

    def create_again(self, request_id: UUID, submission: Submission) -> None:
        """The same request once more, planned anew as the service would: the first answer."""
        task_ids = tuple(self.name() for _ in submission.task_ids)
        intake = self.run(self._create(request_id, submission, self.name(), task_ids))
        self.answer("create again", intake.job_id, submission.job_id)

    async def _create(
        self, request_id: UUID, submission: Submission, job_id: UUID, task_ids: tuple[UUID, ...]
    ) -> Intake:
        not_before = None
        if submission.not_before is not None:
            async with self.place.pool.connection() as connection:
                (now,) = await (await connection.execute("SELECT now()")).fetchone() or (None,)
            assert isinstance(now, datetime)
            not_before = now + timedelta(seconds=submission.not_before - self.reference.now)
        tasks = tuple(
            PlannedTask(
                task_id=task_id,
                name=step.name,
                item_index=None,
                once_name=step.once,
                settle_seconds=rows.SETTLE if step.once else None,
                start_to_close_seconds=rows.START_TO_CLOSE,
                schedule_to_start_seconds=step.start_within,
            )
            for task_id, step in zip(task_ids, PLANS[submission.action], strict=True)
        )
        assignment = task_pb2.TaskAssignment(action=submission.action, manifest_version="1")
        return await self.engine.committer.create(
            NewJob(
                request_id=request_id,
                method="create",
                body_sha256=hashlib.sha256(submission.job_id.bytes).digest(),
                job_id=job_id,
                tenant_id=submission.tenant,
                marketplace=self.marketplace,
                account_id=submission.account,
                product_id=submission.product,
                site="",
                action=submission.action,
                manifest_version="1",
                assignment=assignment.SerializeToString(),
                priority=submission.priority,
                max_retries=submission.max_retries,
                not_before_time=not_before,
                expire_after_seconds=rows.EXPIRE_AFTER,
                tasks=tasks,
                is_duplicate=submission.is_duplicate,
            )
        )

    def control(self, call: str, job: JobRow) -> None:
        request = REQUESTS[call](request_id=str(self.name()), tenant_id=job.tenant, job_id=str(job.job_id))
        expected = self.reference.control(call, job)
        self.answer(call, self.run(self._control(call, request)), expected)
        if expected == "OK":
            self.calls.append((call, request))

    def control_again(self, call: str, request: Any) -> None:
        """The same call once more: answered alike, and nothing changes."""
        self.answer("again", self.run(self._control(call, request)), "OK")

    def control_as_another_tenant(self, call: str, job: JobRow) -> None:
        """A job of somebody else's is no job."""
        tenant = self.place.other_tenant_id
        request = REQUESTS[call](request_id=str(self.name()), tenant_id=tenant, job_id=str(job.job_id))
        self.answer(call, self.run(self._control(call, request)), "JOB_NOT_FOUND")

    async def _control(self, call: str, request: Any) -> str:
        try:
            await getattr(self.engine.control, call)(request)
        except ServiceError as error:
            return str(error.reason)
        return "OK"

    # -- connectors --

    def start(
        self, bell: Bell, instance_id: UUID, token: UUID | None = None, tenant: int | None = None
    ) -> None:
        """A command arrives, and a connector asks for the lease."""
        token, tenant = token or self.name(), tenant or self.tenant
        expected = self.reference.start(bell, tenant, instance_id, token)
        found = self.run(self._start(start_request(bell, tenant, instance_id, token)))
        self.answer("start", _settled(found, expected), expected)
        if isinstance(expected, Grant):
            self._granted(Lease(bell, token, instance_id))

    async def _start(self, request: rpc.StartTasksRequest) -> Grant | str:
        try:
            (result,) = (await self.engine.connectors.start(request)).results
        except ServiceError as error:
            return {"CONNECTOR_NOT_REGISTERED": "UNAVAILABLE"}.get(str(error.reason), str(error.reason))
        return read_start(result)

    def _granted(self, lease: Lease) -> None:
        if lease not in self.leases:
            self.leases.append(lease)

    def token_after(self, lease: Lease) -> UUID:
        """Returns the token under which the holder of a lease asks for the job's next task, always the same."""
        return uuid5(NAMES, f"after {lease.token}")

    def heartbeat(self, lease: Lease) -> None:
        expected = self.reference.heartbeat(lease.instance, lease.bell.job, lease.bell.task, lease.token)
        request = rpc.HeartbeatTasksRequest(
            instance_id=str(lease.instance),
            slots=self.reference.instances[lease.instance].slots,
            leases=[lease_message(lease)],
        )
        response = self.run(self.engine.connectors.heartbeat(request))
        directive = rpc.TaskDirective.Name(response.results[0].directive).removeprefix("TASK_DIRECTIVE_")
        self.answer("heartbeat", (directive, response.must_register), expected)

    def report(
        self, lease: Lease, outcome: Outcome, *, next_token: UUID | None = None, tenant: int | None = None
    ) -> None:
        """Hands in a result; with a token for it the job's next task begins at once."""
        tenant = tenant or self.tenant
        (result,) = self.run(
            self.engine.connectors.report(report_request(lease, tenant, outcome, next_token))
        ).results
        yields = self.run(self._has_yielded(lease.bell.job))
        expected = self.reference.report(
            lease.bell,
            tenant,
            lease.instance,
            lease.token,
            outcome,
            next_token=next_token,
            yields=yields,
        )
        decision, granted = read_report(result)
        self.answer("report", (decision, _settled(granted, expected[1])), expected)
        if granted is not None and next_token is not None:
            # It was never published, so its number is none.
            bell = Bell(lease.bell.tenant, lease.bell.job, UUID(result.next.task_id), 0)
            self._granted(Lease(bell, next_token, lease.instance))

    async def _has_yielded(self, job_id: UUID) -> bool:
        # Giving way rests on a hint; the reference only knows when it is allowed.
        if not any(self.reference.left_waiting.values()):
            return False
        async with self.place.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT type FROM public.live_events WHERE job_id = %s ORDER BY sequence DESC LIMIT 1",
                (job_id,),
            )
            row = await cursor.fetchone()
        return row is not None and row[0] == "YIELDED"

    def report_as_another(self, lease: Lease) -> None:
        """Another tenant's name, or a token that was never granted."""
        never_granted = lease._replace(token=self.name())
        self.release(never_granted)
        stolen = Outcome(remote_id="stolen", output="stolen")
        self.report(lease, stolen, tenant=self.place.other_tenant_id)
        self.report(never_granted, Outcome(output="stolen"), next_token=self.name())

    def release(self, lease: Lease) -> None:
        request = rpc.ReleaseTasksRequest(instance_id=str(lease.instance), leases=[lease_message(lease)])
        self.reference.release(lease.bell.job, lease.bell.task, lease.token)
        self.run(self.engine.connectors.release(request))


def _settled(found: Grant | str | None, expected: Grant | str | None) -> Grant | str | None:
    """Forgives the moment that has passed since an effect was sent."""
    if not isinstance(found, Grant) or not isinstance(expected, Grant):
        return found
    if found.effect is None or expected.effect is None:
        return found
    remaining = expected.effect.settle_remaining
    if abs(found.effect.settle_remaining - remaining) >= MINUTE / 2:
        return found
    return found._replace(effect=found.effect._replace(settle_remaining=remaining))
