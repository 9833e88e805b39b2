"""What the gauges show, read anew in short intervals."""

from datetime import UTC, datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import UnavailableError
from stoflow_service_kit.logs import get_logger
from stoflow_stats_service.figure_metrics import RecentCollector, RecentFigures, Snapshot
from stoflow_stats_service.repositories.error_stats import ErrorStatsRepository
from stoflow_stats_service.repositories.generation import GenerationRepository, day_of
from stoflow_stats_service.repositories.job_stats import JobStatsRepository
from stoflow_stats_service.repositories.reconciled_day import ReconciledDayRepository
from stoflow_stats_service.repositories.selection import Selection
from stoflow_stats_service.repositories.task_stats import TaskStatsRepository
from stoflow_stats_service.services.reading import reading

log = get_logger(__name__)

# Codes are added up by class; of more codes than these only the most frequent are in the sums.
MAX_ERROR_CODES = 1_000
_HOUR = timedelta(hours=1)


class RecentFiguresService:
    """Keeps the collector's snapshot young."""

    def __init__(
        self,
        engine: AsyncEngine,
        generations: GenerationRepository,
        jobs: JobStatsRepository,
        tasks: TaskStatsRepository,
        errors: ErrorStatsRepository,
        days: ReconciledDayRepository,
        collector: RecentCollector,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._generations = generations
        self._jobs = jobs
        self._tasks = tasks
        self._errors = errors
        self._days = days
        self._collector = collector
        self._clock = clock

    async def run(self, interval_seconds: float) -> None:
        """Reads for ever."""
        while True:
            try:
                await self.refresh()
            except UnavailableError as error:
                # The gauges keep what they showed; that the database is away is told by others.
                log.debug("recent_figures_not_read", error=str(error))
            await self._clock.sleep(interval_seconds)

    async def refresh(self) -> None:
        """Reads once."""
        now = self._clock.now().astimezone(UTC)
        hour = now.replace(minute=0, second=0, microsecond=0)
        windows = {"hour": hour - _HOUR, "day": day_of(now)}
        async with reading(self._engine) as connection:
            active = await self._generations.get_active(connection)
            newest = await self._days.find_newest(connection)
            self._collector.snapshot = Snapshot(
                windows=[
                    await self._read(connection, name, active.generation, start, hour + _HOUR)
                    for name, start in windows.items()
                ],
                reconciled_day=newest and (datetime.combine(newest[0], time(), UTC), newest[1]),
                is_rebuilding=await self._generations.find_building(connection) is not None,
            )

    async def _read(
        self, connection: AsyncConnection, name: str, generation: int, start: datetime, end: datetime
    ) -> RecentFigures:
        selection = Selection(0, "", "", start, end)
        return RecentFigures(
            name,
            await self._jobs.list_by_action(connection, generation, selection),
            await self._tasks.list_by_step(connection, generation, selection),
            await self._errors.list_top(connection, generation, selection, "ATTEMPT", MAX_ERROR_CODES),
        )
