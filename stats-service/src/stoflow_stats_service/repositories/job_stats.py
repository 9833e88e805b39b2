"""Reading how runs ended."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_stats_service.models import MarketplaceJobStats as Stats


@dataclass(frozen=True, slots=True)
class ActionFigures:
    """How the runs of one action on one marketplace ended in a window; times in microseconds.

    `run_us_min` and `run_us_max` are None when no run was measured.
    """

    marketplace: str
    action: str
    total_count: int
    success_count: int
    failure_count: int
    cancelled_count: int
    expired_count: int
    retried_count: int
    run_count: int
    run_us_sum: int
    run_us_min: int | None
    run_us_max: int | None
    queue_count: int
    queue_us_sum: int


_SUMS = (
    Stats.total_count,
    Stats.success_count,
    Stats.failure_count,
    Stats.cancelled_count,
    Stats.expired_count,
    Stats.retried_count,
    Stats.run_count,
    Stats.run_us_sum,
    Stats.queue_count,
    Stats.queue_us_sum,
)


class JobStatsRepository:
    """Rows of marketplace_job_stats."""

    async def list_by_action(
        self,
        connection: AsyncConnection,
        tenant_id: int,
        start: datetime,
        end: datetime,
        marketplace: str,
        action: str,
    ) -> list[ActionFigures]:
        """Sums the hours from `start` to before `end`, by marketplace and action, ordered by both.

        Args:
            connection: Where to read.
            tenant_id: Whose runs.
            start: Start of the first hour.
            end: Start of the hour after the last.
            marketplace: Only this one; empty for all.
            action: Only this one; empty for all.
        """
        query = (
            select(
                Stats.marketplace,
                Stats.action,
                *(cast(func.sum(column), BigInteger).label(column.key) for column in _SUMS),
                func.min(Stats.run_us_min).label("run_us_min"),
                func.max(Stats.run_us_max).label("run_us_max"),
            )
            .where(Stats.tenant_id == tenant_id, Stats.hour >= start, Stats.hour < end)
            .group_by(Stats.marketplace, Stats.action)
            .order_by(Stats.marketplace, Stats.action)
        )
        if marketplace:
            query = query.where(Stats.marketplace == marketplace)
        if action:
            query = query.where(Stats.action == action)
        rows = await connection.execute(query)
        return [ActionFigures(**row) for row in rows.mappings()]
