"""Reading what went wrong."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_stats_service.models import MarketplaceErrorStats as Stats
from stoflow_stats_service.repositories.selection import Selection


@dataclass(frozen=True, slots=True)
class ErrorFigures:
    """How often one code was met, and how often all that the selection leaves."""

    marketplace: str
    action: str
    error_class: int
    code: str
    error_count: int
    all_count: int


class ErrorStatsRepository:
    """Rows of marketplace_error_stats."""

    async def list_top(
        self,
        connection: AsyncConnection,
        generation: int,
        selection: Selection,
        scope: str,
        limit: int,
        offset: int = 0,
    ) -> list[ErrorFigures]:
        """Adds up errors of a scope, RUN or ATTEMPT; the most frequent first, equals by their names."""
        key = (Stats.marketplace, Stats.action, Stats.error_class, Stats.code)
        count = func.sum(Stats.error_count)
        query = (
            select(
                *key,
                cast(count, BigInteger).label("error_count"),
                cast(func.sum(count).over(), BigInteger).label("all_count"),
            )
            .where(*selection.conditions(Stats, generation), Stats.scope == scope)
            .group_by(*key)
            .order_by(count.desc(), *key)
            .limit(limit)
            .offset(offset)
        )
        return [ErrorFigures(**row) for row in (await connection.execute(query)).mappings()]
