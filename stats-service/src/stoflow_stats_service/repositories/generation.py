"""Generations of figures, and the lock that keeps them apart."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_stats_service.models import Generation

# Any constants will do that no other program locks in the same database: "STAC" and "STAR" in ASCII.
COUNTING_LOCK = 0x53544143
REBUILD_LOCK = 0x53544152

State = Literal["BUILDING", "ACTIVE", "RETIRED", "FAILED"]
_FIELDS = tuple(Generation.__table__.columns)


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """A row of generations; see the model for what each column means."""

    generation: int
    state: State
    start_hour: datetime
    hours_start: datetime
    request_id: str | None
    request_digest: str | None
    first_day: datetime | None
    drop_unlisted: bool
    page_token: str
    event_count: int
    problem: str
    create_time: datetime
    finish_time: datetime | None

    def period_of(self, hour: datetime) -> datetime:
        """Returns under which start an hour is counted: its day's, once that is rolled up."""
        return hour if hour >= self.hours_start else hour.replace(hour=0)


class GenerationRepository:
    """Rows of generations."""

    async def lock_for_counting(self, connection: AsyncConnection) -> None:
        """Lets generations not change until the transaction ends; any number may count at once."""
        await connection.execute(text(f"SELECT pg_advisory_xact_lock_shared({COUNTING_LOCK})"))

    async def lock_for_change(self, connection: AsyncConnection) -> None:
        """Waits until nobody counts, and lets nobody count until the transaction ends: keep it short."""
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({COUNTING_LOCK})"))

    async def list_live(self, connection: AsyncConnection) -> list[GenerationRow]:
        """Returns the generations in which events are counted: the one that answers, and one that is built."""
        query = select(*_FIELDS).where(Generation.state.in_(["ACTIVE", "BUILDING"]))
        rows = await connection.execute(query.order_by(Generation.generation))
        return [_row(row) for row in rows]

    async def list_all(self, connection: AsyncConnection) -> list[GenerationRow]:
        """Returns every generation, the newest first."""
        query = select(*_FIELDS).order_by(Generation.generation.desc())
        return [_row(row) for row in await connection.execute(query)]

    async def get_active(self, connection: AsyncConnection) -> GenerationRow:
        """Returns the generation that answers."""
        query = select(*_FIELDS).where(Generation.state == "ACTIVE")
        return _row((await connection.execute(query)).one())

    async def find_building(self, connection: AsyncConnection) -> GenerationRow | None:
        """Returns the generation that is built."""
        query = select(*_FIELDS).where(Generation.state == "BUILDING")
        row = (await connection.execute(query)).one_or_none()
        return None if row is None else _row(row)

    async def add_building(
        self,
        connection: AsyncConnection,
        active: GenerationRow,
        first_day: datetime,
        request_id: str,
        request_digest: str,
        *,
        drop_unlisted: bool,
    ) -> GenerationRow:
        """Begins a generation that is counted from `first_day` on."""
        number = select(func.max(Generation.generation) + 1).scalar_subquery()
        statement = insert(Generation).values(
            generation=number,
            state="BUILDING",
            start_hour=first_day,
            hours_start=active.hours_start,
            request_id=request_id,
            request_digest=request_digest,
            first_day=first_day,
            drop_unlisted=drop_unlisted,
        )
        return _row((await connection.execute(statement.returning(*_FIELDS))).one())

    async def change(self, connection: AsyncConnection, generation: int, **values: Any) -> None:
        """Sets columns of a generation."""
        await connection.execute(
            update(Generation).where(Generation.generation == generation).values(**values)
        )

    async def add_page(
        self, connection: AsyncConnection, generation: int, page_token: str, event_count: int
    ) -> None:
        """Remembers that a page of the history was counted."""
        await self.change(
            connection,
            generation,
            page_token=page_token,
            event_count=Generation.event_count + event_count,
        )


def _row(row: Any) -> GenerationRow:
    values = row._asdict()
    # Sessions of a database may run in any time zone; hours are replaced and compared in UTC.
    for name, value in values.items():
        if isinstance(value, datetime):
            values[name] = value.astimezone(UTC)
    return GenerationRow(**values)


def day_of(time: datetime) -> datetime:
    """Returns the start of the UTC day of a time in UTC."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def day_after(time: datetime) -> datetime:
    """Returns the start of the first UTC day that does not begin before a time."""
    day = day_of(time)
    return day if day == time else day + timedelta(days=1)
