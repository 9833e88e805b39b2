"""Reading how runs ended."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_stats_service.figures import Durations
from stoflow_stats_service.models import MarketplaceJobStats as Stats
from stoflow_stats_service.repositories.selection import Selection, read_sums

_COUNTS = (
    "total_count",
    "success_count",
    "failure_count",
    "cancelled_count",
    "expired_count",
    "retried_count",
)


@dataclass(slots=True)
class ActionFigures:
    """How runs ended, of one action on one marketplace or, with an empty name, of all; `period` is None in a total."""

    marketplace: str = ""
    action: str = ""
    period: datetime | None = None
    total_count: int = 0
    success_count: int = 0
    failure_count: int = 0
    cancelled_count: int = 0
    expired_count: int = 0
    retried_count: int = 0
    run: Durations = field(default_factory=Durations)
    queue: Durations = field(default_factory=Durations)

    def merge(self, other: "ActionFigures") -> None:
        """Adds the runs of another."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.run.merge(other.run)
        self.queue.merge(other.queue)


class JobStatsRepository:
    """Rows of marketplace_job_stats."""

    async def list_by_action(
        self, connection: AsyncConnection, generation: int, selection: Selection
    ) -> list[ActionFigures]:
        """Adds up runs, by marketplace, action and period, ordered by them."""
        key = (Stats.marketplace, Stats.action)
        rows = await read_sums(connection, selection, generation, Stats, key, ("run", "queue"))
        names = ("marketplace", "action", "period", *_COUNTS)
        found = []
        for values, durations in rows:
            fields: dict[str, Any] = {name: values[name] for name in names}
            found.append(ActionFigures(**fields, run=durations["run"], queue=durations["queue"]))
        return found
