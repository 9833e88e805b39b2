"""Answering how runs and attempts ended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stoflow_stats_service.repositories.error_stats import ErrorFigures, ErrorStatsRepository
from stoflow_stats_service.repositories.generation import (
    GenerationRepository,
    GenerationRow,
    day_after,
    day_of,
)
from stoflow_stats_service.repositories.job_stats import ActionFigures, JobStatsRepository
from stoflow_stats_service.repositories.selection import Selection
from stoflow_stats_service.repositories.task_stats import StepFigures, TaskStatsRepository
from stoflow_stats_service.services.reading import reading
from stoflow_stats_service.sketch import percentiles_us

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """Rows, and the selection that they cover: the one asked for, widened to days where hours were rolled up."""

    rows: list[T]
    selection: Selection


@dataclass(frozen=True, slots=True)
class SlowStep:
    """A step and the 95th percentile of its attempts."""

    step: StepFigures
    p95_us: int


class StatisticsService:
    """Reads the counters of the generation that answers; what one call reads is of one moment."""

    def __init__(
        self,
        engine: AsyncEngine,
        generations: GenerationRepository,
        jobs: JobStatsRepository,
        tasks: TaskStatsRepository,
        errors: ErrorStatsRepository,
    ) -> None:
        self._engine = engine
        self._generations = generations
        self._jobs = jobs
        self._tasks = tasks
        self._errors = errors

    async def list_by_action(self, selection: Selection) -> Found[ActionFigures]:
        """Returns how runs ended, by marketplace, action and period."""
        async with reading(self._engine) as connection:
            active, selection = await self._covered(connection, selection)
            return Found(await self._jobs.list_by_action(connection, active, selection), selection)

    async def list_by_step(self, selection: Selection) -> Found[StepFigures]:
        """Returns how attempts ended, by marketplace, action, step and period."""
        async with reading(self._engine) as connection:
            active, selection = await self._covered(connection, selection)
            return Found(await self._tasks.list_by_step(connection, active, selection), selection)

    async def list_errors(
        self, selection: Selection, scope: str, limit: int, offset: int
    ) -> Found[ErrorFigures]:
        """Returns what went wrong, the most frequent first."""
        async with reading(self._engine) as connection:
            active, selection = await self._covered(connection, selection)
            rows = await self._errors.list_top(connection, active, selection, scope, limit, offset)
            return Found(rows, selection)

    async def list_slow_steps(self, selection: Selection, least_p95_us: int) -> Found[SlowStep]:
        """Returns the steps with at least this 95th percentile, the slowest first, equals by their names."""
        found = await self.list_by_step(selection)
        slow = []
        for step in found.rows:
            measured = step.duration
            p95 = percentiles_us(measured.hits, (0.95,), measured.us_min, measured.us_max)
            if p95 is not None and p95[0] >= least_p95_us:
                slow.append(SlowStep(step, p95[0]))
        # Sorting keeps equals as they were: by name.
        return Found(sorted(slow, key=lambda one: -one.p95_us), found.selection)

    async def _covered(self, connection: AsyncConnection, selection: Selection) -> tuple[int, Selection]:
        active = await self._generations.get_active(connection)
        return active.generation, widen(selection, active)


def widen(selection: Selection, generation: GenerationRow) -> Selection:
    """Widens a selection to whole days where a generation's hours are rolled up."""
    start, end = selection.start, selection.end
    if start < generation.hours_start:
        start = day_of(start)
    if end < generation.hours_start:
        end = day_after(end)
    return replace(selection, start=start, end=end)


def fold(
    rows: list[ActionFigures], name_of: Callable[[ActionFigures], tuple[str, str]]
) -> list[ActionFigures]:
    """Adds rows up by a pair of marketplace and action, either of which may be empty; ordered by it."""
    found: dict[tuple[str, str], ActionFigures] = {}
    for row in rows:
        name = name_of(row)
        found.setdefault(name, ActionFigures(*name)).merge(row)
    return [found[name] for name in sorted(found)]
