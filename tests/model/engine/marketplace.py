"""One marketplace in the engine and in the reference: time, crashes, the engine's own work, and the comparison."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid5

from psycopg import sql
from psycopg.types.json import Jsonb

from stoflow_orchestrator.engine.commands import (
    ExpireJob,
    LoseLease,
    ReconcileJob,
    RedispatchTask,
    TimeOutStart,
)
from stoflow_orchestrator.engine.pool import transaction
from tests.model.engine import rows
from tests.model.engine.calls import Calls
from tests.model.engine.engine import RETRY, Engine, Place, clean, read_facts
from tests.model.engine.rows import MINUTE, Bell, InstanceRow
from tests.model.engine.snapshot import Snapshots, compare, expect_same
from tests.model.engine.time_travel import travel_statement

T = TypeVar("T")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NAMES = UUID("7f0c0000-0000-4000-8000-000000000000")


class Marketplace:
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

    # -- connectors and accounts --

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
        self.run(self.engine.archiver.archive([self.tenant]))

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
