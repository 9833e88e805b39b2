"""Telling the orchestrator that this instance is here, and learning how to receive commands."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from stoflow.connector.v1 import connector_service_pb2 as pb

from stoflow_connector_sdk.definition import ConnectorDefinition
from stoflow_connector_sdk.runtime.calls import CALL_TIMEOUT_SECONDS, CallError, OrchestratorClient
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.startup import StartError

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Registration:
    """What the orchestrator answered.

    Attributes:
        lease_seconds: How long a lease holds without a heartbeat.
        heartbeat_interval_seconds: How often to call HeartbeatTasks.
        stream: Carries the marketplace's commands.
        consumers: Durable consumers to pull from.
        directives_subject: Where a message asks for a heartbeat at once; empty when nobody will ask.
    """

    lease_seconds: float
    heartbeat_interval_seconds: float
    stream: str
    consumers: tuple[str, ...]
    directives_subject: str = ""


class Registrar:
    """Registers one instance, again whenever the orchestrator has forgotten it."""

    def __init__(
        self,
        client: OrchestratorClient,
        definition: ConnectorDefinition,
        instance_id: str,
        slots: int,
        on_change: Callable[[Registration], None],
    ) -> None:
        """Prepares a registrar.

        Args:
            client: The orchestrator.
            definition: What is registered.
            instance_id: UUID of this start.
            slots: How many tasks it runs at once.
            on_change: Told of each registration that differs from the one before.
        """
        self._client = client
        self._request = pb.RegisterConnectorRequest(
            instance_id=instance_id,
            manifest=definition.manifest(),
            supported_versions=list(definition.supported_versions),
            slots=slots,
        )
        self._on_change = on_change
        self._current: Registration | None = None
        self._running: asyncio.Task[Registration] | None = None
        self._closed = False

    @property
    def current(self) -> Registration | None:
        """The last answer; None before the first."""
        return self._current

    async def register(self) -> Registration:
        """Registers, waiting for the orchestrator for as long as it takes; callers at once share one call.

        Raises:
            StartError: It refuses this manifest; waiting does not help.
        """
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._register(), name="register-connector")
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        """Registers no more."""
        self._closed = True
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _register(self) -> Registration:
        try:
            answer = await self._client.until_answered(
                "RegisterConnector",
                lambda: self._client.stub.RegisterConnector(self._request, timeout=CALL_TIMEOUT_SECONDS),
                may_go_on=lambda: not self._closed,
            )
        except CallError as error:
            details = "".join(f"\n  {v.field}: {v.description}" for v in error.status.violations)
            raise StartError(f"The orchestrator refuses this connector. {error}{details}") from error
        found = Registration(
            lease_seconds=answer.lease.ToNanoseconds() / 1e9,
            heartbeat_interval_seconds=answer.heartbeat_interval.ToNanoseconds() / 1e9,
            stream=answer.stream,
            consumers=tuple(answer.consumers),
            directives_subject=answer.directives_subject,
        )
        manifest = self._request.manifest
        log.info(
            "registered",
            marketplace=manifest.marketplace,
            manifest_version=manifest.version,
            instance_id=self._request.instance_id,
            stream=found.stream,
            consumers=found.consumers,
        )
        if found != self._current:
            self._current = found
            self._on_change(found)
        return found
