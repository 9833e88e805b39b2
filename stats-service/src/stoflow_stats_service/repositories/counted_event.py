"""Which events are counted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Text, bindparam, column, delete, func, insert, literal, select
from sqlalchemy import literal_column as raw
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from stoflow_stats_service.models import CountedEvent

_TIME = DateTime(timezone=True)
_ADDED = (
    func.unnest(bindparam("event_ids", type_=ARRAY(Text)), bindparam("hours", type_=ARRAY(_TIME)))
    .table_valued(column("event_id", Text), column("hour", _TIME), name="added")
    .render_derived()
)
_INSERT_NEW = (
    upsert(CountedEvent)
    .from_select(
        ["generation", "event_id", "hour"],
        select(bindparam("of_generation", type_=BigInteger), _ADDED.c.event_id, _ADDED.c.hour),
    )
    .on_conflict_do_nothing()
    .returning(CountedEvent.event_id)
)


class CountedEventRepository:
    """Rows of counted_events."""

    async def insert_new(
        self, connection: AsyncConnection, generation: int, hours: Mapping[str, datetime]
    ) -> set[str]:
        """Marks events as counted.

        An id that another transaction is inserting is waited for, so an event is counted by one of them only.

        Args:
            connection: Where to write.
            generation: In which figures they are counted.
            hours: The UTC hour in which each event occurred, by its id.

        Returns:
            The ids that were not counted before.
        """
        # Sorted: two replicas that hold the same redelivered messages would otherwise lock each other out.
        ids = sorted(hours)
        values: dict[str, Any] = {"of_generation": generation, "event_ids": ids}
        rows = await connection.execute(_INSERT_NEW, {**values, "hours": [hours[one] for one in ids]})
        return set(rows.scalars())

    async def count_missing(
        self, connection: AsyncConnection, source: int, target: int, start: datetime
    ) -> int:
        """Returns how many events from an hour on are counted in one generation and not in another."""
        ours, other = aliased(CountedEvent), aliased(CountedEvent)
        is_there = (
            select(raw("1")).where(other.generation == target, other.event_id == ours.event_id).exists()
        )
        query = (
            select(func.count())
            .select_from(ours)
            .where(ours.generation == source, ours.hour >= start, ~is_there)
        )
        return (await connection.execute(query)).scalar_one()

    async def copy_days(
        self, connection: AsyncConnection, source: int, target: int, start: datetime, end: datetime
    ) -> None:
        """Copies the ids of hours from `start` to before `end`."""
        rows = select(literal(target), CountedEvent.event_id, CountedEvent.hour).where(
            CountedEvent.generation == source, CountedEvent.hour >= start, CountedEvent.hour < end
        )
        await connection.execute(insert(CountedEvent).from_select(["generation", "event_id", "hour"], rows))

    async def delete_before(
        self, connection: AsyncConnection, generation: int, hour: datetime, limit: int
    ) -> int:
        """Deletes at most so many ids of earlier hours; returns how many went."""
        ctid: Any = raw("stats.counted_events.ctid")
        some = (
            select(ctid)
            .where(CountedEvent.generation == generation, CountedEvent.hour < hour)
            .limit(limit)
            .scalar_subquery()
        )
        result = await connection.execute(delete(CountedEvent).where(ctid == func.any(func.array(some))))
        return result.rowcount
