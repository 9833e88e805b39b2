"""Comparing the figures of a closed day with the orchestrator's history."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import grpc
import grpc.aio
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError, ServiceError, UnavailableError
from stoflow_service_kit.logs import get_logger
from stoflow_stats_service.clients.history import HistoryClient
from stoflow_stats_service.facts import AttemptEnded, AttemptOutcome, Fact, RunEnded, RunOutcome
from stoflow_stats_service.repositories.generation import GenerationRepository, day_of
from stoflow_stats_service.repositories.reconciled_day import FigureKey, ReconciledDayRepository
from stoflow_stats_service.services.history import (
    MARGIN,
    HistorySettings,
    orchestrator_not_set,
    read_facts,
)
from stoflow_stats_service.services.reading import reading

log = get_logger(__name__)

MAX_DIFFERENCES = 100
# What was published in the last second of a day is counted long before.
CLOSE_DELAY = timedelta(hours=1)
LOOK_SECONDS = 300.0
_DAY = timedelta(days=1)
_RUN_FIGURES = {
    RunOutcome.COMPLETED: "success_count",
    RunOutcome.FAILED: "failure_count",
    RunOutcome.CANCELLED: "cancelled_count",
    RunOutcome.EXPIRED: "expired_count",
}
_ATTEMPT_FIGURES = {
    AttemptOutcome.COMPLETED: "completed_count",
    AttemptOutcome.RETRIED: "retried_count",
    AttemptOutcome.FAILED: "failed_count",
}


class Difference(NamedTuple):
    """One figure that differs; `task_name` is empty for a figure of runs."""

    tenant_id: int
    marketplace: str
    action: str
    task_name: str
    figure: str
    counted: int
    expected: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    Attributes:
        event_count: Events of the day in the history.
        difference_count: Figures that differ.
        differences: The first of them.
    """

    event_count: int
    difference_count: int
    differences: list[Difference]


class Tally:
    """Adds facts up the plain way: one number a figure, nothing shared with the counting but the facts."""

    def __init__(self) -> None:
        self.figures: dict[FigureKey, int] = {}
        self.events = 0

    def add(self, facts: Iterable[Fact], start: datetime, end: datetime) -> None:
        """Counts the facts of hours from `start` to before `end`."""
        for fact in facts:
            if isinstance(fact, RunEnded | AttemptEnded) and start <= fact.at.hour < end:
                self.events += 1
                self._add_run(fact) if isinstance(fact, RunEnded) else self._add_attempt(fact)

    def _add_run(self, run: RunEnded) -> None:
        self._plus(run, "", "total_count")
        self._plus(run, "", _RUN_FIGURES[run.outcome])
        self._plus(run, "", "retried_count", int(run.is_retry))
        self._duration(run, "", "run", run.run_us)
        self._duration(run, "", "queue", run.queue_us)

    def _add_attempt(self, attempt: AttemptEnded) -> None:
        self._plus(attempt, attempt.task_name, "attempt_count")
        self._plus(attempt, attempt.task_name, _ATTEMPT_FIGURES[attempt.outcome])
        self._duration(attempt, attempt.task_name, "duration", attempt.duration_us)

    def _duration(self, fact: RunEnded | AttemptEnded, task_name: str, prefix: str, us: int | None) -> None:
        if us is not None:
            self._plus(fact, task_name, f"{prefix}_count")
            self._plus(fact, task_name, f"{prefix}_us_sum", us)

    def _plus(self, fact: RunEnded | AttemptEnded, task_name: str, figure: str, value: int = 1) -> None:
        if value:
            key = (fact.at.tenant_id, fact.at.marketplace, fact.at.action, task_name, figure)
            self.figures[key] = self.figures.get(key, 0) + value


def compare(counted: Mapping[FigureKey, int], expected: Mapping[FigureKey, int]) -> list[Difference]:
    """Returns every figure that differs, ordered."""
    return [
        Difference(*key, counted.get(key, 0), expected.get(key, 0))
        for key in sorted(counted.keys() | expected.keys())
        if counted.get(key, 0) != expected.get(key, 0)
    ]


class ReconcileService:
    """Compares closed days: each once by itself, and any when asked."""

    def __init__(
        self,
        engine: AsyncEngine,
        generations: GenerationRepository,
        days: ReconciledDayRepository,
        client: HistoryClient | None,
        history: HistorySettings,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._generations = generations
        self._days = days
        self._client = client
        self._history = history
        self._clock = clock
        self._doubted: datetime | None = None

    async def run(self) -> None:
        """Compares each day once it is over, for ever."""
        while True:
            day = day_of(self._clock.now() - CLOSE_DELAY) - _DAY
            try:
                await self._reconcile_once(day)
            except (ServiceError, SQLAlchemyError, OSError) as error:
                # The history or the database is away; the day stays to be compared.
                log.warning("reconcile_interrupted", day=f"{day:%Y-%m-%d}", error=str(error))
            await self._clock.sleep(LOOK_SECONDS)

    async def _reconcile_once(self, day: datetime) -> None:
        async with reading(self._engine) as connection:
            if await self._days.find_differences(connection, day.date()) is not None:
                return
        tally, differences = await self._compare(day)
        if differences and self._doubted != day:
            # A consumer that is behind has not counted everything yet: it is looked at twice.
            self._doubted = day
            log.warning("reconcile_looks_again", day=f"{day:%Y-%m-%d}", differences=len(differences))
            return
        await self._save(day, tally, differences)

    async def reconcile(self, day: datetime) -> Comparison:
        """Compares a UTC day.

        Raises:
            InvalidArgumentError: It is not over, or not within the history.
            FailedPreconditionError: ORCHESTRATOR_NOT_SET.
            UnavailableError: The orchestrator does not answer.
        """
        tally, differences = await self._compare(day)
        await self._save(day, tally, differences)
        return Comparison(tally.events, len(differences), differences[:MAX_DIFFERENCES])

    async def _compare(self, day: datetime) -> tuple[Tally, list[Difference]]:
        async with reading(self._engine) as connection:
            # Before the long way: a database that is away makes it vain.
            await self._generations.get_active(connection)
        self._check(day)
        tally = await self._read_history(day)
        async with reading(self._engine) as connection:
            active = await self._generations.get_active(connection)
            counted = await self._days.read_figures(connection, active.generation, day, day + _DAY)
        return tally, compare(counted, tally.figures)

    async def _save(self, day: datetime, tally: Tally, differences: list[Difference]) -> None:
        async with reading(self._engine, may_write=True) as connection, connection.begin():
            await self._days.save(connection, day.date(), tally.events, len(differences))
        self._tell(day, tally.events, differences)

    def _check(self, day: datetime) -> None:
        first = self._history.first_day(self._clock.now())
        if day + _DAY > self._clock.now():
            raise InvalidArgumentError([FieldViolation("day", "must be over", "history")])
        if self._client is None:
            raise orchestrator_not_set()
        if day < first:
            text = f"must be from {first:%Y-%m-%d}, where the history begins"
            raise InvalidArgumentError([FieldViolation("day", text, "history")])

    async def _read_history(self, day: datetime) -> Tally:
        assert self._client is not None  # noqa: S101  _check has said so.
        tally, token = Tally(), ""
        while True:
            try:
                page = await self._client.read_page(day - MARGIN, day + _DAY + MARGIN, token)
            except grpc.aio.AioRpcError as error:
                raise UnavailableError(
                    f"The orchestrator does not answer ({error.code().name}).", retry_after_seconds=5
                ) from error
            tally.add(read_facts(page.events), day, day + _DAY)
            if page.is_last:
                return tally
            token = page.next_page_token

    def _tell(self, day: datetime, events: int, differences: list[Difference]) -> None:
        if differences:
            log.error(
                "reconcile_differs",
                day=f"{day:%Y-%m-%d}",
                events=events,
                differences=len(differences),
                first=[one._asdict() for one in differences[:5]],
            )
        else:
            log.info("reconciled", day=f"{day:%Y-%m-%d}", events=events)
