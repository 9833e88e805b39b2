"""What is done by age: ids are forgotten, hours become days, days and retired generations are deleted."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger
from stoflow_stats_service.repositories.counted_event import CountedEventRepository
from stoflow_stats_service.repositories.counter import CounterRepository
from stoflow_stats_service.repositories.generation import GenerationRepository, day_of

log = get_logger(__name__)

CHUNK_ROWS = 5_000
_DAY = timedelta(days=1)
_END = datetime.max.replace(tzinfo=UTC)

Delete = Callable[[AsyncConnection, int, datetime, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """For how many days what is kept.

    Attributes:
        event_ids: Ids of counted events. Longer than the stream and the history can repeat an event.
        hours: Figures by hour; older ones are by day.
        days: Figures by day.
        check_seconds: How often it is looked at.
    """

    event_ids: float
    hours: float
    days: float
    check_seconds: float


class RetentionService:
    """Does it; several replicas may, at once."""

    def __init__(
        self,
        engine: AsyncEngine,
        events: CountedEventRepository,
        counters: CounterRepository,
        generations: GenerationRepository,
        settings: RetentionSettings,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._events = events
        self._counters = counters
        self._generations = generations
        self._settings = settings
        self._clock = clock

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            try:
                await self.clean()
            except (SQLAlchemyError, OSError) as error:
                # Nothing is lost by doing it later.
                log.warning("retention_interrupted", error=type(error).__name__)
            await self._clock.sleep(self._settings.check_seconds)

    async def clean(self) -> None:
        """Does all that is due; a rebuild holds it up, since it copies what is there."""
        async with self._engine.connect() as connection:
            rows = await self._generations.list_all(connection)
        for row in rows:
            if row.state in ("RETIRED", "FAILED"):
                await self._delete(
                    row.generation, _END, self._events.delete_before, self._counters.delete_before
                )
        if any(row.state == "BUILDING" for row in rows):
            return
        (active,) = (row.generation for row in rows if row.state == "ACTIVE")
        now = self._clock.now()
        forgotten = await self._forget_before(now - timedelta(days=self._settings.event_ids))
        await self._delete(active, forgotten, self._events.delete_before)
        while await self._roll_up_one(day_of(now - timedelta(days=self._settings.hours))):
            pass
        await self._delete(
            active, day_of(now - timedelta(days=self._settings.days)), self._counters.delete_before
        )

    async def _forget_before(self, time: datetime) -> datetime:
        """Lets no events of earlier days be counted any more; returns the first hour that still is."""
        # Whole days: a rebuild takes days over, each either counted still or not any more.
        hour = day_of(time)
        async with self._engine.begin() as connection:
            await self._generations.lock_for_change(connection)
            active = await self._generations.get_active(connection)
            if await self._generations.find_building(connection) is not None or hour <= active.start_hour:
                return active.start_hour
            await self._generations.change(connection, active.generation, start_hour=hour)
        return hour

    async def _roll_up_one(self, end: datetime) -> bool:
        """Rolls up one day that ended before `end`; returns whether there may be more."""
        async with self._engine.begin() as connection:
            await self._generations.lock_for_change(connection)
            active = await self._generations.get_active(connection)
            start = active.hours_start
            if await self._generations.find_building(connection) is not None or start >= end:
                return False
            first = await self._counters.find_first_hour(connection, active.generation, start, end)
            day = day_of(first.astimezone(UTC)) if first is not None else None
            if day is not None:
                await self._counters.roll_up(connection, active.generation, day)
            next_start = end if day is None else day + _DAY
            await self._generations.change(connection, active.generation, hours_start=next_start)
        if day is not None:
            log.info("hours_rolled_up", day=f"{day:%Y-%m-%d}")
        return next_start < end

    async def _delete(self, generation: int, hour: datetime, *deletes: Delete) -> None:
        """Deletes in short transactions; nothing counts there any more."""
        for delete in deletes:
            while True:
                async with self._engine.begin() as connection:
                    if not await delete(connection, generation, hour, CHUNK_ROWS):
                        break
