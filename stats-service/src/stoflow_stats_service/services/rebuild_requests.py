"""Beginning rebuilds, and telling of them; services/rebuilding.py carries them out."""

import hashlib
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

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
from stoflow_stats_service.repositories.generation import GenerationRepository, GenerationRow, day_after
from stoflow_stats_service.services.history import HistorySettings, orchestrator_not_set
from stoflow_stats_service.services.reading import reading

log = get_logger(__name__)


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


def _same_request(row: GenerationRow, digest: str) -> GenerationRow:
    if row.request_digest != digest:
        raise AlreadyExistsError("This request_id was used with another body.", reason="REQUEST_ID_REUSED")
    return row
