"""Random histories: whatever is asked of the engine is asked of the reference, and they must agree."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid5

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from psycopg import sql
from psycopg.types.json import Jsonb
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_service_pb2

from stoflow_orchestrator.engine.commands import ExpireJob, LoseLease, RedispatchTask, TimeOutStart
from stoflow_orchestrator.engine.intake import NewJob, PlannedTask
from stoflow_orchestrator.lifecycle import JobState
from stoflow_service_kit.errors import ServiceError
from tests.model.engine import rows
from tests.model.engine.actions import action, actions_of
from tests.model.engine.calls import Calls, EffectGrant, Grant, Submission
from tests.model.engine.engine import RETRY, Engine, Place, clean, read_facts
from tests.model.engine.rows import MINUTE, PLANS, InstanceRow, JobRow, Outcome
from tests.model.engine.snapshot import Snapshots, compare, expect_same
from tests.model.engine.time_travel import travel_statement

MAX_JOBS = 7
NAMES = UUID("7f0c0000-0000-4000-8000-000000000000")
REQUESTS = {
    "cancel": job_service_pb2.CancelJobRequest,
    "pause": job_service_pb2.PauseJobRequest,
    "resume": job_service_pb2.ResumeJobRequest,
    "retry": job_service_pb2.RetryJobRequest,
}
# Where a call changes something, but for cancel and pause.
EFFECTIVE = {
    "cancel": (JobState.RUNNING, JobState.PAUSED),
    "pause": (JobState.RUNNING,),
    "resume": (JobState.PAUSED,),
    "retry": (JobState.FAILED, JobState.EXPIRED),
}
# Small numbers choose the newest of a list, which is where shrinking leads.
PICK = range(30)
NEWEST = [0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 5, 8]
FAILURES = [
    "RETRYABLE",
    "RETRYABLE",
    "RATE_LIMITED",
    "AUTH_REQUIRED",
    "PERMANENT",
    "PERMANENT",
    "NEEDS_HUMAN",
]


class Lease:
    """A token that was sent with a start, whatever the answer."""

    def __init__(self, bell: rows.Bell, token: UUID, instance: UUID) -> None:
        self.bell, self.token, self.instance = bell, token, instance


class EngineMachine(RuleBasedStateMachine):
    """Drives the engine and the reference; `place` is set by who runs it."""

    place: ClassVar[Place]
    # Over all examples.
    arrows: ClassVar[set[Any]] = set()
    answers: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.place.examples += 1
        self.names = 0
        self.steps = 0
        self.marketplace = f"m{self.place.examples}"
        self.tenant = self.place.tenant_id
        self.engine = Engine(self.place, self.marketplace)
        self.snapshots = Snapshots(self.place)
        self.accounts = [self.name(), self.name()]
        self.products = [self.name(), self.name()]
        self.instance_ids = [self.name(), self.name(), self.name()]
        self.reference = Calls(
            {self.accounts[0]: None, self.accounts[1]: 1},
            dict(
                zip(
                    self.instance_ids,
                    (InstanceRow(1, "1", None), InstanceRow(1, "1", None), InstanceRow(1, "2", None)),
                    strict=True,
                )
            ),
        )
        self.leases: list[Lease] = []
        self.submissions: list[tuple[UUID, Submission]] = []
        self.control_requests: list[tuple[str, Any]] = []

    def name(self) -> UUID:
        """Returns an id that no other example has and that is the same when this one is repeated."""
        self.names += 1
        return uuid5(NAMES, f"{self.place.examples}:{self.names}")

    def run(self, work: Any) -> Any:
        """Asks the engine; it may have been killed after its commit."""
        try:
            return self.place.run(work)
        finally:
            if self.engine.dies_after_commit:
                self.engine.dies_after_commit = False
                self.engine.start()
                self.reference.crash()

    def answer(self, kind: str, found: object, expected: object) -> None:
        """Compares two answers."""
        self.answers[f"{kind}:{found if isinstance(found, str) else type(found).__name__}"] += 1
        assert found == expected, f"{kind}: the engine says {found}, the reference {expected}"

    # -- before anything --

    @initialize()
    def open(self) -> None:
        """Begins with an empty marketplace whose connectors are there."""
        self.place.run(clean(self.place))
        self.place.run(self._open())
        for instance in self.reference.instances.values():
            instance.until = rows.REGISTRATION

    async def _open(self) -> None:
        schema = f"user_{self.tenant}"
        async with self.place.pool.connection() as connection, connection.transaction():
            for account in self.accounts:
                await connection.execute(
                    sql.SQL(
                        "INSERT INTO {} (account_id, marketplace, display_name, state, sites, settings, credentials) "
                        "VALUES (%s, %s, 'Shop', 'CONNECTED', '{{}}', %s, '')"
                    ).format(sql.Identifier(schema, "accounts")),
                    (account, self.marketplace, Jsonb({})),
                )
                await connection.execute(
                    "INSERT INTO public.account_gates (account_id, tenant_id, marketplace, state, max_admitted_jobs) "
                    "VALUES (%s, %s, %s, 'CONNECTED', %s)",
                    (account, self.tenant, self.marketplace, self.reference.limits[account]),
                )
            for instance_id in self.instance_ids:
                await self._register(connection, instance_id)

    async def _register(self, connection: Any, instance_id: UUID) -> None:
        instance = self.reference.instances[instance_id]
        await connection.execute(
            "INSERT INTO public.connector_instances (instance_id, marketplace, versions, slots, expire_time) "
            "VALUES (%s, %s, %s, %s, now() + make_interval(secs => %s)) "
            "ON CONFLICT (instance_id) DO UPDATE SET expire_time = excluded.expire_time",
            (instance_id, self.marketplace, [instance.version], instance.slots, rows.REGISTRATION),
        )

    # -- callers --

    @action(
        6,
        lambda self: len(self.reference.jobs) < MAX_JOBS,
        account=[0, 0, 1],
        product=[0, 0, 1],
        action=["publish", "publish", "relist", "update", "sync"],
        priority=[3, 3, 2, 1],
        max_retries=[0, 1, 2],
        is_duplicate=[False, False, True],
        wait=[None, None, None, None, MINUTE],
    )
    def create(
        self,
        account: int,
        product: int,
        action: str,
        priority: int,
        max_retries: int,
        is_duplicate: bool,
        wait: int | None,
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
        intake = self.run(self._create(request_id, submission))
        self.answer(
            "create",
            (intake.job_id, intake.existing_job_id),
            (None if existing else submission.job_id, existing),
        )
        if existing is None:
            self.submissions.append((request_id, submission))

    async def _create(self, request_id: UUID, submission: Submission, job_id: UUID | None = None) -> Any:
        digest = hashlib.sha256(submission.job_id.bytes).digest()
        waits = None
        async with self.place.pool.connection() as connection:
            if submission.not_before is not None:
                row = await (await connection.execute("SELECT now()")).fetchone()
                assert row is not None
                waits = row[0] + timedelta(seconds=submission.not_before - self.reference.now)
        assignment = task_pb2.TaskAssignment(action=submission.action, manifest_version="1")
        tasks = tuple(
            PlannedTask(
                task_id=task_id if job_id is None else self.name(),
                name=step.name,
                item_index=None,
                once_name=step.once,
                settle_seconds=rows.SETTLE if step.once else None,
                start_to_close_seconds=rows.START_TO_CLOSE,
                schedule_to_start_seconds=step.start_within,
            )
            for task_id, step in zip(submission.task_ids, PLANS[submission.action], strict=True)
        )
        return await self.engine.committer.create(
            NewJob(
                request_id=request_id,
                method="create",
                body_sha256=digest,
                job_id=job_id or submission.job_id,
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
                not_before_time=waits,
                expire_after_seconds=rows.EXPIRE_AFTER,
                tasks=tasks,
                is_duplicate=submission.is_duplicate,
            )
        )

    @action(2, lambda self: self.submissions, pick=PICK)
    def create_again(self, pick: int) -> None:
        """The same request once more, planned anew as the service would: the first answer."""
        request_id, submission = self.submissions[-1 - pick % len(self.submissions)]
        intake = self.run(self._create(request_id, submission, self.name()))
        self.answer("create again", intake.job_id, submission.job_id)

    @action(
        8,
        lambda self: self.reference.jobs,
        call=["cancel", "pause", "pause", "resume", "resume", "retry", "retry", "retry"],
        pick=NEWEST,
    )
    def control(self, call: str, pick: int) -> None:
        job = self._job(pick, call)
        request = REQUESTS[call](request_id=str(self.name()), tenant_id=job.tenant, job_id=str(job.job_id))
        expected = self.reference.control(call, job)
        self.answer(call, self.run(self._control(call, request)), expected)
        if expected == "OK":
            self.control_requests.append((call, request))

    @action(2, lambda self: self.control_requests, pick=NEWEST)
    def control_again(self, pick: int) -> None:
        """The same call once more: answered alike, and nothing changes."""
        call, request = self.control_requests[-1 - pick % len(self.control_requests)]
        self.answer("again", self.run(self._control(call, request)), "OK")

    @action(1, lambda self: self.reference.jobs, call=sorted(REQUESTS), pick=NEWEST)
    def control_as_another_tenant(self, call: str, pick: int) -> None:
        """A job of somebody else's is no job."""
        request = REQUESTS[call](
            request_id=str(self.name()),
            tenant_id=self.place.other_tenant_id,
            job_id=str(self._job(pick).job_id),
        )
        self.answer(call, self.run(self._control(call, request)), "JOB_NOT_FOUND")

    async def _control(self, call: str, request: Any) -> str:
        try:
            await getattr(self.engine.control, call)(request)
        except ServiceError as error:
            return str(error.reason)
        return "OK"

    def _job(self, pick: int, call: str = "") -> JobRow:
        states = EFFECTIVE.get(call, ())
        jobs = sorted(self.reference.jobs.values(), key=lambda job: job.state in states)
        return jobs[-1 - pick % len(jobs)]

    # -- connectors --

    @action(8, lambda self: self.engine.received, pick=NEWEST, instance=[0, 0, 0, 0, 1, 1, 2])
    def start(self, pick: int, instance: int) -> None:
        """A command arrives, perhaps not for the first time, and a connector asks for the lease."""
        self._start(self._bell(pick), self.instance_ids[instance], self.name(), self.tenant)

    @action(2, lambda self: self.leases, pick=NEWEST)
    def start_again(self, pick: int) -> None:
        """The answer to a start was lost; the connector repeats it with its token."""
        lease = self._lease(pick)
        self._start(lease.bell, lease.instance, lease.token, self.tenant)

    @action(1, lambda self: self.engine.received, pick=NEWEST)
    def start_as_another_tenant(self, pick: int) -> None:
        self._start(self._bell(pick), self.instance_ids[0], self.name(), self.place.other_tenant_id)

    def _start(self, bell: rows.Bell, instance_id: UUID, token: UUID, tenant: int) -> None:
        expected = self.reference.start(bell, tenant, instance_id, token)
        command = task_pb2.TaskCommand(
            tenant_id=tenant, job_id=str(bell.job), task_id=str(bell.task), dispatch=bell.number
        )
        start = rpc.TaskStart(command=command, lease_token=str(token))
        request = rpc.StartTasksRequest(instance_id=str(instance_id), starts=[start])
        found = self.run(self._ask_start(request))
        if isinstance(found, Grant) and isinstance(expected, Grant) and expected.effect is not None:
            # A moment has passed since the effect was sent.
            assert found.effect is not None
            assert abs(found.effect.settle_remaining - expected.effect.settle_remaining) < MINUTE / 2
            found = found._replace(effect=expected.effect._replace(**_but_settling(found.effect)))
        self.answer("start", found, expected)
        if isinstance(expected, Grant) and all(lease.token != token for lease in self.leases):
            self.leases.append(Lease(bell, token, instance_id))

    async def _ask_start(self, request: rpc.StartTasksRequest) -> Grant | str:
        try:
            (result,) = (await self.engine.connectors.start(request)).results
        except ServiceError as error:
            return {"CONNECTOR_NOT_REGISTERED": "UNAVAILABLE"}.get(str(error.reason), str(error.reason))
        if result.decision != rpc.START_DECISION_GRANTED:
            return rpc.StartDecision.Name(result.decision).removeprefix("START_DECISION_")
        return _grant(result.assignment)

    @action(4, lambda self: self.leases, pick=NEWEST)
    def heartbeat(self, pick: int) -> None:
        lease = self._lease(pick)
        expected = self.reference.heartbeat(lease.instance, lease.bell.job, lease.bell.task, lease.token)
        instance = self.reference.instances[lease.instance]
        request = rpc.HeartbeatTasksRequest(
            instance_id=str(lease.instance), slots=instance.slots, leases=[_lease_message(lease)]
        )
        response = self.run(self.engine.connectors.heartbeat(request))
        directive = rpc.TaskDirective.Name(response.results[0].directive).removeprefix("TASK_DIRECTIVE_")
        self.answers[f"heartbeat:{directive}"] += 1
        self.answer("heartbeat", (directive, response.must_register), expected)

    @action(
        4,
        lambda self: self.leases,
        pick=NEWEST,
        remote_id=["r1", "r1", "r2", ""],
        output=[None, "a", "b"],
    )
    def succeed(self, pick: int, remote_id: str, output: str | None) -> None:
        self._report(self._lease(pick), Outcome(remote_id=remote_id, output=output))

    @action(10, lambda self: self.leases, pick=NEWEST, remote_id=["r1", "r2"])
    def succeed_well(self, pick: int, remote_id: str) -> None:
        self._report(self._lease(pick), Outcome(remote_id=remote_id, output="a"))

    @action(
        10,
        lambda self: self.leases,
        pick=NEWEST,
        kind=FAILURES,
        effect=["UNKNOWN", "NOT_SENT", "DONE"],
        retry_after=[None, None, 2 * MINUTE],
    )
    def fail(self, pick: int, kind: str, effect: str, retry_after: int | None) -> None:
        self._report(self._lease(pick), Outcome(kind, effect, retry_after=retry_after))

    @action(1, lambda self: self.leases, pick=NEWEST)
    def report_as_another(self, pick: int) -> None:
        """Another tenant's name, or a token that was never granted."""
        lease = self._lease(pick)
        self._release(Lease(lease.bell, self.name(), lease.instance))
        self._report(lease, Outcome(remote_id="stolen", output="stolen"), tenant=self.place.other_tenant_id)
        self._report(Lease(lease.bell, self.name(), lease.instance), Outcome(remote_id="", output="stolen"))

    def _report(self, lease: Lease, outcome: Outcome, tenant: int | None = None) -> None:
        report = task_pb2.TaskReport(
            tenant_id=tenant or self.tenant,
            job_id=str(lease.bell.job),
            task_id=str(lease.bell.task),
            lease_token=str(lease.token),
            **_outcome_message(outcome),
        )
        request = rpc.ReportTasksRequest(instance_id=str(lease.instance), reports=[report])
        (result,) = self.run(self.engine.connectors.report(request)).results
        yields = self.run(self._has_yielded(lease.bell.job))
        expected = self.reference.report(
            lease.bell.job, lease.bell.task, tenant or self.tenant, lease.token, outcome, yields=yields
        )
        decision = rpc.ReportDecision.Name(result.decision).removeprefix("REPORT_DECISION_")
        self.answer("report", decision, expected)

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

    @action(3, lambda self: self.leases, pick=NEWEST)
    def release(self, pick: int) -> None:
        self._release(self._lease(pick))

    def _release(self, lease: Lease) -> None:
        request = rpc.ReleaseTasksRequest(instance_id=str(lease.instance), leases=[_lease_message(lease)])
        self.reference.release(lease.instance, lease.bell.job, lease.bell.task, lease.token)
        self.run(self.engine.connectors.release(request))

    def _lease(self, pick: int) -> Lease:
        tokens = {task.token for job in self.reference.jobs.values() for task in job.tasks}
        leases = sorted(self.leases, key=lambda lease: lease.token in tokens)
        return leases[-1 - pick % len(leases)]

    def _bell(self, pick: int) -> rows.Bell:
        bells = sorted(self.engine.received, key=self._is_awaited)
        return bells[-1 - pick % len(bells)]

    def _is_awaited(self, bell: rows.Bell) -> bool:
        task = next(t for t in self.reference.jobs[bell.job].tasks if t.task_id == bell.task)
        return task.dispatched_at is not None and task.dispatch == bell.number

    @action(2, lambda self: self.reference.jobs)
    def register(self) -> None:
        """Every connector comes back, and its process dies before it tells those who waited for it."""

        async def register() -> None:
            async with self.place.pool.connection() as connection, connection.transaction():
                for instance_id in self.instance_ids:
                    await self._register(connection, instance_id)

        self.place.run(register())
        for instance in self.reference.instances.values():
            instance.until = self.reference.now + rows.REGISTRATION

    @action(2, lambda self: self.reference.jobs)
    def reconnect(self) -> None:
        """People connect their accounts again; the reaper finds the jobs that waited for it."""

        async def reconnect() -> None:
            async with self.place.pool.connection() as connection, connection.transaction():
                await connection.execute("UPDATE public.account_gates SET state = 'CONNECTED'")
                table = sql.Identifier(f"user_{self.tenant}", "accounts")
                await connection.execute(sql.SQL("UPDATE {} SET state = 'CONNECTED'").format(table))

        self.place.run(reconnect())
        self.reference.accounts = dict.fromkeys(self.reference.accounts, True)

    # -- the engine's own work --

    def _has_work(self) -> bool:
        waiting = any(
            j.state is JobState.PENDING and j.held_until is None for j in self.reference.jobs.values()
        )
        return waiting or any(map(self._is_awaited, self.engine.received))

    @action(2, lambda self: self.reference.jobs)
    def admit(self) -> None:
        """Admission is told of the tenant and passes."""
        self.engine.admission.stir([], [(self.marketplace, self.tenant)])
        self.reference.admit()
        self.run(self.engine.admit())

    @action(16, lambda self: self._has_work())
    def admit_and_start(self) -> None:
        """The usual way of a job."""
        self.admit()
        if self.engine.received and self._is_awaited(self._bell(0)):
            self.start(0, 0)

    @action(8, lambda self: self.reference.jobs)
    def tick(self) -> None:
        """The reaper finds everything that is due, and what nobody told admission of."""

        async def tick() -> None:
            await self.engine.reaper.tick()
            await self.engine.admit()

        self.reference.tick()
        self.reference.admit()
        self.run(tick())

    @action(2, lambda self: self.leases, pick=NEWEST)
    def act_on_old_findings(self, pick: int) -> None:
        """Another orchestrator's reaper found something long ago and is only now heard: all is decided again."""
        lease = self._lease(pick)
        job_id, task_id = lease.bell.job, lease.bell.task
        job = self.reference.jobs[job_id]
        found = self.reference.find(job_id, task_id, self.tenant)
        if found is not None:
            self.reference.lose(*found)
            self.reference.time_out_start(*found)
            self.reference.ring_again(*found)
            self.reference.expire(job)

        async def act() -> None:
            async with self.place.pool.connection() as connection:
                cursor = await connection.execute(
                    "SELECT expire_time FROM public.live_jobs WHERE job_id = %s", (job_id,)
                )
                row = await cursor.fetchone()
            timeout = timedelta(seconds=rows.DISPATCH_TIMEOUT)
            run = self.engine.committer.run
            await run(LoseLease(job_id, task_id, RETRY))
            await run(TimeOutStart(job_id, task_id, RETRY))
            await run(RedispatchTask(job_id, task_id, timeout, self.reference.has_connector))
            if row is not None:
                await run(ExpireJob(job_id, row[0]))

        self.run(act())

    @action(3, lambda self: self.reference.jobs)
    def archive(self) -> None:
        self.reference.archive()
        self.run(self.engine.archiver.archive(self.tenant))

    @action(2, lambda self: self.reference.jobs)
    def publish(self) -> None:
        """NATS acknowledges the events that wait; their rows go with a later group."""
        self.engine.publisher.publish_waiting()

    @action(1, lambda self: self.reference.jobs)
    def crash(self) -> None:
        """The process dies with everything it remembered; another one begins."""
        self.engine.start()
        self.reference.crash()

    @action(2, lambda self: self.reference.jobs)
    def crash_after_next_commit(self) -> None:
        """The process will die after it has committed and before it has published or told anybody."""
        self.engine.dies_after_commit = True

    @action(
        7,
        lambda self: self.reference.jobs,
        minutes=[1, 1, 1, 2, 2, 4, 15],
        with_connectors=[False, False, False, True],
    )
    def let_time_pass(self, minutes: int, with_connectors: bool) -> None:
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

    @rule(seed=st.integers(0, 2**32 - 1))
    def step(self, seed: int) -> None:
        """Takes one of the steps that make sense now.

        Drawn evenly: hypothesis likes to repeat itself, and a history of five crashes in a row tells little.
        """
        self.steps += 1
        chance = random.Random(f"{seed}:{self.steps}")
        possible = [a for a in ACTIONS if a.when(self)]
        (chosen,) = chance.choices(possible, [a.weight for a in possible])
        arguments = {name: chance.choice(values) for name, values in chosen.arguments.items()}
        note(f"-> {chosen.name} {arguments}")
        self.answers[f"step:{chosen.name}"] += 1
        getattr(self, chosen.name)(**arguments)

    @invariant()
    def agrees(self) -> None:
        """States, leases, histories, effects, slots, facts and commands are the reference's."""
        with_history = any(job.is_archived for job in self.reference.jobs.values())
        found = self.place.run(self.snapshots.read(with_history=with_history))
        compare(found, self.reference)
        expect_same("facts", self.engine.facts, self.reference.facts)
        expect_same("commands", self.engine.bells, self.reference.bells)
        assert max(self.engine.bells.values(), default=1) == 1, "a dispatch number is used once"
        expect_same("directives", self.engine.directives, self.reference.directives)

    def teardown(self) -> None:
        """Whatever was lost in crashes, every event reaches its readers."""
        type(self).arrows |= self.reference.arrows
        for job in self.reference.jobs.values():
            if job.state is JobState.PAUSED and job.has_slot:
                self.answers["paused with a lease"] += 1
        self.answers["yielded"] += sum(
            e.type == "YIELDED" for j in self.reference.jobs.values() for e in j.history
        )
        self.engine.dies_after_commit = False
        self.let_time_pass(1, with_connectors=False)
        self.tick()
        self.engine.publisher.publish_waiting()
        told: dict[UUID, list[tuple[str, str]]] = {
            m.message_id: read_facts(m.payload) for m in self.engine.delivered
        }
        facts = [fact for message in told.values() for fact in message]
        expect_same("events", dict(facts), self.reference.facts)
        assert len(facts) == len(self.reference.facts), "each event is in one message"


ACTIONS = actions_of(EngineMachine)


def _but_settling(effect: EffectGrant) -> dict[str, Any]:
    return {"mode": effect.mode, "generation": effect.generation, "remote_id": effect.remote_id}


def _grant(assignment: task_pb2.TaskAssignment) -> Grant:
    effect = None
    if assignment.HasField("effect"):
        granted = assignment.effect
        effect = EffectGrant(
            task_pb2.EffectMode.Name(granted.mode).removeprefix("EFFECT_MODE_"),
            granted.generation,
            granted.remote_id,
            granted.settle_remaining.seconds,
        )
    outputs = tuple((o.name, o.output["v"] if "v" in o.output.fields else None) for o in assignment.outputs)
    return Grant(assignment.name, assignment.attempt, outputs, effect)  # type: ignore[arg-type]


def _lease_message(lease: Lease) -> rpc.TaskLease:
    return rpc.TaskLease(
        job_id=str(lease.bell.job), task_id=str(lease.bell.task), lease_token=str(lease.token)
    )


def _outcome_message(outcome: Outcome) -> dict[str, Any]:
    if outcome.error_class is None:
        success = task_pb2.TaskSuccess(remote_id=outcome.remote_id)
        if outcome.output is not None:
            success.output.update({"v": outcome.output})
        return {"success": success}
    failure = failure_pb2.Failure(
        error_class=failure_pb2.ErrorClass.Value(f"ERROR_CLASS_{outcome.error_class}"),
        effect_outcome=failure_pb2.EffectOutcome.Value(f"EFFECT_OUTCOME_{outcome.effect}"),
        code=f"CODE_{outcome.error_class}",
    )
    if outcome.retry_after is not None:
        failure.retry_after.FromSeconds(outcome.retry_after)
    return {"failure": failure}
