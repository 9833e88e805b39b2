"""The only place that constructs a connector's pools, clients and runtime."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc.aio
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry

from stoflow_connector_sdk.definition import ConnectorDefinition
from stoflow_connector_sdk.errors import DefinitionError
from stoflow_connector_sdk.http.record import record_exchanges
from stoflow_connector_sdk.http.webhooks import webhook_routes
from stoflow_connector_sdk.runtime.commands import CommandSource
from stoflow_connector_sdk.runtime.connector_runtime import ConnectorRuntime
from stoflow_connector_sdk.runtime.hints import HintSubmitter
from stoflow_connector_sdk.runtime.metrics import ConnectorMetrics
from stoflow_connector_sdk.settings import ConnectorSettings
from stoflow_service_kit.caller_token import open_token_file
from stoflow_service_kit.grpc_channel import open_channel
from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_service_kit.http_server import HttpServer, create_app
from stoflow_service_kit.lifecycle import Lifecycle, run_service
from stoflow_service_kit.metrics import new_registry
from stoflow_service_kit.nats import connect_nats
from stoflow_service_kit.nats_consumer import PullConsumer
from stoflow_service_kit.startup import StartError

S = TypeVar("S", bound=ConnectorSettings)

# Beside the grace: the last reports, the release and the end of running refreshes.
_DRAIN_MARGIN_SECONDS = 25.0


def run_connector(definition_factory: Callable[[S], ConnectorDefinition], settings: S) -> int:
    """Runs a connector until SIGTERM, SIGINT or a failure.

    Args:
        definition_factory: Builds the connector inside the event loop; what it opens goes into `closers`.
        settings: Its environment, from `load_settings`.

    Returns:
        The process's exit code, for `sys.exit`.
    """
    return run_service("connector", settings, partial(start_connector, definition_factory, settings))


async def start_connector(
    definition_factory: Callable[[S], ConnectorDefinition], settings: S, lifecycle: Lifecycle
) -> None:
    """Starts everything in order; each part registers its end, which runs in the reverse order.

    Raises:
        StartError: The definition is wrong, a port is taken, or a server refuses this connector.
    """
    if settings.stoflow_http_record:
        record_exchanges(Path(settings.stoflow_http_record))
    definition = _build(definition_factory, settings)
    for closer in definition.closers:
        lifecycle.on_drain("close connector", closer)
    registry = new_registry()
    server = GrpcServer(settings.grpc_address, registry)
    token = open_token_file(settings.orchestrator_token_file)
    channel = open_channel(settings.orchestrator_address, token=token)
    hints = HintSubmitter(channel, definition.marketplace)
    routes = webhook_routes(definition.webhooks, hints.submit)
    http = HttpServer(settings.http_address, create_app(registry, lambda: server.is_serving, routes))
    lifecycle.on_drain("orchestrator channel", channel.close)
    http_address = await http.start()
    lifecycle.on_drain("http", http.stop)
    grpc_address = await server.start()
    lifecycle.on_drain("grpc", lambda: server.drain(1.0))
    runtime = await _make_runtime(definition, settings, lifecycle, registry, channel)
    await runtime.start()

    async def stop_serving() -> None:
        server.set_serving(False)

    lifecycle.on_drain("not serving", stop_serving)
    server.set_serving()
    gateway = {} if definition.gateway is None else {"gateway_address": definition.gateway.address}
    lifecycle.serving(grpc_address=grpc_address, http_address=http_address, **gateway)


def _build(definition_factory: Callable[[S], ConnectorDefinition], settings: S) -> ConnectorDefinition:
    try:
        definition = definition_factory(settings)
        if settings.marketplace:
            definition = definition.registered_as(settings.marketplace)
        definition.check()
    except DefinitionError as error:
        raise StartError(str(error)) from error
    return definition


async def _make_runtime(
    definition: ConnectorDefinition,
    settings: ConnectorSettings,
    lifecycle: Lifecycle,
    registry: CollectorRegistry,
    channel: grpc.aio.Channel,
) -> ConnectorRuntime:
    connection = await connect_nats(
        settings.nats_url,
        f"connector-{definition.marketplace}",
        on_fatal=lambda error: lifecycle.fail(f"NATS: {error}"),
        inbox_prefix=f"_INBOX_{definition.marketplace}",
    )
    lifecycle.on_drain("nats", connection.drain)

    def open_source(
        stream: str, consumer: str, free_slots: Callable[[], int], expires_seconds: float
    ) -> CommandSource:
        # The server refuses heartbeats that are not well below the end of the request.
        return PullConsumer(
            connection,
            stream,
            consumer,
            free_slots,
            expires_seconds=expires_seconds,
            heartbeat_seconds=min(1.0, expires_seconds / 3),
        )

    async def open_doorbell(subject: str, ring: Callable[[], None]) -> None:
        async def on_message(_message: Msg) -> None:
            ring()

        # The client subscribes again by itself whenever it has lost the server.
        await connection.subscribe(subject, cb=on_message)

    runtime = ConnectorRuntime(
        definition,
        channel=channel,
        orchestrator_address=settings.orchestrator_address,
        open_source=open_source,
        background=lifecycle.background,
        slots=settings.slots,
        metrics=ConnectorMetrics(registry),
        open_doorbell=open_doorbell,
    )
    # Between the runtime, which needs its heartbeats to the last, and the connections they use.
    lifecycle.on_drain("background", lifecycle.background.close)
    lifecycle.on_drain(
        "runtime",
        lambda: runtime.drain(settings.drain_grace_seconds),
        timeout_seconds=settings.drain_grace_seconds + _DRAIN_MARGIN_SECONDS,
    )
    return runtime
