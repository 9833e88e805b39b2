"""Which events are counted."""

from collections.abc import Collection

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_stats_service.models import CountedEvent

_IDS = func.unnest(bindparam("event_ids", type_=ARRAY(Text))).column_valued("event_id")

_INSERT_NEW = (
    insert(CountedEvent)
    .from_select(["event_id"], select(_IDS))
    .on_conflict_do_nothing(index_elements=[CountedEvent.event_id])
    .returning(CountedEvent.event_id)
)


class CountedEventRepository:
    """Rows of counted_events."""

    async def insert_new(self, connection: AsyncConnection, event_ids: Collection[str]) -> set[str]:
        """Marks events as counted.

        An id that another transaction is inserting is waited for, so an event is counted by one of them only.

        Returns:
            The ids that were not counted before.
        """
        # Sorted: two replicas that hold the same redelivered messages would otherwise lock each other out.
        rows = await connection.execute(_INSERT_NEW, {"event_ids": sorted(event_ids)})
        return set(rows.scalars())
