"""Counting what the stream delivers: several messages a transaction, acknowledged after its commit."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import nats.errors
from nats.aio.msg import Msg
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger, redact_text
from stoflow_stats_service.errors import MalformedMessageError
from stoflow_stats_service.event_decoder import DecodedBatch, decode_batch
from stoflow_stats_service.facts import UnknownFact
from stoflow_stats_service.figure_metrics import FigureMetrics
from stoflow_stats_service.metrics import CountingMetrics
from stoflow_stats_service.services.counting import CountingService

log = get_logger(__name__)

# A transaction of this size takes a few hundred milliseconds; larger ones only delay health checks.
MAX_GROUP_EVENTS = 4_000
# What the database refuses is not thrown away: a later release, or a person, may cure it.
REFUSED_DELAY_SECONDS = 300


class MessageSource(Protocol):
    """Where messages come from: a PullConsumer."""

    async def next_batch(self) -> list[Msg]: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Delivery:
    message: Msg
    batch: DecodedBatch


class ResultConsumer:
    """Moves messages into the counters, for as long as their source lives."""

    def __init__(
        self,
        source: MessageSource,
        service: CountingService,
        metrics: CountingMetrics,
        figures: FigureMetrics,
        clock: Clock,
    ) -> None:
        self._source = source
        self._service = service
        self._metrics = metrics
        self._figures = figures
        self._clock = clock
        self._backoff = Backoff(initial_seconds=0.5, maximum_seconds=10)
        self._failures = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Counts until stopped."""
        while messages := await self._source.next_batch():
            self._idle.clear()
            try:
                await self.handle(messages)
            finally:
                self._idle.set()

    async def stop(self) -> None:
        """Takes no more messages and waits until those in hand are counted and acknowledged."""
        await self._source.stop()
        await self._idle.wait()

    async def handle(self, messages: Sequence[Msg]) -> None:
        """Counts messages, in as few transactions as their size allows."""
        self._metrics.pending.set(messages[-1].metadata.num_pending)
        group: list[_Delivery] = []
        size = 0
        for message in messages:
            batch = await self._decode(message)
            if batch is None:
                continue
            group.append(_Delivery(message, batch))
            size += len(batch.facts)
            if size >= MAX_GROUP_EVENTS:
                await self._count(group)
                group, size = [], 0
        if group:
            await self._count(group)

    async def _decode(self, message: Msg) -> DecodedBatch | None:
        try:
            batch = decode_batch(message.data)
        except MalformedMessageError as error:
            self._metrics.malformed.labels("message").inc()
            log.error(  # noqa: TRY400  The traceback shows nothing that the sentence does not.
                "message_malformed",
                error=str(error),
                subject=message.subject,
                stream_sequence=message.metadata.sequence.stream,
                payload_bytes=len(message.data),
            )
            await _settle([message], "term")
            return None
        for problem in batch.malformed:
            self._metrics.malformed.labels("event").inc()
            log.error(
                "event_malformed",
                error=str(problem),
                subject=message.subject,
                stream_sequence=message.metadata.sequence.stream,
            )
        return batch

    async def _count(self, group: Sequence[_Delivery]) -> None:
        try:
            await self._write(group)
        except (DataError, IntegrityError) as error:
            await self._part(group, error)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            await self._retry_later(group, error)
        else:
            self._failures = 0
            # Ack after commit: a crash in between delivers again, and the event ids absorb it.
            await _settle((delivery.message for delivery in group if not delivery.batch.malformed), "ack")
            # The same as an acknowledgement, but the server publishes an advisory that names the message.
            await _settle((delivery.message for delivery in group if delivery.batch.malformed), "term")

    async def _write(self, group: Sequence[_Delivery]) -> None:
        facts = [fact for delivery in group for fact in delivery.batch.facts]
        with self._metrics.batch_seconds.time():
            result = await self._service.count(facts)
        self._metrics.batch_events.observe(len(facts))
        self._metrics.counted.inc(result.counted)
        self._metrics.duplicates.inc(result.duplicates)
        if result.late:
            self._metrics.late.inc(result.late)
            log.error("events_late", events=result.late)
        self._figures.observe(result.facts)
        self._metrics.unknown.inc(sum(isinstance(fact, UnknownFact) for fact in facts))
        self._metrics.saw_event_of(max(delivery.batch.newest_second for delivery in group))

    async def _part(self, group: Sequence[_Delivery], error: Exception) -> None:
        """Finds the message that the database refuses, so that it harms no other."""
        if len(group) > 1:
            middle = len(group) // 2
            await self._count(group[:middle])
            await self._count(group[middle:])
            return
        message = group[0].message
        self._metrics.refused.inc()
        log.error(
            "message_refused",
            error=_reason(error),
            stream_sequence=message.metadata.sequence.stream,
            retry_in_seconds=REFUSED_DELAY_SECONDS,
        )
        await _settle([message], "nak", REFUSED_DELAY_SECONDS)

    async def _retry_later(self, group: Sequence[_Delivery], error: Exception) -> None:
        self._failures += 1
        self._metrics.failed_batches.inc()
        delay = self._backoff.delay_seconds(self._failures)
        log.warning(
            "batch_failed",
            error=_reason(error),
            messages=len(group),
            failures=self._failures,
            retry_in_seconds=round(delay, 2),
        )
        await _settle((delivery.message for delivery in group), "nak", delay)
        await self._clock.sleep(delay)


def _reason(error: Exception) -> str:
    """Returns what the database said, without the statement, which fills pages and is the same each time."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return redact_text(f"{type(cause).__name__}: {cause}")


async def _settle(messages: Iterable[Msg], verdict: str, delay_seconds: float | None = None) -> None:
    try:
        for message in messages:
            if verdict == "nak":
                await message.nak(delay=delay_seconds)
            elif verdict == "term":
                await message.term()
            else:
                await message.ack()
    except nats.errors.Error as error:
        # The connection is gone; whatever was not settled is delivered again and found counted.
        log.warning("settle_incomplete", verdict=verdict, error=repr(error))
