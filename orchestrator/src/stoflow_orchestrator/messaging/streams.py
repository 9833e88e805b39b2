"""JetStream streams: one work queue a marketplace, one stream of result events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from stoflow_service_kit.nats_streams import ensure_consumer, ensure_stream

log = structlog.get_logger(__name__)

EVENTS_STREAM = "STOFLOW_EVENTS"
EVENTS_SUBJECTS = "stoflow.events.>"
DEFAULT_ROUTE = "default"

DAY_SECONDS = 86_400
DUPLICATE_WINDOW_SECONDS = 120
# A command taken but never answered for comes again; by then the reaper has mostly rung anew.
ACK_WAIT_SECONDS = 30
# How long the consumer of an instance outlives it.
INSTANCE_CONSUMER_SECONDS = 600.0


def tasks_stream(marketplace: str) -> str:
    """Names the stream of a marketplace's task commands: TASKS_EBAY."""
    return f"TASKS_{marketplace.upper()}"


def tasks_subject(marketplace: str, route: str = DEFAULT_ROUTE) -> str:
    """Names the subject of a route's task commands: stoflow.tasks.ebay.default."""
    return f"stoflow.tasks.{marketplace}.{route}"


@dataclass(slots=True)
class Streams:
    """Creates streams and consumers, and creates them again when they vanish."""

    jetstream: JetStreamContext
    replicas: int

    async def ensure_events(self) -> None:
        """Makes the stream of result events exist."""
        config = StreamConfig(
            name=EVENTS_STREAM,
            subjects=[EVENTS_SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=7 * DAY_SECONDS,
            duplicate_window=DUPLICATE_WINDOW_SECONDS,
            num_replicas=self.replicas,
        )
        await ensure_stream(self.jetstream, config)

    async def ensure_marketplace(self, marketplace: str) -> None:
        """Makes the marketplace's work queue and the consumer of its default route exist."""
        stream = StreamConfig(
            name=tasks_stream(marketplace),
            subjects=[f"stoflow.tasks.{marketplace}.*"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            # A doorbell this old has long been rung again.
            max_age=DAY_SECONDS,
            duplicate_window=DUPLICATE_WINDOW_SECONDS,
            num_replicas=self.replicas,
        )
        await ensure_stream(self.jetstream, stream)
        await self._ensure_consumer(marketplace, DEFAULT_ROUTE, None)

    async def ensure_instance(self, marketplace: str, instance_id: str) -> None:
        """Makes an instance's own consumer exist, beside that of the default route; it vanishes some time after it."""
        await self._ensure_consumer(marketplace, instance_id, INSTANCE_CONSUMER_SECONDS)

    async def _ensure_consumer(
        self, marketplace: str, route: str, inactive_threshold_seconds: float | None
    ) -> None:
        consumer = ConsumerConfig(
            durable_name=route,
            filter_subject=tasks_subject(marketplace, route),
            inactive_threshold=inactive_threshold_seconds,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_SECONDS,
            max_deliver=-1,
            max_ack_pending=20_000,
        )
        await ensure_consumer(self.jetstream, tasks_stream(marketplace), consumer)

    async def restore(self, marketplaces: Iterable[str]) -> None:
        """Makes streams exist again, after JetStream said that one of them does not."""
        names = sorted(set(marketplaces))
        log.warning("restoring_streams", marketplaces=names)
        await self.ensure_events()
        for marketplace in names:
            await self.ensure_marketplace(marketplace)
