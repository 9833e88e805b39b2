"""Adding figures to the counters, one statement a table."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    FromClause,
    Select,
    Table,
    bindparam,
    cast,
    column,
    delete,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import Text

from stoflow_stats_service.facts import ActionHour, AttemptOutcome, RunOutcome
from stoflow_stats_service.figures import (
    Durations,
    ErrorHour,
    Figures,
    JobFigures,
    TaskFigures,
    TaskHour,
)
from stoflow_stats_service.models import MarketplaceErrorStats, MarketplaceJobStats, MarketplaceTaskStats
from stoflow_stats_service.models.base import MERGE
from stoflow_stats_service.sketch import HIT_BITS, HIT_MASK, pack

_Row = dict[str, Any]
HOUR = timedelta(hours=1)


def _table(model: Any) -> Table:
    table: FromClause = model.__table__
    assert isinstance(table, Table)  # noqa: S101  SQLAlchemy types a model's table more widely than it is.
    return table


# Always in this order: whoever counts at the same time locks rows in one order.
_TABLES = tuple(map(_table, (MarketplaceJobStats, MarketplaceTaskStats, MarketplaceErrorStats)))


def _add_statement(table: Table) -> Insert:
    """Inserts rows given as one array a column; a row that exists takes each figure by its column's rule."""
    # unnest would flatten an array of arrays: sketches come as texts of arrays.
    types = {c.name: Text() if isinstance(c.type, ARRAY) else c.type for c in table.columns}
    arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()]
    columns = [column(name, kind) for name, kind in types.items()]
    source = func.unnest(*arrays).table_valued(*columns, name="added").render_derived()
    values = [cast(source.c[c.name], c.type) for c in table.columns]
    return _adding(table, select(*values))


def _adding(table: Table, rows: Select[Any]) -> Insert:
    statement = insert(table).from_select([c.name for c in table.columns], rows)
    figures = [c for c in table.columns if not c.primary_key]
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={c.name: _merged(c, statement.excluded[c.name]) for c in figures},
    )


def _merged(stored: Column[Any], added: ColumnElement[Any]) -> ColumnElement[Any]:
    rule: str = stored.info[MERGE]
    if rule == "sum":
        return stored + added
    if rule == "sketch":
        return literal_column(_merged_sketch(f"{stored.table.name}.{stored.name}", f"excluded.{stored.name}"))
    # Both ignore NULL, which stands for "nothing measured".
    return func.least(stored, added) if rule == "min" else func.greatest(stored, added)


def _merged_sketch(stored: str, added: str) -> str:
    """Adds the hits of equal keys; NULL is nothing, and nothing and nothing is NULL."""
    # No value of a caller is in it: the names are those of the columns.
    return (
        f"(SELECT array_agg((m.key << {HIT_BITS}) | m.hits ORDER BY m.key)"  # noqa: S608
        f" FROM (SELECT b >> {HIT_BITS} AS key,"
        f" sum(b & {HIT_MASK})::bigint AS hits FROM unnest({stored} || {added}) AS b GROUP BY 1) AS m)"
    )


_ADD_JOBS, _ADD_TASKS, _ADD_ERRORS = map(_add_statement, _TABLES)


class CounterRepository:
    """Rows of the three tables of counters."""

    async def add(self, connection: AsyncConnection, generation: int, figures: Figures) -> None:
        """Adds figures to the counters of a generation."""
        # Sorted: replicas that count at once lock rows in one order.
        jobs = [_job_row(*item) for item in sorted(figures.jobs.items(), key=_key)]
        tasks = [_task_row(*item) for item in sorted(figures.tasks.items(), key=_key)]
        errors = [_error_row(*item) for item in sorted(figures.errors.items(), key=_key)]
        for statement, rows in ((_ADD_JOBS, jobs), (_ADD_TASKS, tasks), (_ADD_ERRORS, errors)):
            await _execute(connection, statement, generation, rows)

    async def find_first_hour(
        self, connection: AsyncConnection, generation: int, start: datetime, end: datetime
    ) -> datetime | None:
        """Returns the first hour with figures from `start` to before `end`."""
        return min(await self._extremes(connection, func.min, generation, start, end), default=None)

    async def find_last_hour(
        self, connection: AsyncConnection, generation: int, start: datetime, end: datetime
    ) -> datetime | None:
        """Returns the last hour with figures from `start` to before `end`."""
        return max(await self._extremes(connection, func.max, generation, start, end), default=None)

    async def _extremes(
        self, connection: AsyncConnection, of: Any, generation: int, start: datetime, end: datetime
    ) -> list[datetime]:
        found: list[datetime] = []
        for table in _TABLES:
            query = select(of(table.c.hour)).where(_is_within(table, generation, start, end))
            found += [hour for hour in (await connection.execute(query)).scalars() if hour is not None]
        return found

    async def copy_days(
        self, connection: AsyncConnection, source: int, target: int, start: datetime, end: datetime
    ) -> None:
        """Copies the figures of hours from `start` to before `end`; what the target has already stays."""
        for table in _TABLES:
            values = [literal(target) if c.name == "generation" else c for c in table.columns]
            rows = select(*values).where(_is_within(table, source, start, end))
            statement = insert(table).from_select([c.name for c in table.columns], rows)
            await connection.execute(statement.on_conflict_do_nothing())

    async def roll_up(self, connection: AsyncConnection, generation: int, day: datetime) -> None:
        """Adds the hours of a day to its first one."""
        for table in _TABLES:
            for number in range(1, 24):
                hour = day + number * HOUR
                gone = (
                    delete(table)
                    .where(_is_within(table, generation, hour, hour + HOUR))
                    .returning(*table.columns)
                    .cte("gone")
                )
                values = [literal(day) if c.name == "hour" else gone.c[c.name] for c in table.columns]
                await connection.execute(_adding(table, select(*values)))

    async def delete_before(
        self, connection: AsyncConnection, generation: int, hour: datetime, limit: int
    ) -> int:
        """Deletes at most so many rows a table of earlier hours; returns how many went."""
        deleted = 0
        for table in _TABLES:
            ctid: ColumnElement[Any] = literal_column(f"{table.fullname}.ctid")
            some = select(ctid).where(table.c.generation == generation, table.c.hour < hour).limit(limit)
            # An array, not IN: the rows are then fetched by their address.
            statement = delete(table).where(ctid == func.any(func.array(some.scalar_subquery())))
            deleted += (await connection.execute(statement)).rowcount
        return deleted


def _is_within(table: Table, generation: int, start: datetime, end: datetime) -> ColumnElement[bool]:
    return (table.c.generation == generation) & (table.c.hour >= start) & (table.c.hour < end)


async def _execute(
    connection: AsyncConnection, statement: Insert, generation: int, rows: Sequence[_Row]
) -> None:
    if rows:
        values = {name: [row[name] for row in rows] for name in rows[0]}
        await connection.execute(statement, {"generation": [generation] * len(rows), **values})


def _key(item: tuple[Any, Any]) -> Any:
    return item[0]


def _job_row(key: ActionHour, figures: JobFigures) -> _Row:
    outcomes = figures.outcomes
    return {
        **key._asdict(),
        "total_count": sum(outcomes.values()),
        "success_count": outcomes[RunOutcome.COMPLETED],
        "failure_count": outcomes[RunOutcome.FAILED],
        "cancelled_count": outcomes[RunOutcome.CANCELLED],
        "expired_count": outcomes[RunOutcome.EXPIRED],
        "retried_count": figures.retried_count,
        **_duration_columns("run", figures.run),
        **_duration_columns("queue", figures.queue),
    }


def _task_row(key: TaskHour, figures: TaskFigures) -> _Row:
    outcomes = figures.outcomes
    return {
        **key.at._asdict(),
        "task_name": key.task_name,
        "attempt_count": sum(outcomes.values()),
        "completed_count": outcomes[AttemptOutcome.COMPLETED],
        "retried_count": outcomes[AttemptOutcome.RETRIED],
        "failed_count": outcomes[AttemptOutcome.FAILED],
        **_duration_columns("duration", figures.duration),
    }


def _error_row(key: ErrorHour, count: int) -> _Row:
    return {**key.at._asdict(), "scope": key.scope, **key.kind._asdict(), "error_count": count}


def _duration_columns(prefix: str, durations: Durations) -> _Row:
    packed = pack(durations.hits)
    return {
        f"{prefix}_count": durations.count,
        f"{prefix}_us_sum": durations.us_sum,
        f"{prefix}_us_min": durations.us_min,
        f"{prefix}_us_max": durations.us_max,
        f"{prefix}_sketch": None if packed is None else "{" + ",".join(map(str, packed)) + "}",
    }
