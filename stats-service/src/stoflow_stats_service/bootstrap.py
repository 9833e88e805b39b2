"""The only place that constructs pools, clients and services."""

import asyncio

from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from stoflow_service_kit.clock import Clock, SystemClock
from stoflow_service_kit.database import create_database_engine, database_address, wait_for_database
from stoflow_service_kit.errors import UnavailableError
from stoflow_service_kit.grpc_interceptor import RpcCall
from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_service_kit.http_server import HttpServer, create_app
from stoflow_service_kit.lifecycle import Lifecycle
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.metrics import new_registry
from stoflow_service_kit.nats import NatsConnection, connect_nats
from stoflow_service_kit.nats_consumer import PullConsumer
from stoflow_service_kit.startup import StartError, retry_until_reachable
from stoflow_stats_service.consumers.durable import DURABLE, STREAM, DurableKeeper, durable_config
from stoflow_stats_service.consumers.results import ResultConsumer
from stoflow_stats_service.metrics import CountingMetrics
from stoflow_stats_service.migrations.runner import migrate
from stoflow_stats_service.repositories.counted_event import CountedEventRepository
from stoflow_stats_service.repositories.counter import CounterRepository
from stoflow_stats_service.repositories.job_stats import JobStatsRepository
from stoflow_stats_service.rpc.stats import StatsServicer
from stoflow_stats_service.services.counting import CountingService
from stoflow_stats_service.services.marketplace_stats import MarketplaceStatsService
from stoflow_stats_service.settings import StatsSettings

log = get_logger(__name__)

SERVICE = "stats-service"
# One connection counts, the others answer.
POOL_SIZE = 5
# Messages of one pull; what arrives while a group is written is the next group.
MAX_PULL_MESSAGES = 256
CALL_GRACE_SECONDS = 5.0


class EventFeed:
    """The way from the stream to the counters; it begins when NATS answers, which nothing else waits for."""

    def __init__(
        self,
        settings: StatsSettings,
        lifecycle: Lifecycle,
        service: CountingService,
        metrics: CountingMetrics,
    ) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._service = service
        self._metrics = metrics
        self._clock = SystemClock()
        self._connection: NatsConnection | None = None
        self._consumer: ResultConsumer | None = None

    async def open(self) -> None:
        """Connects, for as long as it takes, and starts to count."""
        try:
            connection = await connect_nats(
                self._settings.nats_url, SERVICE, on_fatal=lambda error: self._lifecycle.fail(str(error))
            )
        except StartError as error:
            self._lifecycle.fail(str(error))
            return
        self._connection = connection
        source = PullConsumer(
            connection, STREAM, DURABLE, lambda: MAX_PULL_MESSAGES, max_batch=MAX_PULL_MESSAGES
        )
        self._consumer = consumer = ResultConsumer(source, self._service, self._metrics, self._clock)
        exists = asyncio.Event()

        def on_ensured() -> None:
            exists.set()
            source.wake()

        async def consume() -> None:
            # Pulling from what is not there yet would only fill the log.
            await exists.wait()
            await consumer.run()

        keeper = DurableKeeper(
            connection.jetstream(),
            durable_config(self._settings.event_ack_wait_seconds),
            is_healthy=lambda: exists.is_set() and source.is_healthy,
            on_ensured=on_ensured,
            clock=self._clock,
        )
        self._lifecycle.background.spawn("durable-keeper", keeper.run)
        self._lifecycle.background.spawn("result-consumer", consume)

    async def close(self) -> None:
        """Finishes what was pulled, sends its acknowledgements, disconnects."""
        if self._consumer is not None:
            await self._consumer.stop()
        await self._lifecycle.background.close()
        if self._connection is None:
            return
        if self._connection.is_connected:
            await self._connection.drain()
        else:
            await self._connection.close()


async def start(settings: StatsSettings, lifecycle: Lifecycle) -> None:
    """Starts the service; health says SERVING once the schema is migrated."""
    registry = new_registry()
    clock = SystemClock()
    engine = create_database_engine(settings.database_url, SERVICE, pool_size=POOL_SIZE, prepare=True)
    lifecycle.on_drain("database", engine.dispose)
    counting = CountingService(engine, CountedEventRepository(), CounterRepository())
    metrics = CountingMetrics(registry, lambda: clock.now().timestamp())
    feed = EventFeed(settings, lifecycle, counting, metrics)
    lifecycle.on_drain("event-feed", feed.close)
    server = _grpc_server(settings, engine, registry, clock)
    http_server = HttpServer(settings.http_address, create_app(registry, lambda: server.is_serving))
    http_address = await http_server.start()
    lifecycle.on_drain("http-server", http_server.stop)
    grpc_address = await server.start()
    lifecycle.on_drain("grpc-server", lambda: server.drain(CALL_GRACE_SECONDS))
    await migrate_when_reachable(settings.database_url)
    server.set_serving()
    lifecycle.serving(grpc_address=grpc_address, http_address=http_address)
    lifecycle.background.spawn("nats-connect", feed.open)


def _grpc_server(
    settings: StatsSettings, engine: AsyncEngine, registry: CollectorRegistry, clock: Clock
) -> GrpcServer:
    async def refuse_until_serving(call: RpcCall) -> None:
        # Health and reflection answer from the start; statistics need their tables.
        if call.method.startswith("/stoflow.") and not server.is_serving:
            raise UnavailableError("The service is starting or stopping.", retry_after_seconds=1)

    server = GrpcServer(settings.grpc_address, registry, guards=[refuse_until_serving])
    service = MarketplaceStatsService(engine, JobStatsRepository())
    StatsServicer(service, clock).add_to(server)
    return server


async def migrate_when_reachable(database_url: str) -> None:
    """Waits for the database, for as long as it takes, and brings the schema up to date."""
    await wait_for_database(database_url)
    await retry_until_reachable(
        "PostgreSQL",
        database_address(database_url),
        lambda: asyncio.to_thread(migrate, database_url),
        # A lost connection, or a lock that another migration holds.
        retry_on=(OperationalError,),
    )
    log.info("migrated")
