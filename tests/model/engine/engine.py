"""The real engine on a real database, in this process, with its doorbells in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import uvloop
from nats.aio.client import Client
from prometheus_client import CollectorRegistry
from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_orchestrator.engine.admission import Admission
from stoflow_orchestrator.engine.archiver import Archiver
from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.changes import Dispatch
from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.engine.metrics import EngineMetrics
from stoflow_orchestrator.engine.pool import HOT_PATH_SETTINGS
from stoflow_orchestrator.engine.publication import OutgoingEvents, Publication
from stoflow_orchestrator.engine.publisher import Publisher
from stoflow_orchestrator.engine.reaper import Reaper
from stoflow_orchestrator.engine.routing import Router
from stoflow_orchestrator.messaging.hints import JobHints
from stoflow_orchestrator.messaging.streams import Streams
from stoflow_orchestrator.migrations.runner import upgrade_public
from stoflow_orchestrator.repositories.database import Database, create_migration_engine
from stoflow_orchestrator.repositories.job import JobReader
from stoflow_orchestrator.services.connectors import ConnectorPolicy, ConnectorService
from stoflow_orchestrator.services.image_addresses import ImageAddresses, ImageSignatures
from stoflow_orchestrator.services.job_control import JobControl
from stoflow_orchestrator.services.job_reading import JobReading
from stoflow_orchestrator.services.planning import Planner
from stoflow_orchestrator.services.tenants import TenantDirectory, TenantService
from stoflow_service_kit.clock import SystemClock
from stoflow_service_kit.database import create_connection_pool
from stoflow_service_kit.nats_publisher import PipelinedPublisher
from tests.model.engine import rows
from tests.model.engine.rows import Bell

T = TypeVar("T")


class SlowestRetry(RetryPolicy):
    """Waits as long as full jitter ever does, so that a reference knows how long."""

    __slots__ = ()

    def delay(self, failure_count: int, at_least: timedelta = timedelta(0)) -> timedelta:
        seconds = min(self.cap_seconds, self.base_seconds * 2 ** (failure_count - 1))
        return max(at_least, timedelta(seconds=seconds))


RETRY = SlowestRetry(rows.RETRY_BASE, rows.RETRY_CAP, rows.RATE_LIMITED)
POLICY = ConnectorPolicy(timedelta(seconds=rows.LEASE), RETRY)


class MemoryPublisher(Publisher):
    """Publishes into lists: what NATS would have acknowledged."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], metrics: EngineMetrics, delivered: list[OutgoingEvents]
    ):
        client = Client()
        streams = Streams(client.jetstream(), 1)
        super().__init__(pool, client, PipelinedPublisher(client), streams, Router(pool), metrics)
        self.delivered = delivered

    def publish_waiting(self) -> None:
        """Publishes the events that wait."""
        self._deliver(self._events)
        self._events = []

    async def _publish(self, dispatches: Sequence[Dispatch], events: Sequence[OutgoingEvents]) -> None:
        self._deliver(events)

    def _deliver(self, events: Sequence[OutgoingEvents]) -> None:
        self.delivered += events
        self._acknowledged += [event.message_id for event in events]


@dataclass
class Place:
    """What outlives every example: a database with two tenants, and the loop that serves it."""

    loop: asyncio.AbstractEventLoop
    pool: AsyncConnectionPool[AsyncConnection[Any]]
    database: Database
    tenants: TenantDirectory
    tenant_id: int
    other_tenant_id: int

    @classmethod
    def open(cls, database_url: str) -> Place:
        """Migrates the database and makes its tenants."""
        loop = uvloop.new_event_loop()
        migrations = create_migration_engine(database_url)
        upgrade_public(migrations)
        # No server crashes here; what a crash of PostgreSQL leaves is another suite's subject.
        session = {**HOT_PATH_SETTINGS, "synchronous_commit": "off"}
        pool = create_connection_pool(database_url, "model", max_size=4, check=False, settings=session)
        loop.run_until_complete(pool.open())
        database = Database.connect(database_url, pool_size=2)
        service = TenantService(database, migrations)
        place = cls(loop, pool, database, TenantDirectory(database), 0, 0)
        place.tenant_id = place.run(create_tenant(service))
        place.other_tenant_id = place.run(create_tenant(service))
        migrations.dispose()
        return place

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs to the end."""
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """Closes every connection."""
        self.run(self.pool.close())
        self.run(self.database.close())
        self.loop.close()


async def create_tenant(service: TenantService) -> int:
    from uuid import uuid4

    from stoflow.tenants.v1.tenant_service_pb2 import CreateTenantRequest

    request = CreateTenantRequest(request_id=str(uuid4()), display_name="Model")
    return (await service.create(request)).tenant_id


class Engine:
    """Everything of one orchestrator that lives in memory, made anew by a crash."""

    def __init__(self, place: Place, marketplace: str) -> None:
        self.place = place
        self.marketplace = marketplace
        # Seen by the commits, published or not.
        self.bells: Counter[Bell] = Counter()
        self.directives: Counter[UUID] = Counter()
        self.facts: dict[str, str] = {}
        # Published: commands that a connector may receive, now or ever, and events.
        self.received: list[Bell] = []
        self.delivered: list[OutgoingEvents] = []
        # Whether the process dies between its next commit and what follows from it.
        self.dies_after_commit = False
        self.start()

    def start(self) -> None:
        """Makes everything that lives in memory."""
        place, metrics = self.place, EngineMetrics(CollectorRegistry())
        self.publisher = MemoryPublisher(place.pool, metrics, self.delivered)
        self.admission = Admission(place.pool, self.on_commit)
        self.committer = Committer(
            place.pool, self.on_commit, self.publisher.take_acknowledged, metrics, self.admission.contention
        )
        self.archiver = Archiver(place.pool, metrics)
        clock = SystemClock()
        self.reaper = Reaper(
            pool=place.pool,
            committer=self.committer,
            admission=self.admission,
            archiver=self.archiver,
            publisher=self.publisher,
            clock=clock,
            lease=POLICY.lease,
            dispatch_timeout=timedelta(seconds=rows.DISPATCH_TIMEOUT),
            retry=RETRY,
            metrics=metrics,
        )
        reader = JobReader(place.pool)
        reading = JobReading(place.tenants, reader, JobHints(self.publisher.client))
        self.control = JobControl(place.pool, self.on_commit, place.tenants, reading)
        images = ImageAddresses(ImageSignatures(bytes(32), clock), "http://images.example")
        self.connectors = ConnectorService(
            place.pool,
            self.committer,
            self.admission,
            self.publisher.streams,
            self.publisher.router,
            Planner(place.pool, clock),
            images,
            place.tenants,
            reader,
            POLICY,
        )

    def on_commit(self, publication: Publication) -> None:
        """What follows a commit; lost when the process dies just then."""
        bells = [Bell(d.tenant_id, d.job_id, d.task_id, d.number) for d in publication.dispatches]
        self.bells.update(bells)
        self.directives.update(instance_id for _, instance_id in publication.directives)
        for message in publication.events:
            self._note_facts(message.payload)
        if self.dies_after_commit:
            return
        self.received += bells
        self.publisher.publish_soon(publication)
        self.admission.stir(publication.stirred, publication.queued)

    def _note_facts(self, payload: bytes) -> None:
        for event_id, outcome in read_facts(payload):
            assert event_id not in self.facts, f"{event_id} is told twice"
            self.facts[event_id] = outcome

    async def admit(self) -> None:
        """Passes until nothing is left to be admitted, as the running engine does."""
        admission = self.admission
        while admission._stirred:
            marketplace, tenants = admission._stirred.popitem()
            if await admission.admit(marketplace, tenants):
                admission.stir([marketplace])


def read_facts(payload: bytes) -> list[tuple[str, str]]:
    """Returns id and outcome of the events of a message."""
    facts = []
    for event in event_pb2.EventBatch.FromString(payload).events:
        if event.HasField("run_finished"):
            outcome = job_pb2.JobState.Name(event.run_finished.state).removeprefix("JOB_STATE_")
        else:
            name = event_pb2.AttemptOutcome.Name(event.attempt_finished.outcome)
            outcome = name.removeprefix("ATTEMPT_OUTCOME_")
        facts.append((event.event_id, outcome))
    return facts


CLEAN = (
    "live_events",
    "live_tasks",
    "live_jobs",
    "effects",
    "outbox",
    "result_events",
    "connector_instances",
    "account_gates",
    "dead_letters",
    "admission_tenants",
    "admission_clocks",
)
CLEAN_TENANT = ("job_events", "marketplace_tasks", "marketplace_jobs", "accounts")


async def clean(place: Place) -> None:
    """Empties what an example wrote."""
    async with place.pool.connection() as connection, connection.pipeline(), connection.transaction():
        for table in CLEAN:
            await connection.execute(sql.SQL("DELETE FROM public.{}").format(sql.Identifier(table)))
        for table in CLEAN_TENANT:
            schema_table = sql.Identifier(f"user_{place.tenant_id}", table)
            await connection.execute(sql.SQL("DELETE FROM {}").format(schema_table))
        await connection.execute("DELETE FROM public.mutation_requests WHERE tenant_id > 0")
