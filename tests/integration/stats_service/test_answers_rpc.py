"""Task statistics, errors, slow tasks, daily summaries and windows over gRPC on a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from stoflow.common.v1 import failure_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2
from stoflow.stats.v1 import stats_pb2

from tests.integration.stats_service.api import NOW, Stats, info_and_violations
from tests.integration.stats_service.events import run_finished

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
FAILED = job_pb2.JOB_STATE_FAILED
PERMANENT = failure_pb2.ERROR_CLASS_PERMANENT


def attempt_finished(
    task_name: str = "create_offer",
    *,
    us: int | None = 1_000,
    outcome: event_pb2.AttemptOutcome.ValueType = event_pb2.ATTEMPT_OUTCOME_COMPLETED,
    code: str = "",
    **fields: Any,
) -> event_pb2.Event:
    """Makes the end of an attempt."""
    event = run_finished(**fields)
    attempt = event.attempt_finished
    attempt.task_name = task_name
    attempt.outcome = outcome
    if us is not None:
        attempt.duration.FromMicroseconds(us)
    if outcome != event_pb2.ATTEMPT_OUTCOME_COMPLETED:
        attempt.failure.error_class = PERMANENT
        attempt.failure.code = code
    return event


def failed_run(code: str, **fields: Any) -> event_pb2.Event:
    event = run_finished(state=FAILED, **fields)
    event.run_finished.failure.error_class = PERMANENT
    event.run_finished.failure.code = code
    return event


def time_of(row: Any) -> datetime:
    found: datetime = row.period_start_time.ToDatetime(tzinfo=UTC)
    return found


# The days on which clocks change in Europe and in North America, a leap day, and the last day of a year.
BORDER_DAYS = [
    ((2026, 3, 29), "Europe/Berlin"),
    ((2026, 10, 25), "Europe/Berlin"),
    ((2026, 3, 8), "America/New_York"),
    ((2026, 11, 1), "America/New_York"),
    ((2028, 2, 29), "Pacific/Apia"),
    ((2026, 12, 31), "UTC"),
]


@pytest.mark.parametrize(("day", "zone"), BORDER_DAYS)
async def test_days_are_days_of_utc(
    stats: Stats, database_url: str, day: tuple[int, int, int], zone: str
) -> None:
    """A day has its 24 UTC hours, to the microsecond, wherever the database and the caller think they are."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
        connection.execute(f"ALTER DATABASE \"{name}\" SET timezone TO '{zone}'".encode())
    await stats.parts.engine.dispose()
    start = datetime(*day, tzinfo=UTC)
    inside = [start + number * HOUR for number in range(24)] + [start + DAY - MICROSECOND]
    await stats.count(*(run_finished(at=at) for at in [start - MICROSECOND, *inside, start + DAY]))

    summary = await stats.call("GetDailySummary", tenant_id=42, day=f"{start:%Y-%m-%d}")
    assert summary.total.total_count == 25
    # The same moments, said in a zone whose clocks change.
    local = {"start_time": start.astimezone(ZoneInfo("Europe/Berlin")), "end_time": start + DAY}
    (row,) = await stats.get(**local)
    assert row.total_count == 25
    hours = await stats.get(**local, granularity=stats_pb2.GRANULARITY_HOUR)
    assert [time_of(row) for row in hours] == inside[:24]
    assert [row.total_count for row in hours] == [1] * 23 + [2]
    days = await stats.get(
        start_time=start - DAY, end_time=start + 2 * DAY, granularity=stats_pb2.GRANULARITY_DAY
    )
    assert [(time_of(row), row.total_count) for row in days] == [
        (start - DAY, 1),
        (start, 25),
        (start + DAY, 1),
    ]


async def test_days_reach_back_from_the_day_that_runs(stats: Stats) -> None:
    """`days` is the UTC day that runs and so many less one before it; it stands in for both times."""
    today = NOW.replace(hour=0, minute=0)
    times = [today - DAY - MICROSECOND, today - DAY, today - MICROSECOND, today, NOW]
    await stats.count(*(run_finished(at=time) for time in times))
    assert [row.total_count for row in await stats.get(days=1)] == [2]
    assert [row.total_count for row in await stats.get(days=2)] == [4]
    answer = await stats.call("GetMarketplaceStats", days=2)
    assert answer.window.start_time.ToDatetime(tzinfo=UTC) == today - DAY
    assert answer.window.end_time.ToDatetime(tzinfo=UTC) == NOW.replace(hour=13, minute=0)
    for fields, wrong in (
        ({"days": 2, "start_time": today}, {"days"}),
        ({"days": 367}, {"days"}),
        ({"days": 40, "granularity": stats_pb2.GRANULARITY_HOUR}, {"granularity"}),
    ):
        code, status = await stats.refusal(**fields)
        assert (code, info_and_violations(status)[1]) == (grpc.StatusCode.INVALID_ARGUMENT, wrong)


async def test_percentiles_of_runs_and_queues_are_apart(stats: Stats) -> None:
    """Queue time and run time have their own sums and percentiles, at most 1 % off."""
    await stats.count(*(run_finished(run_us=number * 1_000, queue_us=number) for number in range(1, 101)))
    (row,) = await stats.get()
    run, queue = row.run_duration, row.queue_duration
    assert (run.count, run.total.ToMicroseconds(), queue.total.ToMicroseconds()) == (100, 5_050_000, 5_050)
    for found, exact in ((run.p50, 50_000), (run.p95, 95_000), (run.p99, 99_000)):
        assert found.ToMicroseconds() == pytest.approx(exact, rel=0.01)
    assert queue.p95.ToMicroseconds() == pytest.approx(95, abs=1.5)
    assert (queue.min.ToMicroseconds(), queue.max.ToMicroseconds()) == (1, 100)


async def test_daily_summary_adds_up_by_marketplace_and_by_action(stats: Stats) -> None:
    """The sums over everything, by marketplace and by action agree, percentiles included; a bare day is zero."""
    for marketplace, action, us in (
        ("ebay", "publish", 10),
        ("ebay", "update", 30),
        ("vinted", "publish", 20),
    ):
        await stats.count(run_finished(marketplace=marketplace, action=action, run_us=us))
    answer = await stats.call("GetDailySummary", tenant_id=42)
    assert (answer.total.total_count, answer.total.run_duration.total.ToMicroseconds()) == (3, 60)
    assert answer.total.run_duration.p50.ToMicroseconds() == 20
    assert [(row.marketplace, row.total_count) for row in answer.by_marketplace] == [
        ("ebay", 2),
        ("vinted", 1),
    ]
    assert [(row.action, row.total_count) for row in answer.by_action] == [("publish", 2), ("update", 1)]
    bare = await stats.call("GetDailySummary", tenant_id=42, day="2025-12-24")
    assert (bare.total.total_count, bare.total.HasField("success_rate"), len(bare.by_action)) == (0, False, 0)
    code, status = await stats.refusal("GetDailySummary", tenant_id=-1, day="2026-02-30")
    assert (code, info_and_violations(status)[1]) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        {"tenant_id", "day"},
    )


async def test_task_stats_by_step(stats: Stats) -> None:
    """Attempts are counted by step and outcome, with durations of their own; a filter leaves one step."""
    retried, failed = event_pb2.ATTEMPT_OUTCOME_RETRIED, event_pb2.ATTEMPT_OUTCOME_FAILED
    await stats.count(
        attempt_finished(us=100),
        attempt_finished(us=300, outcome=retried),
        attempt_finished(us=None, outcome=failed),
        attempt_finished("upload_image", us=None),
        attempt_finished("upload_image", tenant_id=7),
    )
    offer, upload = (await stats.call("GetTaskStats", tenant_id=42)).stats
    counts = (offer.attempt_count, offer.completed_count, offer.retried_count, offer.failed_count)
    assert (offer.task_name, *counts) == ("create_offer", 3, 1, 1, 1)
    assert offer.success_rate == 0.5
    assert (offer.duration.count, offer.duration.mean.ToMicroseconds()) == (2, 200)
    assert (upload.task_name, upload.attempt_count, upload.HasField("duration")) == ("upload_image", 1, False)
    only = (await stats.call("GetTaskStats", task_name="upload_image")).stats
    assert [row.attempt_count for row in only] == [2]


async def test_errors_come_by_frequency_page_by_page(stats: Stats) -> None:
    """The most frequent code comes first, equals by name; shares are of all; pages keep the first one's window."""
    codes = ["a"] * 3 + ["b"] * 5 + ["c"] * 2
    await stats.count(
        *(failed_run(code) for code in codes), *(failed_run("z", tenant_id=7) for _ in range(9))
    )
    failed = event_pb2.ATTEMPT_OUTCOME_FAILED
    await stats.count(*(attempt_finished(outcome=failed, code="b") for _ in range(4)))
    first = await stats.call("ListErrors", tenant_id=42, page_size=2)
    assert [(row.code, row.count, row.share) for row in first.errors] == [("b", 5, 0.5), ("a", 3, 0.3)]
    # The next hour begins: the second page still covers the window of the first.
    await stats.clock.advance(3_600)
    second = await stats.call("ListErrors", tenant_id=42, page_size=2, page_token=first.next_page_token)
    assert [(row.code, row.error_class) for row in second.errors] == [("c", PERMANENT)]
    assert (second.next_page_token, second.window) == ("", first.window)
    attempts = await stats.call("ListErrors", tenant_id=42, scope=stats_pb2.ERROR_SCOPE_ATTEMPT)
    assert [(row.code, row.count) for row in attempts.errors] == [("b", 4)]
    for token in (first.next_page_token, "garbage", "!"):
        _, status = await stats.refusal("ListErrors", tenant_id=7, page_token=token)
        assert info_and_violations(status)[0].reason == "PAGE_TOKEN_INVALID"


async def test_slow_tasks_come_by_percentile(stats: Stats) -> None:
    """The step with the greatest 95th percentile comes first; a bound and pages leave the rest out."""
    for name, us in (("quick", 10), ("slow", 9_000_000), ("slower", 20_000_000), ("unmeasured", None)):
        await stats.count(*(attempt_finished(name, us=us) for _ in range(3)))
    answer = await stats.call("ListSlowTasks")
    assert [row.task_name for row in answer.tasks] == ["slower", "slow", "quick"]
    bounded = await stats.call("ListSlowTasks", min_p95=Duration(seconds=9), page_size=1)
    assert [row.task_name for row in bounded.tasks] == ["slower"]
    rest = await stats.call(
        "ListSlowTasks", min_p95=Duration(seconds=9), page_size=1, page_token=bounded.next_page_token
    )
    assert ([row.task_name for row in rest.tasks], rest.next_page_token) == (["slow"], "")
