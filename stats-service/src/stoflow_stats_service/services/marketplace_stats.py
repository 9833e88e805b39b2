"""Answering how runs ended."""

from sqlalchemy.ext.asyncio import AsyncEngine

from stoflow_stats_service.repositories.job_stats import ActionFigures, JobStatsRepository
from stoflow_stats_service.services.reading import reading
from stoflow_stats_service.window import Window


class MarketplaceStatsService:
    """Reads the counters."""

    def __init__(self, engine: AsyncEngine, job_stats: JobStatsRepository) -> None:
        self._engine = engine
        self._job_stats = job_stats

    async def list_by_action(
        self, tenant_id: int, window: Window, marketplace: str = "", action: str = ""
    ) -> list[ActionFigures]:
        """Returns a row for each marketplace and action with runs in the window; empty filters mean all."""
        async with reading(self._engine) as connection:
            return await self._job_stats.list_by_action(
                connection, tenant_id, window.start, window.end, marketplace, action
            )
