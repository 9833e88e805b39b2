"""The only place that constructs pools, clients and services."""

import asyncio

from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError

from stoflow_service_kit.caller_token import open_token_file
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
from stoflow_stats_service.clients.history import HistoryClient
from stoflow_stats_service.consumers.durable import DURABLE, STREAM, DurableKeeper, durable_config
from stoflow_stats_service.consumers.results import ResultConsumer
from stoflow_stats_service.figure_metrics import FigureMetrics, RecentCollector
from stoflow_stats_service.metrics import CountingMetrics
from stoflow_stats_service.migrations.runner import migrate
from stoflow_stats_service.repositories.counted_event import CountedEventRepository
from stoflow_stats_service.repositories.counter import CounterRepository
from stoflow_stats_service.repositories.error_stats import ErrorStatsRepository
from stoflow_stats_service.repositories.generation import GenerationRepository
from stoflow_stats_service.repositories.job_stats import JobStatsRepository
from stoflow_stats_service.repositories.reconciled_day import ReconciledDayRepository
from stoflow_stats_service.repositories.task_stats import TaskStatsRepository
from stoflow_stats_service.rpc.stats import StatsServicer
from stoflow_stats_service.services.counting import CountingService
from stoflow_stats_service.services.history import HistorySettings
from stoflow_stats_service.services.rebuild_requests import RebuildService
from stoflow_stats_service.services.rebuilding import Rebuilder
from stoflow_stats_service.services.recent import RecentFiguresService
from stoflow_stats_service.services.reconciling import ReconcileService
from stoflow_stats_service.services.retention import RetentionService, RetentionSettings
from stoflow_stats_service.services.statistics import StatisticsService
from stoflow_stats_service.settings import StatsSettings

log = get_logger(__name__)

SERVICE = "stats-service"
# Counting, a rebuild, what is done in the background, and answers beside them.
POOL_SIZE = 8
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
        figures: FigureMetrics,
    ) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._service = service
        self._metrics = metrics
        self._figures = figures
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
        self._consumer = consumer = ResultConsumer(
            source, self._service, self._metrics, self._figures, self._clock
        )
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
        self._lifecycle.background.spawn("lag-watch", lambda: keeper.watch_lag(self._metrics))
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


class Parts:
    """Everything that reads or writes figures."""

    def __init__(self, settings: StatsSettings, registry: CollectorRegistry, clock: Clock) -> None:
        self.engine = engine = create_database_engine(
            settings.database_url, SERVICE, pool_size=POOL_SIZE, prepare=True
        )
        events, counters, generations = CountedEventRepository(), CounterRepository(), GenerationRepository()
        jobs, tasks, errors = JobStatsRepository(), TaskStatsRepository(), ErrorStatsRepository()
        days = ReconciledDayRepository()
        history = HistorySettings(settings.event_history_days, settings.rebuild_settle_seconds)
        address = settings.orchestrator_address
        self.client = client = (
            HistoryClient(address, open_token_file(settings.orchestrator_token_file)) if address else None
        )
        self.counting = CountingService(engine, events, counters, generations)
        self.statistics = StatisticsService(engine, generations, jobs, tasks, errors)
        self.rebuilds = RebuildService(
            engine, generations, history, clock, has_orchestrator=client is not None
        )
        self.reconciling = ReconcileService(engine, generations, days, client, history, clock)
        self.rebuilder = (
            Rebuilder(engine, self.counting, events, counters, generations, client, history, clock)
            if client
            else None
        )
        kept = RetentionSettings(
            settings.retention_event_ids_days,
            settings.retention_hours_days,
            settings.retention_days_days,
            settings.retention_check_seconds,
        )
        self.retention = RetentionService(engine, events, counters, generations, kept, clock)
        collector = RecentCollector(registry)
        self.recent = RecentFiguresService(engine, generations, jobs, tasks, errors, days, collector, clock)

    async def close(self) -> None:
        """Ends connections."""
        if self.client is not None:
            await self.client.close()
        await self.engine.dispose()


async def start(settings: StatsSettings, lifecycle: Lifecycle) -> None:
    """Starts the service; health says SERVING once the schema is migrated."""
    registry = new_registry()
    clock = SystemClock()
    parts = Parts(settings, registry, clock)
    lifecycle.on_drain("connections", parts.close)
    metrics = CountingMetrics(registry, lambda: clock.now().timestamp())
    feed = EventFeed(settings, lifecycle, parts.counting, metrics, FigureMetrics(registry))
    lifecycle.on_drain("event-feed", feed.close)
    server = _grpc_server(settings, parts, registry, clock)
    http_server = HttpServer(settings.http_address, create_app(registry, lambda: server.is_serving))
    http_address = await http_server.start()
    lifecycle.on_drain("http-server", http_server.stop)
    grpc_address = await server.start()
    lifecycle.on_drain("grpc-server", lambda: server.drain(CALL_GRACE_SECONDS))
    await migrate_when_reachable(settings.database_url)
    server.set_serving()
    lifecycle.serving(grpc_address=grpc_address, http_address=http_address)
    _spawn(lifecycle, settings, parts)
    lifecycle.background.spawn("nats-connect", feed.open)


def _spawn(lifecycle: Lifecycle, settings: StatsSettings, parts: Parts) -> None:
    spawn = lifecycle.background.spawn
    spawn("retention", parts.retention.run)
    spawn("recent-figures", lambda: parts.recent.run(settings.recent_figures_seconds))
    if parts.rebuilder is None:
        log.warning("orchestrator_not_set", consequence="no rebuild, no reconciling")
        return
    spawn("rebuilder", parts.rebuilder.run)
    spawn("reconciling", parts.reconciling.run)


def _grpc_server(
    settings: StatsSettings, parts: Parts, registry: CollectorRegistry, clock: Clock
) -> GrpcServer:
    async def refuse_until_serving(call: RpcCall) -> None:
        # Health and reflection answer from the start; statistics need their tables.
        if call.method.startswith("/stoflow.") and not server.is_serving:
            raise UnavailableError("The service is starting or stopping.", retry_after_seconds=1)

    server = GrpcServer(settings.grpc_address, registry, guards=[refuse_until_serving])
    StatsServicer(parts.statistics, parts.rebuilds, parts.reconciling, clock).add_to(server)
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
