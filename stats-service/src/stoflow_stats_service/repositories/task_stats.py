"""Reading how attempts ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_stats_service.figures import Durations
from stoflow_stats_service.models import MarketplaceTaskStats as Stats
from stoflow_stats_service.repositories.selection import Selection, read_sums


@dataclass(frozen=True, slots=True)
class StepFigures:
    """How the attempts at one step ended; `period` is None in a total."""

    marketplace: str
    action: str
    task_name: str
    period: datetime | None
    attempt_count: int
    completed_count: int
    retried_count: int
    failed_count: int
    duration: Durations


class TaskStatsRepository:
    """Rows of marketplace_task_stats."""

    async def list_by_step(
        self, connection: AsyncConnection, generation: int, selection: Selection
    ) -> list[StepFigures]:
        """Adds up attempts, by marketplace, action, step and period, ordered by them."""
        key = (Stats.marketplace, Stats.action, Stats.task_name)
        rows = await read_sums(connection, selection, generation, Stats, key, ("duration",))
        counts = ("attempt_count", "completed_count", "retried_count", "failed_count")
        names = ("marketplace", "action", "task_name", "period", *counts)
        found = []
        for values, durations in rows:
            fields: dict[str, Any] = {name: values[name] for name in names}
            found.append(StepFigures(**fields, duration=durations["duration"]))
        return found
