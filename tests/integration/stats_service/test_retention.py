"""What is done by age changes no sum, and what is forgotten cannot be counted twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from stoflow.stats.v1 import stats_pb2

from stoflow_stats_service.migrations.runner import migrate
from tests.integration.stats_service.api import Stats, serving
from tests.integration.stats_service.events import random_events, run_finished
from tests.integration.stats_service.stored import counted_events

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 31, 12, 20, tzinfo=UTC)


@pytest.fixture
async def stats(database_url: str) -> AsyncIterator[Stats]:
    """Parts that keep ids for eight days, hours for two and days for twenty."""
    migrate(database_url)
    async with serving(
        database_url, NOW, retention_event_ids_days=8, retention_hours_days=2, retention_days_days=20
    ) as stats:
        yield stats


def rows(database_url: str, table: str = "marketplace_job_stats") -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(f"SELECT count(*) FROM stats.{table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


async def everything(stats: Stats, **fields: Any) -> list[Any]:
    """Asks for all answers of a window."""
    names = ("GetMarketplaceStats", "GetTaskStats", "ListErrors", "ListSlowTasks")
    return [await stats.call(name, **fields) for name in names]


async def test_hours_become_days_and_no_answer_by_day_changes(stats: Stats, database_url: str) -> None:
    """Rolled up, a day has one row instead of its hours, and every answer about it stays, percentiles included."""
    day = datetime(2026, 3, 28, tzinfo=UTC)
    await stats.count(*random_events(600, 1, day), *random_events(300, 2, day + 2 * DAY))
    window = {"start_time": day, "end_time": day + 3 * DAY}
    before = await everything(stats, **window)
    count = rows(database_url)
    await stats.parts.retention.clean()
    assert await everything(stats, **window) == before
    # 3 tenants, 2 marketplaces, 2 actions; of the first day one hour is left of four.
    assert rows(database_url) == count - 36
    await stats.parts.retention.clean()
    assert await everything(stats, **window) == before


async def test_a_window_within_rolled_up_hours_is_widened_to_the_day(stats: Stats) -> None:
    """Where hours are gone the answer covers whole days, and says so; younger hours are as before."""
    old, young = datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
    for day in (old, young):
        await stats.count(*(run_finished(at=day.replace(hour=hour)) for hour in (1, 9, 20)))
    await stats.parts.retention.clean()

    async def ask(start: datetime, end: datetime) -> tuple[list[int], datetime, datetime]:
        answer = await stats.call(
            "GetMarketplaceStats",
            start_time=start,
            end_time=end,
            granularity=stats_pb2.GRANULARITY_HOUR,
        )
        times = (answer.window.start_time, answer.window.end_time)
        first, last = (time.ToDatetime(tzinfo=UTC) for time in times)
        return [row.total_count for row in answer.stats], first, last

    assert await ask(old.replace(hour=5), old.replace(hour=10)) == ([3], old, old + DAY)
    nine = (young.replace(hour=5), young.replace(hour=10))
    assert await ask(*nine) == ([1], *nine)


async def test_an_event_that_comes_late_joins_its_day(stats: Stats, database_url: str) -> None:
    """An event of a day whose hours are rolled up is counted there, once."""
    day = datetime(2026, 3, 28, tzinfo=UTC)
    await stats.count(run_finished(at=day.replace(hour=9)))
    await stats.parts.retention.clean()
    late = run_finished(at=day.replace(hour=17))
    assert (await stats.count(late)).counted == 1
    assert (await stats.count(late)).duplicates == 1
    assert rows(database_url) == 1
    assert [row.total_count for row in await stats.get(days=5)] == [2]


async def test_forgotten_events_are_not_counted_again(stats: Stats, database_url: str) -> None:
    """Ids go after their time; an event of those days is refused as late, since nobody knows whether it counts."""
    old, young = run_finished(at=NOW - 9 * DAY), run_finished(at=NOW - 7 * DAY)
    await stats.count(old, young)
    await stats.parts.retention.clean()
    assert counted_events(database_url) == 1
    result = await stats.count(old, young, run_finished(at=NOW - 9 * DAY))
    assert (result.counted, result.duplicates, result.late) == (0, 1, 2)
    assert [row.total_count for row in await stats.get()] == [2]


async def test_old_days_are_deleted(stats: Stats, database_url: str) -> None:
    """After their time days go from every table, and younger ones stay."""
    await stats.count(
        *random_events(200, 3, datetime(2026, 3, 1, tzinfo=UTC)),
        *random_events(200, 4, datetime(2026, 3, 30, tzinfo=UTC)),
    )
    await stats.parts.retention.clean()
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for answer in await everything(stats, start_time=start, end_time=start + 5 * DAY):
        assert not [field for field, _ in answer.ListFields() if field.name != "window"]
    assert await stats.get(tenant_id=0, days=3)
