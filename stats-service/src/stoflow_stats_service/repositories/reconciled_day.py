"""Days that were compared with the orchestrator's history, and what is compared of a day."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_stats_service.models import MarketplaceJobStats, MarketplaceTaskStats, ReconciledDay

# Tenant, marketplace, action, step (empty for runs), figure.
FigureKey = tuple[int, str, str, str, str]


class ReconciledDayRepository:
    """Rows of reconciled_days."""

    async def find_differences(self, connection: AsyncConnection, day: date) -> int | None:
        """Returns how many figures of a day differed; None if it was not compared."""
        query = select(ReconciledDay.difference_count).where(ReconciledDay.day == day)
        return (await connection.execute(query)).scalar_one_or_none()

    async def find_newest(self, connection: AsyncConnection) -> tuple[date, int] | None:
        """Returns the newest day that was compared, and how many of its figures differed."""
        query = select(ReconciledDay.day, ReconciledDay.difference_count)
        row = (await connection.execute(query.order_by(ReconciledDay.day.desc()).limit(1))).one_or_none()
        return None if row is None else (row[0], row[1])

    async def save(
        self, connection: AsyncConnection, day: date, event_count: int, difference_count: int
    ) -> None:
        """Remembers the newest comparison of a day."""
        values = {"event_count": event_count, "difference_count": difference_count}
        statement = insert(ReconciledDay).values(day=day, **values)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[ReconciledDay.day], set_={**values, "check_time": func.now()}
            )
        )

    async def read_figures(
        self, connection: AsyncConnection, generation: int, start: datetime, end: datetime
    ) -> Mapping[FigureKey, int]:
        """Returns every count and sum of the hours from `start` to before `end`, zeros left out."""
        found: dict[FigureKey, int] = {}
        for model in (MarketplaceJobStats, MarketplaceTaskStats):
            await _read(connection, model, generation, start, end, found)
        return found


async def _read(
    connection: AsyncConnection,
    model: Any,
    generation: int,
    start: datetime,
    end: datetime,
    found: dict[FigureKey, int],
) -> None:
    key = [model.tenant_id, model.marketplace, model.action]
    if hasattr(model, "task_name"):
        key.append(model.task_name)
    figures = [
        cast(func.sum(one), BigInteger).label(one.key)
        for one in model.__table__.columns
        if one.key.endswith(("_count", "_us_sum"))
    ]
    query = select(*key, *figures).where(
        model.generation == generation, model.hour >= start, model.hour < end
    )
    for row in (await connection.execute(query.group_by(*key))).mappings():
        name = (row["tenant_id"], row["marketplace"], row["action"], row.get("task_name", ""))
        for figure in figures:
            if value := row[figure.name]:
                found[*name, figure.name] = value
