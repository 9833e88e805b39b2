"""What a question selects, and reading sums and sketches of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, column, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_stats_service.figures import Durations
from stoflow_stats_service.sketch import HIT_BITS, HIT_MASK


class Granularity(Enum):
    """How finely figures are split by time."""

    TOTAL = "total"
    DAY = "day"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which figures.

    Attributes:
        tenant_id: Only this tenant; 0 for all.
        marketplace: Only this one; empty for all.
        action: Only this one; empty for all.
        start: Start of the first hour.
        end: Start of the hour after the last.
        granularity: By what time they are split.
        task_name: Only this step; empty for all. Not for figures of runs.
    """

    tenant_id: int
    marketplace: str
    action: str
    start: datetime
    end: datetime
    granularity: Granularity = Granularity.TOTAL
    task_name: str = ""

    def conditions(self, model: Any, generation: int) -> list[ColumnElement[bool]]:
        """Returns what rows of a table must fulfil."""
        found = [model.generation == generation, model.hour >= self.start, model.hour < self.end]
        if self.tenant_id:
            found.append(model.tenant_id == self.tenant_id)
        names = ("marketplace", "action", "task_name")
        return found + [getattr(model, name) == getattr(self, name) for name in names if getattr(self, name)]

    def period(self, model: Any) -> ColumnElement[Any]:
        """Returns the start of a row's period; NULL in a total."""
        if self.granularity is Granularity.TOTAL:
            return literal(None)
        return func.date_trunc(self.granularity.value, model.hour, "UTC")


async def read_sums(
    connection: AsyncConnection,
    selection: Selection,
    generation: int,
    model: Any,
    key: Sequence[Any],
    durations: Sequence[str],
) -> list[tuple[Mapping[str, Any], dict[str, Durations]]]:
    """Adds up counters.

    Args:
        connection: Where to read; both statements must see the same state.
        selection: What to add up.
        generation: In which figures.
        model: The table.
        key: Columns that keep rows apart, and order them.
        durations: Prefixes of its columns of durations.

    Returns:
        For each group the key, `period` and the counts, and its durations by prefix; ordered by key and period.
    """
    groups: list[Any] = [column(one.key) for one in key] + [column("period")]
    keys = [*key, selection.period(model).label("period")]
    sums = [
        cast(func.sum(one), BigInteger).label(one.key)
        for one in model.__table__.columns
        if _is_count(one.key)
    ]
    extremes = [
        of(getattr(model, f"{prefix}_us_{name}")).label(f"{prefix}_us_{name}")
        for prefix in durations
        for name, of in (("min", func.min), ("max", func.max))
    ]
    query = select(*keys, *sums, *extremes).where(*selection.conditions(model, generation))
    rows = await connection.execute(query.group_by(*groups).order_by(*groups))
    hits = {
        prefix: await _read_hits(connection, _hits_query(selection, generation, model, keys, prefix))
        for prefix in durations
    }
    found: list[tuple[Mapping[str, Any], dict[str, Durations]]] = []
    for row in rows.mappings():
        values = dict(row)
        values["period"] = values["period"] and values["period"].astimezone(UTC)
        place = (*(values[one.key] for one in key), values["period"])
        measured = {prefix: _durations(values, prefix, hits[prefix].get(place, {})) for prefix in durations}
        found.append((values, measured))
    return found


def _is_count(name: str) -> bool:
    return name.endswith(("_count", "_us_sum"))


def _durations(values: Mapping[str, Any], prefix: str, hits: dict[int, int]) -> Durations:
    count, us_sum, us_min, us_max = (
        values[f"{prefix}_{name}"] for name in ("count", "us_sum", "us_min", "us_max")
    )
    return Durations(count, us_sum, us_min, us_max, hits)


def _hits_query(
    selection: Selection, generation: int, model: Any, keys: Sequence[Any], prefix: str
) -> Select[Any]:
    bucket = func.unnest(getattr(model, f"{prefix}_sketch")).column_valued("bucket", joins_implicitly=True)
    place = bucket.op(">>")(HIT_BITS).label("place")
    hits = cast(func.sum(bucket.op("&")(HIT_MASK)), BigInteger)
    groups: list[Any] = [column(one.key) for one in keys] + [column("place")]
    query = select(*keys, place, hits).where(*selection.conditions(model, generation))
    return query.group_by(*groups)


async def _read_hits(
    connection: AsyncConnection, query: Select[Any]
) -> dict[tuple[Any, ...], dict[int, int]]:
    found: dict[tuple[Any, ...], dict[int, int]] = defaultdict(dict)
    for *names, period, place, hits in await connection.execute(query):
        found[*names, period and period.astimezone(UTC)][place] = hits
    return found
