"""A closed day against the orchestrator's history: equal, or told as a metric and an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc
import psycopg
import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from stoflow_stats_service.migrations.runner import migrate
from tests.integration.stats_service.api import Stats, info_and_violations, serving
from tests.integration.stats_service.events import random_events, run_finished
from tests.integration.stats_service.history import History

DAY = datetime(2026, 3, 29, tzinfo=UTC)
NOW = datetime(2026, 3, 30, 2, tzinfo=UTC)


@pytest.fixture
async def stats(database_url: str, history: History) -> AsyncIterator[Stats]:
    """The parts at two in the morning after the day."""
    migrate(database_url)
    async with serving(database_url, NOW, orchestrator_address=history.address) as stats:
        yield stats


async def metric(stats: Stats, name: str) -> float:
    await stats.parts.recent.refresh()
    lines = generate_latest(stats.registry).decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


async def test_equal_figures_have_no_difference(stats: Stats, history: History) -> None:
    """A day that was counted rightly has none, and its neighbours' events are not taken for its own."""
    facts = random_events(800, 1)
    border = [
        run_finished(at=at)
        for at in (DAY - timedelta(microseconds=1), DAY, DAY + timedelta(days=1, microseconds=-1))
    ]
    history.add(*facts, *border)
    await stats.count(*facts, *border, run_finished(at=DAY + timedelta(days=1)))
    answer = await stats.call("ReconcileDay", day="2026-03-29")
    assert (answer.event_count, answer.difference_count, len(answer.differences)) == (802, 0, 0)
    assert await metric(stats, "stats_reconcile_differences") == 0


async def test_a_difference_is_a_metric_and_an_error(
    stats: Stats, history: History, database_url: str
) -> None:
    """What was lost, and what was falsified, is named with both numbers."""
    lost, kept = run_finished(at=DAY, run_us=5), run_finished(at=DAY, tenant_id=7)
    history.add(lost, kept)
    await stats.count(kept)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE stats.marketplace_job_stats SET total_count = 3, cancelled_count = 2 WHERE tenant_id = 7"
        )
    with capture_logs() as logs:
        answer = await stats.call("ReconcileDay", day="2026-03-29")
    found = {(one.tenant_id, one.figure): (one.counted, one.expected) for one in answer.differences}
    assert found == {
        (7, "total_count"): (3, 1),
        (7, "cancelled_count"): (2, 0),
        (42, "total_count"): (0, 1),
        (42, "success_count"): (0, 1),
        (42, "run_count"): (0, 1),
        (42, "run_us_sum"): (0, 5),
    }
    assert answer.difference_count == 6
    (line,) = [line for line in logs if line["event"] == "reconcile_differs"]
    assert (line["log_level"], line["differences"], line["day"]) == ("error", 6, "2026-03-29")
    assert await metric(stats, "stats_reconcile_differences") == 6
    assert await metric(stats, "stats_reconciled_day_timestamp_seconds") == DAY.timestamp()


@pytest.mark.parametrize("day", ["2026-03-30", "2026-02-28", "2026-02-30"])
async def test_only_closed_days_of_the_history_are_compared(stats: Stats, day: str) -> None:
    """A day that runs, that the history no longer holds or that does not exist is refused by name."""
    code, status = await stats.refusal("ReconcileDay", day=day)
    assert (code, info_and_violations(status)[1]) == (grpc.StatusCode.INVALID_ARGUMENT, {"day"})


async def test_a_closed_day_is_compared_by_itself_and_a_difference_looked_at_twice(
    stats: Stats, history: History
) -> None:
    """What is counted between the two looks is no difference; the day is then done."""
    behind = run_finished(at=DAY)
    history.add(behind)
    run = asyncio.create_task(stats.parts.reconciling.run())
    with capture_logs() as logs:
        while not _has(logs, "reconcile_looks_again"):  # noqa: ASYNC110  The database is waited for.
            await asyncio.sleep(0.01)
        await stats.count(behind)
        await stats.clock.advance(300)
        while not _has(logs, "reconciled"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    run.cancel()
    assert await metric(stats, "stats_reconcile_differences") == 0
    assert await metric(stats, "stats_reconciled_day_timestamp_seconds") == DAY.timestamp()


def _has(logs: list[EventDict], event: str) -> bool:
    return any(line["event"] == event for line in logs)
