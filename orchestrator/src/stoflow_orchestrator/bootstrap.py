"""The only place that constructs pools, clients and services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from prometheus_client import CollectorRegistry
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.exc import OperationalError
from stoflow.accounts.v1 import account_service_pb2_grpc
from stoflow.admin.v1 import admin_service_pb2_grpc
from stoflow.catalog.v1 import (
    listing_service_pb2_grpc,
    order_service_pb2_grpc,
    preview_service_pb2_grpc,
    price_service_pb2_grpc,
    product_service_pb2_grpc,
    reference_service_pb2_grpc,
)
from stoflow.connector.v1 import connector_service_pb2_grpc
from stoflow.jobs.v1 import batch_service_pb2_grpc, job_service_pb2_grpc
from stoflow.tenants.v1 import tenant_service_pb2_grpc

from stoflow_orchestrator.clients.address_guard import AddressGuard, parse_networks
from stoflow_orchestrator.clients.image_bucket import BucketPlace, ImageBucket
from stoflow_orchestrator.clients.image_folder import ImageFolder
from stoflow_orchestrator.clients.image_source import ImageSource
from stoflow_orchestrator.clients.image_store import ImageStore
from stoflow_orchestrator.engine.admission import Admission
from stoflow_orchestrator.engine.archiver import Archiver
from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.bulk_intake import BulkIntake
from stoflow_orchestrator.engine.bulk_retry import BulkRetry
from stoflow_orchestrator.engine.changes import Dispatch
from stoflow_orchestrator.engine.commands import WaitForSeller
from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.engine.metrics import EngineMetrics
from stoflow_orchestrator.engine.pool import HOT_PATH_SETTINGS
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.engine.publisher import Publisher
from stoflow_orchestrator.engine.reaper import Reaper
from stoflow_orchestrator.engine.retention import Retention, RetentionPolicy
from stoflow_orchestrator.engine.routing import Offline, Router
from stoflow_orchestrator.http.images import image_route
from stoflow_orchestrator.messaging.hints import JobHints
from stoflow_orchestrator.messaging.streams import Streams
from stoflow_orchestrator.migrations.runner import upgrade_public
from stoflow_orchestrator.repositories.batch_reading import BatchReader
from stoflow_orchestrator.repositories.database import Database, create_migration_engine
from stoflow_orchestrator.repositories.job import JobReader
from stoflow_orchestrator.rpc.accounts import AccountServicer
from stoflow_orchestrator.rpc.admin import AdminServicer, AdminServices
from stoflow_orchestrator.rpc.batches import BatchServicer
from stoflow_orchestrator.rpc.connector import ConnectorServicer
from stoflow_orchestrator.rpc.jobs import JobServicer
from stoflow_orchestrator.rpc.listings import ListingServicer
from stoflow_orchestrator.rpc.orders import OrderServicer
from stoflow_orchestrator.rpc.preview import PreviewServicer
from stoflow_orchestrator.rpc.prices import PriceServicer
from stoflow_orchestrator.rpc.products import ProductServicer, ProductServices
from stoflow_orchestrator.rpc.reference import ReferenceServicer
from stoflow_orchestrator.rpc.tenants import TenantServicer
from stoflow_orchestrator.services.account_erasure import AccountErasures
from stoflow_orchestrator.services.account_syncs import AccountSyncs
from stoflow_orchestrator.services.accounts import AccountService
from stoflow_orchestrator.services.admin_dead_letters import AdminDeadLetters
from stoflow_orchestrator.services.admin_effects import AdminEffects
from stoflow_orchestrator.services.admin_events import AdminEvents
from stoflow_orchestrator.services.admin_gates import AdminGates
from stoflow_orchestrator.services.admin_queues import AdminQueues
from stoflow_orchestrator.services.authorizations import AuthorizationService
from stoflow_orchestrator.services.batch_control import BatchControl
from stoflow_orchestrator.services.batch_creation import BatchCreation
from stoflow_orchestrator.services.batches import BatchService
from stoflow_orchestrator.services.connection_expiry import ConnectionExpiry
from stoflow_orchestrator.services.connections import ConnectionJobs, ConnectionService
from stoflow_orchestrator.services.connectors import ConnectorPolicy, ConnectorService
from stoflow_orchestrator.services.credentials import CredentialService
from stoflow_orchestrator.services.hints import HintService
from stoflow_orchestrator.services.image_addresses import ImageAddresses, ImageSignatures
from stoflow_orchestrator.services.images import ImageService
from stoflow_orchestrator.services.job_control import JobControl
from stoflow_orchestrator.services.job_creation import JobCreation
from stoflow_orchestrator.services.job_reading import JobReading
from stoflow_orchestrator.services.listing_updates import ListingUpdates
from stoflow_orchestrator.services.listings import ListingService
from stoflow_orchestrator.services.mappings import MappingService
from stoflow_orchestrator.services.orders import OrderService
from stoflow_orchestrator.services.pairings import PairingService
from stoflow_orchestrator.services.planning import Planner
from stoflow_orchestrator.services.preview import PreviewService
from stoflow_orchestrator.services.prices import PriceService
from stoflow_orchestrator.services.product_changes import ProductChanges
from stoflow_orchestrator.services.product_import import ProductImportService
from stoflow_orchestrator.services.product_listings import ProductListings
from stoflow_orchestrator.services.products import ProductService
from stoflow_orchestrator.services.reference import ReferenceService
from stoflow_orchestrator.services.secret_box import SecretBox, parse_keys
from stoflow_orchestrator.services.sessions import SessionService
from stoflow_orchestrator.services.snapshots import SnapshotLoader
from stoflow_orchestrator.services.submission import Submissions
from stoflow_orchestrator.services.sync_policies import SyncPolicies
from stoflow_orchestrator.services.sync_state import SyncStates
from stoflow_orchestrator.services.tenants import TenantDirectory, TenantService
from stoflow_orchestrator.settings import OrchestratorSettings, decode_key
from stoflow_service_kit.clock import SystemClock
from stoflow_service_kit.database import create_connection_pool, database_address, wait_for_database
from stoflow_service_kit.errors import UnavailableError
from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_service_kit.http_server import HttpServer, create_app
from stoflow_service_kit.lifecycle import Lifecycle
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.metrics import new_registry
from stoflow_service_kit.nats import NatsConnection, connect_nats
from stoflow_service_kit.nats_publisher import PipelinedPublisher
from stoflow_service_kit.startup import retry_until_reachable

log = get_logger(__name__)

SERVICE = "orchestrator"
# Two committers, admission, the reaper, the archiver and a few reads.
POOL_SIZE = 8
CATALOG_POOL_SIZE = 5
CALL_GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Engine:
    """What moves jobs."""

    committer: Committer
    admission: Admission
    publisher: Publisher
    archiver: Archiver
    reaper: Reaper
    retention: Retention
    streams: Streams
    router: Router
    # Publishes what a transaction beside the committer's left.
    on_commit: Callable[[Publication], None]


async def start(settings: OrchestratorSettings, lifecycle: Lifecycle) -> None:
    """Starts the service; health says SERVING once `public` is migrated and the streams exist."""
    clock = SystemClock()
    registry = new_registry()
    await migrate_when_reachable(settings.database_url)
    pool = create_connection_pool(
        settings.database_url, SERVICE, max_size=POOL_SIZE, check=False, settings=HOT_PATH_SETTINGS
    )
    await pool.open()
    lifecycle.on_drain("pool", pool.close)
    database = Database.connect(settings.database_url, pool_size=CATALOG_POOL_SIZE)
    lifecycle.on_drain("database", database.close)
    nats = await connect_nats(
        settings.nats_url,
        SERVICE,
        on_fatal=lambda error: lifecycle.fail(f"NATS: {error}"),
        # Hints of this process reach its watchers from memory.
        hears_itself=False,
    )
    lifecycle.on_drain("nats", lambda: _close_nats(nats))
    hints = JobHints(nats)
    engine = _create_engine(settings, pool, nats, hints, clock, registry)
    await retry_until_reachable("NATS JetStream", nats_name(nats), engine.streams.ensure_events)
    await hints.start()
    signatures = ImageSignatures(decode_key(settings.image_url_key), clock)
    images = await _open_image_store(settings, lifecycle)
    grpc_server = GrpcServer(settings.grpc_address, registry)
    http_server = HttpServer(
        settings.http_address,
        create_app(registry, lambda: grpc_server.is_serving, [image_route(images, signatures)]),
    )
    http_address = await http_server.start()
    lifecycle.on_drain("http-server", http_server.stop)
    addresses = ImageAddresses(signatures, settings.image_base_url or f"http://{http_address}")
    _run_engine(engine, lifecycle)
    creation, sessions = _add_servicers(
        grpc_server, settings, database, pool, engine, hints, images, addresses, clock
    )
    planner = Planner(pool, clock)
    lifecycle.background.spawn("listing-updates", ListingUpdates(database, creation, planner, clock).run)
    lifecycle.background.spawn("connection-expiry", ConnectionExpiry(database, clock).run)
    syncs = AccountSyncs(database, creation, planner, clock)
    lifecycle.background.spawn("account-syncs", syncs.run)
    erasures = AccountErasures(database, engine.committer, clock)
    lifecycle.background.spawn("account-erasures", erasures.run)
    lifecycle.background.spawn("sessions", sessions.run)
    grpc_address = await grpc_server.start()
    lifecycle.on_drain("grpc-server", lambda: grpc_server.drain(CALL_GRACE_SECONDS))
    grpc_server.set_serving()
    lifecycle.serving(grpc_address=grpc_address, http_address=http_address)


def _create_engine(
    settings: OrchestratorSettings,
    pool: AsyncConnectionPool[AsyncConnection[Any]],
    nats: NatsConnection,
    hints: JobHints,
    clock: SystemClock,
    registry: CollectorRegistry,
) -> Engine:
    streams = Streams(nats.jetstream(), settings.stream_replicas)
    metrics = EngineMetrics(registry)
    router = Router(pool)
    publisher = Publisher(pool, nats, PipelinedPublisher(nats), streams, router, metrics)

    def on_commit(publication: Publication) -> None:
        publisher.publish_soon(publication)
        hints.tell(publication)
        admission.stir(publication.stirred, publication.queued)

    admission = Admission(pool, on_commit)
    committer = Committer(pool, on_commit, publisher.take_acknowledged, metrics, admission.contention)

    async def wait_for_sellers(dispatches: Sequence[Dispatch]) -> None:
        # One that is not decided, as in an outage, is rung for again and found here once more.
        await committer.run_all([WaitForSeller(d.job_id, d.task_id, d.number) for d in dispatches])

    router.on_offline = Offline(wait_for_sellers)
    archiver = Archiver(pool, metrics)
    reaper = Reaper(
        pool=pool,
        committer=committer,
        admission=admission,
        archiver=archiver,
        publisher=publisher,
        clock=clock,
        lease=timedelta(seconds=settings.lease_seconds),
        dispatch_timeout=timedelta(seconds=settings.dispatch_timeout_seconds),
        retry=_retry_policy(settings),
        metrics=metrics,
    )
    retention = Retention(pool, clock, _retention_policy(settings))
    return Engine(committer, admission, publisher, archiver, reaper, retention, streams, router, on_commit)


def _run_engine(engine: Engine, lifecycle: Lifecycle) -> None:
    lifecycle.background.spawn("publisher", engine.publisher.run)
    lifecycle.background.spawn("admission", engine.admission.run)
    lifecycle.background.spawn("archiver", engine.archiver.run)
    lifecycle.background.spawn("reaper", engine.reaper.run)
    lifecycle.background.spawn("retention", engine.retention.run)

    async def stop() -> None:
        # What callers were promised is written; then nothing new is begun; then it is published.
        await engine.committer.close()
        await lifecycle.background.close()
        await engine.publisher.close()

    lifecycle.on_drain("engine", stop)


def _add_servicers(
    server: GrpcServer,
    settings: OrchestratorSettings,
    database: Database,
    pool: AsyncConnectionPool[AsyncConnection[Any]],
    engine: Engine,
    hints: JobHints,
    images: ImageStore,
    addresses: ImageAddresses,
    clock: SystemClock,
) -> tuple[JobCreation, SessionService]:
    tenants = TenantDirectory(database)
    box = SecretBox(parse_keys(settings.credentials_keys))
    planner = Planner(pool, clock)
    reader = JobReader(pool)
    policy = ConnectorPolicy(timedelta(seconds=settings.lease_seconds), _retry_policy(settings))
    submissions = Submissions(database, planner)
    snapshots = SnapshotLoader(database)
    reading = JobReading(tenants, reader, hints)
    creation = JobCreation(tenants, snapshots, submissions, engine.committer, reading)
    jobs = JobServicer(
        creation,
        reading,
        JobControl(pool, engine.on_commit, tenants, reading),
    )
    connectors = ConnectorService(
        pool,
        engine.committer,
        engine.admission,
        engine.streams,
        engine.router,
        planner,
        addresses,
        tenants,
        reader,
        policy,
    )
    pairings = PairingService(database, tenants, box)
    sessions = SessionService(
        pool,
        engine.admission,
        pairings,
        engine.router.learn,
        clock,
        timedelta(seconds=settings.lease_seconds),
    )
    tenant_service = TenantService(database, create_migration_engine(settings.database_url))

    async def resume_jobs(account_id: UUID) -> None:
        await engine.admission.resume([account_id])

    accounts = AccountService(database, tenants, box, resume_jobs)
    connections = ConnectionService(database, tenants, box, ConnectionJobs(creation, reading))
    products = ProductServices(
        ProductService(database, tenants),
        ProductChanges(database, tenants),
        ProductImportService(database, tenants),
        ImageService(database, tenants, images, _image_source(settings)),
    )
    server.add(tenant_service_pb2_grpc.add_TenantServiceServicer_to_server, TenantServicer(tenant_service))
    server.add(product_service_pb2_grpc.add_ProductServiceServicer_to_server, ProductServicer(products))
    server.add(
        listing_service_pb2_grpc.add_ListingServiceServicer_to_server,
        ListingServicer(ListingService(database, tenants)),
    )
    server.add(
        order_service_pb2_grpc.add_OrderServiceServicer_to_server,
        OrderServicer(OrderService(database, tenants)),
    )
    server.add(
        reference_service_pb2_grpc.add_ReferenceServiceServicer_to_server,
        ReferenceServicer(ReferenceService(database), MappingService(database)),
    )
    server.add(
        price_service_pb2_grpc.add_PriceServiceServicer_to_server,
        PriceServicer(PriceService(database, tenants, snapshots)),
    )
    server.add(
        preview_service_pb2_grpc.add_PreviewServiceServicer_to_server,
        PreviewServicer(PreviewService(tenants, submissions, snapshots, addresses)),
    )
    server.add(
        account_service_pb2_grpc.add_AccountServiceServicer_to_server,
        AccountServicer(accounts, connections, SyncPolicies(database, tenants), pairings),
    )
    server.add(job_service_pb2_grpc.add_JobServiceServicer_to_server, jobs)
    batches = BatchService(tenants, BatchReader(pool), hints, clock)
    server.add(
        batch_service_pb2_grpc.add_BatchServiceServicer_to_server,
        BatchServicer(
            batches,
            BatchCreation(tenants, submissions, snapshots, BulkIntake(pool, engine.on_commit), batches),
            BatchControl(tenants, pool, engine.committer, BulkRetry(pool, engine.on_commit)),
        ),
    )
    server.add(
        connector_service_pb2_grpc.add_ConnectorServiceServicer_to_server,
        ConnectorServicer(
            connectors,
            CredentialService(database, tenants, box),
            AuthorizationService(database, tenants, box, resume_jobs),
            HintService(database),
            ProductListings(database, tenants),
            SyncStates(database, tenants),
            sessions,
            pairings,
        ),
    )
    control = JobControl(pool, engine.on_commit, tenants, reading)
    server.add(
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server,
        AdminServicer(_create_admin(pool, engine, control)),
    )
    return creation, sessions


async def _open_image_store(settings: OrchestratorSettings, lifecycle: Lifecycle) -> ImageStore:
    if settings.image_store_bucket is None:
        return ImageFolder(settings.image_store_path)
    place = BucketPlace(
        bucket=settings.image_store_bucket,
        prefix=settings.image_store_prefix,
        endpoint=settings.image_store_endpoint,
        region=settings.image_store_region,
        access_key=settings.image_store_access_key,
        secret_key=settings.image_store_secret_key,
    )
    bucket = ImageBucket(place, settings.image_store_path)
    address = place.endpoint or "AWS"
    await retry_until_reachable("the image store", address, bucket.check, retry_on=(UnavailableError,))

    async def close() -> None:
        await asyncio.to_thread(bucket.close)

    lifecycle.on_drain("image-store", close)
    return bucket


def _image_source(settings: OrchestratorSettings) -> ImageSource:
    return ImageSource(AddressGuard(parse_networks(settings.image_allowed_networks)))


def _create_admin(
    pool: AsyncConnectionPool[AsyncConnection[Any]], engine: Engine, control: JobControl
) -> AdminServices:
    return AdminServices(
        AdminQueues(pool, engine.on_commit),
        AdminGates(pool, engine.admission),
        AdminDeadLetters(pool, control),
        AdminEffects(pool, engine.on_commit),
        AdminEvents(pool),
    )


def _retention_policy(settings: OrchestratorSettings) -> RetentionPolicy:
    return RetentionPolicy(
        jobs=timedelta(days=settings.retention_jobs_days),
        events=timedelta(days=settings.retention_events_days),
        requests=timedelta(days=settings.retention_requests_days),
        interval=timedelta(seconds=settings.retention_interval_seconds),
    )


def _retry_policy(settings: OrchestratorSettings) -> RetryPolicy:
    return RetryPolicy(base_seconds=settings.retry_base_seconds, cap_seconds=settings.retry_cap_seconds)


def nats_name(nats: NatsConnection) -> str:
    """Returns the address of the server that is connected, for logs."""
    return nats.connected_url.netloc if nats.connected_url else "NATS_URL"


async def _close_nats(nats: NatsConnection) -> None:
    if nats.is_connected:
        await nats.drain()
    else:
        await nats.close()


async def migrate_when_reachable(database_url: str) -> None:
    """Waits for the database, for as long as it takes, and brings `public` up to date."""
    await wait_for_database(database_url)
    engine = create_migration_engine(database_url)
    try:
        await retry_until_reachable(
            "PostgreSQL",
            database_address(database_url),
            lambda: asyncio.to_thread(upgrade_public, engine),
            # A lost connection, or a lock that another migration holds.
            retry_on=(OperationalError, psycopg.OperationalError),
        )
    finally:
        engine.dispose()
    log.info("migrated")
