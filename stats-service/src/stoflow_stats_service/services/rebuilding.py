"""Counting everything anew from the orchestrator's history, beside the figures that go on answering.

A generation is BUILDING from the moment a rebuild is asked for: from then on live events are counted in both. What
happened before is read from the history into the new one alone. Events that are in both ways are known by their ids.
Then earlier days are copied, and the new generation becomes the one that answers, in one row's update.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
import grpc.aio
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PreconditionViolation,
)
from stoflow_service_kit.logs import get_logger
from stoflow_stats_service.clients.history import HistoryClient
from stoflow_stats_service.errors import MalformedEventError
from stoflow_stats_service.event_decoder import decode_event
from stoflow_stats_service.facts import Fact
from stoflow_stats_service.repositories.counted_event import CountedEventRepository
from stoflow_stats_service.repositories.counter import CounterRepository
from stoflow_stats_service.repositories.generation import (
    REBUILD_LOCK,
    GenerationRepository,
    GenerationRow,
    day_after,
    day_of,
)
from stoflow_stats_service.services.counting import CountingService
from stoflow_stats_service.services.reading import reading

log = get_logger(__name__)

# The history says when a message was written; its events may have happened a little earlier.
MARGIN = timedelta(hours=1)
LOOK_SECONDS = 1.0
FROZEN_STEP = timedelta(days=30)
_DAY = timedelta(days=1)
_START = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """What is known of the orchestrator's history.

    Attributes:
        days: How many days it goes back.
        settle_seconds: How long a rebuild waits for events that were counted and are not in it yet: it shows an
            event when no transaction is open that is older.
    """

    days: float
    settle_seconds: float

    def first_day(self, now: datetime) -> datetime:
        """Returns the first UTC day that it holds wholly."""
        return day_after(now - timedelta(days=self.days) + 2 * MARGIN)


class RebuildService:
    """Begins rebuilds and tells of them."""

    def __init__(
        self,
        engine: AsyncEngine,
        generations: GenerationRepository,
        history: HistorySettings,
        clock: Clock,
        *,
        has_orchestrator: bool,
    ) -> None:
        self._engine = engine
        self._generations = generations
        self._history = history
        self._clock = clock
        self._has_orchestrator = has_orchestrator

    async def begin(
        self, request_id: str, start_day: datetime | None, *, drop_unlisted: bool
    ) -> GenerationRow:
        """Begins a rebuild, or returns the one that this request began.

        Args:
            request_id: Of the caller.
            start_day: First day to rebuild; None for the first that the history holds.
            drop_unlisted: Whether counted events that are not in the history are dropped.

        Raises:
            AlreadyExistsError: REQUEST_ID_REUSED.
            InvalidArgumentError: The day is not within the history.
            FailedPreconditionError: REBUILD_RUNNING or ORCHESTRATOR_NOT_SET.
        """
        digest = hashlib.sha256(f"{start_day} {drop_unlisted}".encode()).hexdigest()
        async with reading(self._engine, may_write=True) as connection, connection.begin():
            # Whoever counts now has finished when this is granted, and whoever counts later finds the new row.
            await self._generations.lock_for_change(connection)
            rows = await self._generations.list_all(connection)
            for row in rows:
                if row.request_id == request_id:
                    return _same_request(row, digest)
            self._check_possible(rows)
            (active,) = (row for row in rows if row.state == "ACTIVE")
            # Ids of events before the active start are forgotten: their figures can only be taken over.
            first = max(self._history.first_day(self._clock.now()), day_after(active.start_hour))
            if start_day is not None and not first <= start_day <= self._clock.now():
                text = f"must be from {first:%Y-%m-%d}, where the history begins, to today"
                raise InvalidArgumentError([FieldViolation("start_day", text, "history")])
            row = await self._generations.add_building(
                connection, active, start_day or first, request_id, digest, drop_unlisted=drop_unlisted
            )
        log.info("rebuild_begun", generation=row.generation, first_day=str(row.first_day))
        return row

    async def get(self, generation: int) -> GenerationRow:
        """Returns a rebuild; 0 stands for the newest.

        Raises:
            NotFoundError: REBUILD_NOT_FOUND.
        """
        async with reading(self._engine) as connection:
            rows = await self._generations.list_all(connection)
        for row in rows:
            if row.first_day is not None and generation in (0, row.generation):
                return row
        raise NotFoundError("There is no such rebuild.", reason="REBUILD_NOT_FOUND")

    def _check_possible(self, rows: list[GenerationRow]) -> None:
        if not self._has_orchestrator:
            raise orchestrator_not_set()
        for row in rows:
            if row.state == "BUILDING":
                number = str(row.generation)
                raise FailedPreconditionError(
                    "Another rebuild runs.",
                    reason="REBUILD_RUNNING",
                    metadata={"generation": number},
                    preconditions=[PreconditionViolation("REBUILD", number, "It must end first.")],
                )


def orchestrator_not_set() -> FailedPreconditionError:
    """Returns the refusal of what needs the orchestrator's history."""
    return FailedPreconditionError(
        "The service does not know the orchestrator.",
        reason="ORCHESTRATOR_NOT_SET",
        preconditions=[
            PreconditionViolation(
                "SETTING", "ORCHESTRATOR_ADDRESS", "It must be set, and the service restarted."
            )
        ],
    )


def _same_request(row: GenerationRow, digest: str) -> GenerationRow:
    if row.request_digest != digest:
        raise AlreadyExistsError("This request_id was used with another body.", reason="REQUEST_ID_REUSED")
    return row


def read_facts(events: object) -> list[Fact]:
    """Returns the facts of listed events; what is malformed is not counted on the live way either."""
    facts: list[Fact] = []
    for event in events:  # type: ignore[attr-defined]
        try:
            facts.append(decode_event(event))
        except MalformedEventError as error:
            log.warning("listed_event_malformed", error=str(error))
    return facts


class RebuildGivenUpError(Exception):
    """The rebuild cannot end well; the text says why."""


class Rebuilder:
    """Carries rebuilds out, in whichever replica holds the lock."""

    def __init__(
        self,
        engine: AsyncEngine,
        counting: CountingService,
        events: CountedEventRepository,
        counters: CounterRepository,
        generations: GenerationRepository,
        client: HistoryClient,
        history: HistorySettings,
        clock: Clock,
        after_page: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._counting = counting
        self._events = events
        self._counters = counters
        self._generations = generations
        self._client = client
        self._history = history
        self._clock = clock
        self._after_page = after_page
        self._backoff = Backoff(initial_seconds=0.5, maximum_seconds=30)
        self._failures = 0

    async def run(self) -> None:
        """Looks for rebuilds and carries them out, for ever."""
        while True:
            try:
                await self.work()
            except (grpc.aio.AioRpcError, SQLAlchemyError, OSError) as error:
                # The history or the database is away: the next try goes on where this one was.
                self._failures += 1
                delay = self._backoff.delay_seconds(self._failures)
                log.warning("rebuild_interrupted", error=_reason(error), retry_in_seconds=round(delay, 1))
                await self._clock.sleep(delay)
            else:
                self._failures = 0
                await self._clock.sleep(LOOK_SECONDS)

    async def work(self) -> None:
        """Carries out the rebuild that was asked for, if there is one and no other replica is at it."""
        async with self._engine.connect() as connection:
            if await self._generations.find_building(connection) is None:
                return
        autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        async with autocommit.connect() as holder:
            # Of the session: when this replica dies, its connection ends and another takes over.
            locked = await holder.execute(text(f"SELECT pg_try_advisory_lock({REBUILD_LOCK})"))
            if not locked.scalar_one():
                return
            try:
                building = await self._generations.find_building(holder)
                if building is not None:
                    await self._rebuild(building)
            finally:
                await holder.execute(text(f"SELECT pg_advisory_unlock({REBUILD_LOCK})"))

    async def _rebuild(self, building: GenerationRow) -> None:
        try:
            await self._read_history(building)
            await self._take_over_earlier_days(building.generation)
            await self._swap(building.generation)
        except RebuildGivenUpError as error:
            log.error("rebuild_failed", generation=building.generation, problem=str(error))  # noqa: TRY400
            async with self._engine.begin() as connection:
                await self._generations.lock_for_change(connection)
                await self._generations.change(
                    connection,
                    building.generation,
                    state="FAILED",
                    problem=str(error),
                    finish_time=datetime.now(UTC),
                )

    async def _read_history(self, building: GenerationRow) -> None:
        """Counts pages until nothing that was counted is missing."""
        assert building.first_day is not None  # noqa: S101  Of a row that a rebuild made.
        token, deadline = building.page_token, 0.0
        while True:
            try:
                page = await self._client.read_page(building.first_day - MARGIN, None, token)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.INVALID_ARGUMENT or not token:
                    raise
                # The orchestrator's token changed its form: from the start again, what was counted is known.
                log.warning("rebuild_token_refused", generation=building.generation)
                token = ""
                continue
            token = page.next_page_token or token
            facts = read_facts(page.events)
            is_building = await self._counting.count_history(
                building.generation, facts, token, len(page.events)
            )
            if not is_building:
                return
            self._after_page()
            if page.is_last:
                missing = await self._count_missing(building)
                if not missing:
                    return
                deadline = deadline or self._clock.monotonic() + self._history.settle_seconds
                if self._clock.monotonic() >= deadline:
                    self._give_up_or_drop(building, missing)
                    return
                await self._clock.sleep(LOOK_SECONDS)

    def _give_up_or_drop(self, building: GenerationRow, missing: int) -> None:
        if not building.drop_unlisted:
            raise RebuildGivenUpError(
                f"{missing} events that were counted are not in the orchestrator's history; nothing was changed."
                " An old transaction may hold them back, or the history may begin later than EVENT_HISTORY_DAYS says."
            )
        log.warning("rebuild_drops_unlisted", generation=building.generation, events=missing)

    async def _count_missing(self, building: GenerationRow) -> int:
        async with self._engine.connect() as connection:
            active = await self._generations.get_active(connection)
            # Live events go to both since the rebuild began: what is not missing now will not be missing later.
            return await self._events.count_missing(
                connection, active.generation, building.generation, building.start_hour
            )

    async def _take_over_earlier_days(self, generation: int) -> None:
        """Copies what is not read from the history, the youngest day first.

        A day that was copied is counted in both generations from then on. Days whose ids are forgotten come last:
        nothing is counted in them any more, so they need no lock.
        """
        while await self._take_over_day(generation):
            pass
        async with self._engine.connect() as connection:
            active = await self._generations.get_active(connection)
        end = active.start_hour
        while True:
            async with self._engine.begin() as connection:
                first = await self._counters.find_first_hour(connection, active.generation, _START, end)
                if first is None:
                    return
                start = max(day_of(first.astimezone(UTC)), end - FROZEN_STEP)
                await self._counters.copy_days(connection, active.generation, generation, start, end)
            end = start

    async def _take_over_day(self, generation: int) -> bool:
        async with self._engine.begin() as connection:
            await self._generations.lock_for_change(connection)
            building = await self._generations.find_building(connection)
            active = await self._generations.get_active(connection)
            if (
                building is None
                or building.generation != generation
                or building.start_hour <= active.start_hour
            ):
                return False
            # All times of the two are starts of days.
            end = building.start_hour
            start = max(end - _DAY, active.start_hour)
            source = active.generation
            if await self._counters.find_first_hour(connection, source, active.start_hour, start) is None:
                start = active.start_hour
            await self._counters.copy_days(connection, source, generation, start, end)
            await self._events.copy_days(connection, source, generation, start, end)
            await self._generations.change(connection, generation, start_hour=start)
        return True

    async def _swap(self, generation: int) -> None:
        async with self._engine.begin() as connection:
            await self._generations.lock_for_change(connection)
            building = await self._generations.find_building(connection)
            if building is None or building.generation != generation:
                return
            active = await self._generations.get_active(connection)
            now = datetime.now(UTC)
            await self._generations.change(connection, active.generation, state="RETIRED")
            await self._generations.change(connection, generation, state="ACTIVE", finish_time=now)
        log.info("rebuild_completed", generation=generation, took_over_from=active.generation)


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return type(error).__name__
