"""Asks the engine and the reference the same, and compares their answers."""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid5

from psycopg import sql
from psycopg.types.json import Jsonb
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_service_pb2

from stoflow_orchestrator.engine.commands import (
    ExpireJob,
    LoseLease,
    ReconcileJob,
    RedispatchTask,
    TimeOutStart,
)
from stoflow_orchestrator.engine.intake import Intake, NewJob, PlannedTask
from stoflow_orchestrator.engine.pool import transaction
from stoflow_service_kit.errors import ServiceError
from tests.model.engine import rows
from tests.model.engine.calls import Calls, Grant, Submission
from tests.model.engine.engine import RETRY, Engine, Place, clean, read_facts
from tests.model.engine.messages import (
    Lease,
    lease_message,
    read_report,
    read_start,
    report_request,
    start_request,
)
from tests.model.engine.rows import MINUTE, PLANS, Bell, InstanceRow, JobRow, Outcome
from tests.model.engine.snapshot import Snapshots, compare, expect_same
from tests.model.engine.time_travel import travel_statement

T = TypeVar("T")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NAMES = UUID("7f0c0000-0000-4000-8000-000000000000")
REQUESTS = {
    "cancel": job_service_pb2.CancelJobRequest,
    "pause": job_service_pb2.PauseJobRequest,
    "resume": job_service_pb2.ResumeJobRequest,
    "retry": job_service_pb2.RetryJobRequest,
}


class Driver:
    """One marketplace of a tenant in both: two accounts, one of them limited to one job, and three connectors.

    The third connector runs another version of the manifest than the jobs ask for.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.names = 0
        self.has_crashed = False
        self.marketplace = "model"
        self.tenant = place.tenant_id
        self.engine = Engine(place, self.marketplace)
        self.snapshots = Snapshots(place)
        self.accounts = [self.name(), self.name()]
        self.products = [self.name(), self.name()]
        self.instances = [self.name(), self.name(), self.name()]
        versions = zip(self.instances, ("1", "1", "2"), strict=True)
        self.reference = Calls(
            {self.accounts[0]: None, self.accounts[1]: 1},
            {instance_id: InstanceRow(1, version, None) for instance_id, version in versions},
        )
        # Granted ever, in this order.
        self.leases: list[Lease] = []
        # Accepted ever.
        self.submissions: list[tuple[UUID, Submission]] = []
        self.calls: list[tuple[str, Any]] = []

    def name(self) -> UUID:
        """Returns a new id, the same each time when the history is repeated."""
        self.names += 1
        return uuid5(NAMES, str(self.names))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Asks the engine; it may have been killed after its commit."""
        try:
            return self.place.run(work)
        finally:
            if self.engine.dies_after_commit:
                self.engine.dies_after_commit = False
                self.crash()

    def answer(self, kind: str, found: object, expected: object) -> None:
        """Compares two answers."""
        assert found == expected, f"{kind}: the engine says {found}, the reference {expected}"

    # -- before anything --

    def open(self) -> None:
        """Begins with an empty marketplace whose connectors are there."""
        self.place.run(clean(self.place))
        self.place.run(self._open())
        self.register()

    async def _open(self) -> None:
        insert_account = sql.SQL(
            "INSERT INTO {} (account_id, marketplace, display_name, state, sites, settings, credentials) "
            "VALUES (%s, %s, 'Shop', 'CONNECTED', '{{}}', %s, '')"
        ).format(sql.Identifier(f"user_{self.tenant}", "accounts"))
        async with transaction(self.place.pool) as connection:
            for account in self.accounts:
                await connection.execute(insert_account, (account, self.marketplace, Jsonb({})))
                await connection.execute(
                    "INSERT INTO public.account_gates (account_id, tenant_id, marketplace, state, max_admitted_jobs) "
                    "VALUES (%s, %s, %s, 'CONNECTED', %s)",
                    (account, self.tenant, self.marketplace, self.reference.limits[account]),
                )

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

    def register(self) -> None:
        """Every connector comes back, and its process dies before it tells those who waited for it."""

        async def register() -> None:
            async with transaction(self.place.pool) as connection:
                for instance_id, instance in self.reference.instances.items():
                    await connection.execute(
                        "INSERT INTO public.connector_instances "
                        "(instance_id, marketplace, versions, slots, expire_time) "
                        "VALUES (%s, %s, %s, %s, now() + make_interval(secs => %s)) "
                        "ON CONFLICT (instance_id) DO UPDATE SET expire_time = excluded.expire_time",
                        (
                            instance_id,
                            self.marketplace,
                            [instance.version],
                            instance.slots,
                            rows.REGISTRATION,
                        ),
                    )

        self.place.run(register())
        for instance in self.reference.instances.values():
            instance.until = self.reference.now + rows.REGISTRATION

    def reconnect(self) -> None:
        """People connect their accounts again; the reaper finds the jobs that waited for it."""

        async def reconnect() -> None:
            async with transaction(self.place.pool) as connection:
                await connection.execute(
                    "UPDATE public.account_gates SET state = 'CONNECTED', connect_time = clock_timestamp()"
                )
                table = sql.Identifier(f"user_{self.tenant}", "accounts")
                await connection.execute(sql.SQL("UPDATE {} SET state = 'CONNECTED'").format(table))

        self.place.run(reconnect())
        self.reference.reconnect()

    # -- the engine's own work --

    def admit(self) -> None:
        """Admission is told of the tenant and passes."""
        self.engine.admission.stir([], [(self.marketplace, self.tenant)])
        self.reference.admit()
        self.run(self.engine.admit())

    def tick(self) -> None:
        """The reaper finds everything that is due, and what nobody told admission of."""

        async def tick() -> None:
            await self.engine.reaper.tick()
            await self.engine.admit()

        self.reference.tick()
        self.reference.admit()
        self.run(tick())

    def act_on_old_findings(self, bell: Bell) -> None:
        """Another orchestrator's reaper found something long ago and is only now heard: all is decided again."""
        self.reference.find_again(bell.job, bell.task)
        job = self.reference.jobs[bell.job]
        found_time = datetime.now(UTC) + timedelta(seconds=job.expire_at - self.reference.now - 1)
        timeout = timedelta(seconds=rows.DISPATCH_TIMEOUT)

        async def act() -> None:
            run = self.engine.committer.run
            await run(LoseLease(bell.job, bell.task, RETRY))
            await run(TimeOutStart(bell.job, bell.task, RETRY))
            await run(RedispatchTask(bell.job, bell.task, timeout, self.reference.has_connector))
            await run(ReconcileJob(bell.job))
            for earlier in range(1, job.run):
                await run(ExpireJob(bell.job, LONG_AGO, earlier))
            await run(ExpireJob(bell.job, found_time, job.run))

        self.run(act())

    def archive(self) -> None:
        """What has ended moves to the tenant's history."""
        self.reference.archive()
        self.run(self.engine.archiver.archive(self.tenant))

    def publish(self) -> None:
        """NATS acknowledges the events that wait; their rows go with a later group."""
        self.engine.publisher.publish_waiting()

    def crash(self) -> None:
        """The process dies with everything it remembered; another one begins."""
        self.has_crashed = True
        self.engine.start()
        self.reference.crash()

    def crash_after_next_commit(self) -> None:
        """The process will die after it has committed and before it has published or told anybody."""
        self.engine.dies_after_commit = True

    def let_time_pass(self, minutes: int, *, with_connectors: bool = False) -> None:
        """Time passes; connectors keep their registrations up unless theirs passes as well."""
        seconds = minutes * MINUTE
        statement = travel_statement(f"user_{self.tenant}", with_connectors=with_connectors)

        async def travel() -> None:
            async with self.place.pool.connection() as connection:
                await connection.execute(statement, {"seconds": float(seconds)})

        self.place.run(travel())
        self.reference.now += seconds
        if not with_connectors:
            for instance in self.reference.instances.values():
                if instance.until is not None:
                    instance.until += seconds

    # -- after everything --

    def agrees(self) -> None:
        """States, leases, histories, effects, slots, facts and commands are the reference's."""
        with_history = any(job.is_archived for job in self.reference.jobs.values())
        found = self.place.run(self.snapshots.read(with_history=with_history))
        compare(found, self.reference)
        expect_same("facts", self.engine.facts, self.reference.facts)
        expect_same("commands", self.engine.bells, self.reference.bells)
        assert max(self.engine.bells.values(), default=1) == 1, "a dispatch number is used once"
        # One message tells a connector of all that a group changed.
        assert set(self.engine.directives) == set(self.reference.directives)
        self.engine.directives.clear()
        self.reference.directives.clear()

    def close(self) -> None:
        """Whatever was lost in crashes, every event reaches its readers, once."""
        self.engine.dies_after_commit = False
        if self.has_crashed:
            self.let_time_pass(1)
            self.tick()
        self.publish()
        told: dict[UUID, list[tuple[str, str]]] = {
            m.message_id: read_facts(m.payload) for m in self.engine.delivered
        }
        facts = [fact for message in told.values() for fact in message]
        expect_same("events", dict(facts), self.reference.facts)
        assert len(facts) == len(self.reference.facts), "each event is in one message"


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
