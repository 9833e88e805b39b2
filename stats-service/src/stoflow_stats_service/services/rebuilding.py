"""Counting everything anew from the orchestrator's history, beside the figures that go on answering.

A generation is BUILDING from the moment a rebuild is asked for: from then on live events are counted in both. What
happened before is read from the history into the new one alone. Events that are in both ways are known by their ids.
Then earlier days are copied, and the new generation becomes the one that answers, in one row's update.
"""

from datetime import UTC, datetime, timedelta

import grpc
import grpc.aio
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger
from stoflow_stats_service.clients.history import HistoryClient, HistoryPage
from stoflow_stats_service.repositories.counted_event import CountedEventRepository
from stoflow_stats_service.repositories.counter import CounterRepository
from stoflow_stats_service.repositories.generation import (
    REBUILD_LOCK,
    GenerationRepository,
    GenerationRow,
    day_of,
)
from stoflow_stats_service.services.counting import CountingService
from stoflow_stats_service.services.history import MARGIN, HistorySettings, read_facts

log = get_logger(__name__)

LOOK_SECONDS = 1.0
QUIET_SECONDS = 5.0
FROZEN_STEP = timedelta(days=30)
_START = datetime.min.replace(tzinfo=UTC)


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
    ) -> None:
        self._engine = engine
        self._counting = counting
        self._events = events
        self._counters = counters
        self._generations = generations
        self._client = client
        self._history = history
        self._clock = clock
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
        settle = self._history.settle_seconds
        # What was on its way into the history when the rebuild began is there soon after.
        quiet = self._clock.monotonic() + min(QUIET_SECONDS, settle)
        token, deadline = building.page_token, 0.0
        while True:
            page = await self._read_page(building, token)
            token = page.next_page_token or token
            facts = read_facts(page.events)
            if not await self._counting.count_history(building.generation, facts, token, len(page.events)):
                return
            if not page.is_last:
                continue
            now = self._clock.monotonic()
            missing = await self._count_missing(building)
            deadline = deadline or now + settle
            if missing and now >= deadline:
                self._give_up_or_drop(building, missing)
                return
            if not missing and now >= quiet:
                return
            await self._clock.sleep(LOOK_SECONDS)

    async def _read_page(self, building: GenerationRow, token: str) -> HistoryPage:
        assert building.first_day is not None  # noqa: S101  Of a row that a rebuild made.
        start = building.first_day - MARGIN
        try:
            return await self._client.read_page(start, None, token)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT or not token:
                raise
        # The orchestrator's token changed its form: from the start again, what was counted is known.
        log.warning("rebuild_token_refused", generation=building.generation)
        return await self._client.read_page(start, None, "")

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
            # All times of the two are starts of days. What lies between two days with figures is empty.
            source, end = active.generation, building.start_hour
            last = await self._counters.find_last_hour(connection, source, active.start_hour, end)
            start = active.start_hour if last is None else day_of(last.astimezone(UTC))
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
