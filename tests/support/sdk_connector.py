"""The SDK's own runtime inside a test, against a real orchestrator and a real NATS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry

from stoflow_connector_sdk import ConnectorDefinition
from stoflow_connector_sdk.runtime.commands import CommandSource
from stoflow_connector_sdk.runtime.connector_runtime import ConnectorRuntime
from stoflow_connector_sdk.runtime.metrics import ConnectorMetrics
from stoflow_service_kit.background import Background
from stoflow_service_kit.grpc_channel import open_channel
from stoflow_service_kit.nats import connect_nats
from stoflow_service_kit.nats_consumer import PullConsumer


@asynccontextmanager
async def run_sdk_connector(
    definition: ConnectorDefinition, grpc_address: str, nats_url: str, *, slots: int = 8
) -> AsyncIterator[ConnectorRuntime]:
    """Runs a connector and drains it at the end.

    Raises:
        AssertionError: A part of the runtime failed for good.
    """
    fatal: list[str] = []
    background = Background(fatal.append)
    channel = open_channel(grpc_address)
    connection = await connect_nats(
        nats_url, "sdk-connector", on_fatal=lambda error: fatal.append(str(error))
    )

    def open_source(
        stream: str, consumer: str, free_slots: Callable[[], int], expires_seconds: float
    ) -> CommandSource:
        heartbeat_seconds = min(1.0, expires_seconds / 3)
        return PullConsumer(
            connection,
            stream,
            consumer,
            free_slots,
            expires_seconds=expires_seconds,
            heartbeat_seconds=heartbeat_seconds,
        )

    async def open_doorbell(subject: str, ring: Callable[[], None]) -> None:
        async def on_message(_message: Msg) -> None:
            ring()

        await connection.subscribe(subject, cb=on_message)

    runtime = ConnectorRuntime(
        definition,
        channel=channel,
        orchestrator_address=grpc_address,
        open_source=open_source,
        background=background,
        slots=slots,
        metrics=ConnectorMetrics(CollectorRegistry()),
        open_doorbell=open_doorbell,
    )
    try:
        await runtime.start()
        try:
            yield runtime
        finally:
            await runtime.drain(2.0)
    finally:
        await background.close()
        await connection.drain()
        await channel.close()
    assert fatal == []
