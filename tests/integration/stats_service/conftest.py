"""The service as a process, its stream, and clients of both."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerInfo, StreamConfig
from stoflow.events.v1 import event_pb2

from stoflow_sandbox.processes import ServiceProcess, Supervisor
from stoflow_stats_service.migrations.runner import migrate
from tests.integration.service_kit.waiting import until
from tests.integration.stats_service.api import Stats, serving
from tests.integration.stats_service.history import history, served_history
from tests.integration.stats_service.stored import counted_events

__all__ = ["history", "served_history"]

STREAM = "STOFLOW_EVENTS"
DURABLE = "stats-service"
SUBJECT = "stoflow.events.results"

# The tests' events have fixed dates: nothing of them is to be too old, whenever the tests run.
KEEP_ALL = {
    "RETENTION_EVENT_IDS_DAYS": "36500",
    "RETENTION_HOURS_DAYS": "36500",
    "RETENTION_DAYS_DAYS": "36500",
}

StartService = Callable[..., ServiceProcess]


class EventStream:
    """The orchestrator's side of the stream."""

    def __init__(self, client: Client, database_url: str) -> None:
        self.client = client
        self._database_url = database_url
        self._js = client.jetstream()

    async def create(self) -> None:
        await self._js.add_stream(StreamConfig(name=STREAM, subjects=["stoflow.events.>"]))

    async def delete(self) -> None:
        await self._js.delete_stream(STREAM)

    async def delete_consumer(self) -> None:
        await self._js.delete_consumer(STREAM, DURABLE)

    async def publish(self, *events: event_pb2.Event) -> None:
        """Publishes the events as one message."""
        await self.publish_raw(event_pb2.EventBatch(events=events).SerializeToString())

    async def publish_each(self, events: Sequence[event_pb2.Event], size: int = 1) -> None:
        for start in range(0, len(events), size):
            await self.publish(*events[start : start + size])

    async def publish_raw(self, payload: bytes) -> None:
        await self._js.publish(SUBJECT, payload)

    async def consumer(self) -> ConsumerInfo:
        info: ConsumerInfo = await self._js.consumer_info(STREAM, DURABLE)
        return info

    async def until_counted(self, count: int, timeout_seconds: float = 60) -> None:
        """Waits until the database remembers so many events."""
        await until(lambda: counted_events(self._database_url) >= count, timeout_seconds)
        assert counted_events(self._database_url) == count

    async def until_settled(self) -> None:
        """Waits until every message was delivered and acknowledged or terminated."""
        while True:
            info = await self.consumer()
            if info.num_pending == 0 and info.num_ack_pending == 0:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
async def events(nats_url: str, database_url: str) -> AsyncIterator[EventStream]:
    """The stream's publisher; the stream itself is not made yet."""
    client = await nats.connect(nats_url)
    yield EventStream(client, database_url)
    await client.close()


@pytest.fixture
async def stats(database_url: str) -> AsyncIterator[Stats]:
    """The servicer at twenty past noon on the fifth of January, on a migrated database."""
    migrate(database_url)
    async with serving(database_url) as stats:
        yield stats


@pytest.fixture
def start_service(tmp_path: Path, database_url: str, nats_url: str) -> Iterator[StartService]:
    """Starts the service as a process, by default ready before it returns."""
    with Supervisor(tmp_path) as supervisor:

        def start(name: str = "stats", *, wait: bool = True, **environment: str) -> ServiceProcess:
            settings = {"DATABASE_URL": database_url, "NATS_URL": nats_url, **KEEP_ALL, **environment}
            service = supervisor.start(name, [sys.executable, "-m", "stoflow_stats_service"], settings)
            if wait:
                service.wait_ready()
            return service

        yield start


def address_of(service: ServiceProcess, which: str = "grpc_address") -> str:
    ready: dict[str, Any] = service.wait_ready()
    return str(ready[which])
