"""Publishes what commits left: task commands, result events, hints.

Nothing here is the only copy. A command that does not get out is rung again by the reaper, an event that does not get
out stays in the outbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js.errors import NoStreamResponseError
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from stoflow.connector.v1 import task_pb2

from stoflow_orchestrator.engine.changes import Dispatch
from stoflow_orchestrator.engine.metrics import EngineMetrics
from stoflow_orchestrator.engine.publication import OutgoingEvents, Publication
from stoflow_orchestrator.engine.routing import Router
from stoflow_orchestrator.messaging.hints import JOBS_SUBJECT, directives_subject, encode_hint
from stoflow_orchestrator.messaging.streams import Streams, tasks_subject
from stoflow_orchestrator.repositories import outbox as outbox_repository
from stoflow_service_kit.nats_publisher import OutgoingMessage, PipelinedPublisher

log = structlog.get_logger(__name__)

MAX_MESSAGES_A_BATCH = 1_000
CONCURRENT_BATCHES = 8
# 16 bytes an id; far below the server's limit of 1 MiB.
MAX_JOBS_A_HINT = 10_000


@dataclass(slots=True)
class Publisher:
    """Takes everything that waits as one batch; several batches may be on their way."""

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    client: Client
    jetstream: PipelinedPublisher
    streams: Streams
    router: Router
    metrics: EngineMetrics
    _dispatches: list[Dispatch] = field(default_factory=list)
    _events: list[OutgoingEvents] = field(default_factory=list)
    _changed_jobs: set[UUID] = field(default_factory=set)
    _directives: set[tuple[str, UUID]] = field(default_factory=set)
    _acknowledged: list[UUID] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _batches: set[asyncio.Task[None]] = field(default_factory=set)

    def publish_soon(self, publication: Publication) -> None:
        """Takes over what a commit left; must not block."""
        self._dispatches.extend(publication.dispatches)
        self._events.extend(publication.events)
        self._changed_jobs.update(publication.changed_jobs)
        self._directives.update(publication.directives)
        self._wake.set()

    def take_acknowledged(self) -> Sequence[UUID]:
        """Hands over the outbox rows that may be deleted."""
        acknowledged, self._acknowledged = self._acknowledged, []
        return acknowledged

    async def run(self) -> None:
        """Serves for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dispatches or self._events or self._changed_jobs:
                if len(self._batches) >= CONCURRENT_BATCHES:
                    await asyncio.wait(self._batches, return_when=asyncio.FIRST_COMPLETED)
                self._start_batch()
                # Lets the batch write to the socket before the next one is cut.
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Waits for the batches on their way; what still waits is published by another process or later."""
        if self._dispatches or self._events:
            self._start_batch()
        if self._batches:
            await asyncio.wait(self._batches)

    async def publish_left(self, older_than_seconds: float) -> None:
        """Publishes outbox rows that a crash, or an absent NATS, left behind."""
        async with self.pool.connection() as connection:
            left = await outbox_repository.find_left(connection, older_than_seconds, MAX_MESSAGES_A_BATCH)
        log.info("publishing_left_events", messages=len(left))
        await self._publish([], left)
        if acknowledged := self.take_acknowledged():
            async with self.pool.connection() as connection, connection.transaction():
                await outbox_repository.delete(connection, acknowledged)

    def _start_batch(self) -> None:
        dispatches = self._dispatches[:MAX_MESSAGES_A_BATCH]
        del self._dispatches[:MAX_MESSAGES_A_BATCH]
        events, self._events = self._events, []
        changed_jobs, self._changed_jobs = self._changed_jobs, set()
        directives, self._directives = self._directives, set()
        batch = asyncio.create_task(self._send(dispatches, events, list(changed_jobs), directives))
        self._batches.add(batch)
        batch.add_done_callback(self._batches.discard)

    async def _send(
        self,
        dispatches: list[Dispatch],
        events: list[OutgoingEvents],
        changed_jobs: list[UUID],
        directives: set[tuple[str, UUID]],
    ) -> None:
        try:
            await self._hint(changed_jobs, directives)
            await self._publish(dispatches, events)
        except Exception:
            # The sweeps find it all again; a batch of its own task must not vanish without a word.
            log.exception("publication_failed", dispatches=len(dispatches), events=len(events))

    async def _hint(self, changed_jobs: list[UUID], directives: set[tuple[str, UUID]]) -> None:
        try:
            for marketplace, instance_id in directives:
                await self.client.publish(directives_subject(marketplace, instance_id))
            for start in range(0, len(changed_jobs), MAX_JOBS_A_HINT):
                hint = encode_hint(changed_jobs[start : start + MAX_JOBS_A_HINT])
                await self.client.publish(JOBS_SUBJECT, hint)
        except nats.errors.Error as error:
            # Nothing depends on hints; the commands behind them must still go out.
            log.warning("hints_not_sent", error=repr(error))

    async def _publish(self, dispatches: Sequence[Dispatch], events: Sequence[OutgoingEvents]) -> None:
        routed = await self.router.route(dispatches)
        messages = [_command_message(dispatch, route) for dispatch, route in routed]
        messages += [OutgoingMessage(e.subject, e.payload, str(e.message_id)) for e in events]
        if not messages:
            return
        outcomes = await self.jetstream.publish(messages)
        if any(isinstance(outcome, NoStreamResponseError) for outcome in outcomes):
            outcomes = await self._publish_again({d.marketplace for d in dispatches}, messages, outcomes)
        for event, outcome in zip(events, outcomes[len(routed) :], strict=True):
            if outcome is None:
                self._acknowledged.append(event.message_id)
        failed = [outcome for outcome in outcomes if outcome is not None]
        self._count(outcomes, len(routed))
        if failed:
            log.warning("messages_not_published", failed=len(failed), of=len(messages), error=repr(failed[0]))

    def _count(self, outcomes: Sequence[Exception | None], dispatches: int) -> None:
        self.metrics.published.labels("command").inc(outcomes[:dispatches].count(None))
        self.metrics.published.labels("events").inc(outcomes[dispatches:].count(None))
        self.metrics.publish_failures.inc(len(outcomes) - outcomes.count(None))

    async def _publish_again(
        self, marketplaces: set[str], messages: Sequence[OutgoingMessage], outcomes: list[Exception | None]
    ) -> list[Exception | None]:
        try:
            await self.streams.restore(marketplaces)
        except nats.errors.Error as error:
            log.warning("streams_not_restored", error=repr(error))
            return outcomes
        # Repeating those that arrived does no harm: the stream drops them by their id.
        return await self.jetstream.publish(messages)


def _command_message(dispatch: Dispatch, route: str) -> OutgoingMessage:
    command = task_pb2.TaskCommand(
        tenant_id=dispatch.tenant_id,
        job_id=str(dispatch.job_id),
        task_id=str(dispatch.task_id),
        dispatch=dispatch.number,
    )
    return OutgoingMessage(
        subject=tasks_subject(dispatch.marketplace, route),
        payload=command.SerializeToString(),
        message_id=f"{dispatch.task_id}:{dispatch.number}",
    )
