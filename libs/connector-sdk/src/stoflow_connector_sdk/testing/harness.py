"""A connector's runtime inside a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from stoflow_connector_sdk.definition import ConnectorDefinition
from stoflow_connector_sdk.runtime.commands import OpenSource
from stoflow_connector_sdk.runtime.connector_runtime import ConnectorRuntime
from stoflow_connector_sdk.runtime.metrics import ConnectorMetrics
from stoflow_connector_sdk.testing.orchestrator import InMemoryOrchestrator
from stoflow_service_kit.background import Background
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.grpc_channel import open_channel


@asynccontextmanager
async def run_against(
    orchestrator: InMemoryOrchestrator,
    definition: ConnectorDefinition,
    *,
    slots: int = 16,
    drain_grace_seconds: float = 2.0,
    open_source: OpenSource | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[ConnectorRuntime]:
    """Runs a connector against the double and drains it at the end.

    Raises:
        AssertionError: A part of the runtime failed for good.
    """
    fatal: list[str] = []
    background = Background(fatal.append)
    channel = open_channel(orchestrator.address)
    runtime = ConnectorRuntime(
        definition,
        channel=channel,
        orchestrator_address=orchestrator.address,
        open_source=open_source or orchestrator.open_source,
        background=background,
        slots=slots,
        metrics=ConnectorMetrics(CollectorRegistry()),
        clock=clock,
        open_doorbell=orchestrator.open_doorbell,
    )
    try:
        await runtime.start()
        try:
            yield runtime
        finally:
            await runtime.drain(drain_grace_seconds)
    finally:
        await background.close()
        await channel.close()
    if fatal:
        raise AssertionError(f"the runtime failed: {fatal}")
