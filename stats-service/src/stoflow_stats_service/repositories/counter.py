"""Adding a batch's figures to the counters, one statement a table."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, FromClause, Table, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

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

_Row = dict[str, Any]


def _add_statement(table: FromClause) -> Insert:
    """Inserts rows given as one array a column; a row that exists takes each figure by its column's rule."""
    assert isinstance(table, Table)  # noqa: S101  SQLAlchemy types a model's table more widely than it is.
    arrays = [bindparam(c.name, type_=ARRAY(c.type)) for c in table.columns]
    names = [c.name for c in table.columns]
    columns = [column(c.name, c.type) for c in table.columns]
    source = func.unnest(*arrays).table_valued(*columns, name="added").render_derived()
    statement = insert(table).from_select(names, select(*(source.c[name] for name in names)))
    figures = [c for c in table.columns if not c.primary_key]
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={c.name: _merged(c, statement.excluded[c.name]) for c in figures},
    )


def _merged(stored: Column[Any], added: ColumnElement[Any]) -> ColumnElement[Any]:
    rule: str = stored.info[MERGE]
    if rule == "sum":
        return stored + added
    # Both ignore NULL, which stands for "nothing measured".
    return func.least(stored, added) if rule == "min" else func.greatest(stored, added)


_ADD_JOBS = _add_statement(MarketplaceJobStats.__table__)
_ADD_TASKS = _add_statement(MarketplaceTaskStats.__table__)
_ADD_ERRORS = _add_statement(MarketplaceErrorStats.__table__)


class CounterRepository:
    """Rows of the three tables of counters."""

    async def add(self, connection: AsyncConnection, figures: Figures) -> None:
        """Adds figures to the counters."""
        # Sorted, and the tables always in this order: replicas that count at once lock rows in one order.
        await _execute(
            connection, _ADD_JOBS, [_job_row(*item) for item in sorted(figures.jobs.items(), key=_key)]
        )
        await _execute(
            connection, _ADD_TASKS, [_task_row(*item) for item in sorted(figures.tasks.items(), key=_key)]
        )
        await _execute(
            connection, _ADD_ERRORS, [_error_row(*item) for item in sorted(figures.errors.items(), key=_key)]
        )


async def _execute(connection: AsyncConnection, statement: Insert, rows: Sequence[_Row]) -> None:
    if rows:
        await connection.execute(statement, {name: [row[name] for row in rows] for name in rows[0]})


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
        "queue_count": figures.queue.count,
        "queue_us_sum": figures.queue.us_sum,
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
    return {
        f"{prefix}_count": durations.count,
        f"{prefix}_us_sum": durations.us_sum,
        f"{prefix}_us_min": durations.us_min,
        f"{prefix}_us_max": durations.us_max,
    }
