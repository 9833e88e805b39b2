"""GetMarketplaceStats over gRPC on a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from stoflow.jobs.v1 import job_pb2

from tests.integration.stats_service.api import NOW, Stats, info_and_violations, serving
from tests.integration.stats_service.events import run_finished

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


async def test_window_takes_its_first_hour_and_leaves_its_last(stats: Stats) -> None:
    """The start is inclusive and the end exclusive, to the microsecond."""
    start, end = NOW.replace(hour=9, minute=0), NOW.replace(hour=11, minute=0)
    times = (start - MICROSECOND, start, end - MICROSECOND, end)
    await stats.count(*(run_finished(at=time, run_us=index) for index, time in enumerate(times)))
    (row,) = await stats.get(start_time=start, end_time=end)
    assert row.total_count == 2
    assert row.min_run_duration.ToMicroseconds() == 1
    assert row.max_run_duration.ToMicroseconds() == 2


async def test_window_is_widened_to_whole_hours(stats: Stats) -> None:
    """A window inside hours holds these hours entirely."""
    ten = NOW.replace(hour=10, minute=0)
    await stats.count(run_finished(at=ten), run_finished(at=ten + 2 * HOUR - MICROSECOND))
    (row,) = await stats.get(start_time=ten + HOUR - MICROSECOND, end_time=ten + HOUR + MICROSECOND)
    assert row.total_count == 2


async def test_default_window_is_thirty_days_to_the_end_of_this_hour(stats: Stats) -> None:
    """Without a window the running hour is included, and an hour thirty days before its end."""
    end = NOW.replace(hour=13, minute=0)
    first = end - timedelta(days=30)
    times = (first - MICROSECOND, first, end - MICROSECOND, end)
    await stats.count(*(run_finished(at=time) for time in times))
    (row,) = await stats.get()
    assert row.total_count == 2


async def test_daylight_saving_days_have_their_utc_hours(stats: Stats) -> None:
    """On the day Europe changes its clocks a UTC day still has twenty-four hours, each in one day only."""
    day = datetime(2026, 3, 29, tzinfo=UTC)
    await stats.count(*(run_finished(at=day + number * HOUR) for number in range(-1, 25)))
    (row,) = await stats.get(start_time=day, end_time=day + timedelta(days=1))
    assert row.total_count == 24


async def test_figures_of_each_outcome(stats: Stats) -> None:
    """Each way to end is counted apart, and rate and means leave out what has none."""
    await stats.count(
        *(run_finished(run_us=2_000_000, queue_us=1_000) for _ in range(6)),
        run_finished(state=job_pb2.JOB_STATE_FAILED, run=2, run_us=9_000_000, queue_us=3_000),
        run_finished(state=job_pb2.JOB_STATE_CANCELLED),
        run_finished(state=job_pb2.JOB_STATE_EXPIRED, run=3),
    )
    (row,) = await stats.get()
    counts = (row.total_count, row.success_count, row.failure_count, row.cancelled_count, row.expired_count)
    assert counts == (9, 6, 1, 1, 1)
    assert row.retried_count == 2
    assert row.success_rate == pytest.approx(6 / 7)
    assert row.mean_run_duration.ToMicroseconds() == 3_000_000
    assert row.min_run_duration.ToMicroseconds() == 2_000_000
    assert row.max_run_duration.ToMicroseconds() == 9_000_000
    assert row.mean_queue_duration.ToMicroseconds() == 1_286


async def test_rows_are_ordered_filtered_and_the_tenants_own(stats: Stats) -> None:
    """A row for each marketplace and action, ordered by both; filters and the tenant hold."""
    for marketplace in ("vinted", "ebay"):
        for action in ("update", "publish"):
            await stats.count(run_finished(marketplace=marketplace, action=action))
    await stats.count(run_finished(tenant_id=7))

    async def keys(**fields: Any) -> list[tuple[str, str]]:
        return [(row.marketplace, row.action) for row in await stats.get(**fields)]

    assert await keys() == [
        ("ebay", "publish"),
        ("ebay", "update"),
        ("vinted", "publish"),
        ("vinted", "update"),
    ]
    assert await keys(marketplace="ebay") == [("ebay", "publish"), ("ebay", "update")]
    assert await keys(action="update") == [("ebay", "update"), ("vinted", "update")]
    assert await keys(marketplace="etsy") == []
    assert [row.total_count for row in await stats.get(tenant_id=7)] == [1]
    assert await keys(tenant_id=8) == []
    assert sum(row.total_count for row in await stats.get(tenant_id=0)) == 5


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"tenant_id": -1, "marketplace": "eBay", "action": "9"},
            {"tenant_id", "marketplace", "action"},
        ),
        ({"tenant_id": -1, "start_time": NOW, "end_time": NOW}, {"tenant_id", "start_time"}),
        (
            {
                "tenant_id": -1,
                "marketplace": "eBay",
                "start_time": NOW - timedelta(days=367),
                "end_time": NOW,
            },
            {"tenant_id", "marketplace", "start_time"},
        ),
        (
            {"tenant_id": -1, "start_time": Timestamp(seconds=10**12), "end_time": Timestamp(nanos=-1)},
            {"tenant_id", "start_time", "end_time"},
        ),
        ({"start_time": NOW - timedelta(days=367)}, {"start_time"}),
        ({"start_time": NOW - timedelta(days=367), "end_time": NOW}, {"start_time"}),
        ({"start_time": NOW + HOUR}, {"start_time"}),
        ({"start_time": Timestamp(seconds=10**12)}, {"start_time"}),
        (
            {"start_time": Timestamp(seconds=-(10**12)), "end_time": Timestamp(nanos=-1)},
            {"start_time", "end_time"},
        ),
    ],
)
async def test_wrong_requests_list_every_field(
    stats: Stats, fields: dict[str, Any], expected: set[str]
) -> None:
    """INVALID_ARGUMENT has one ErrorInfo and names every field at fault."""
    code, status = await stats.refusal(**fields)
    info, violations = info_and_violations(status)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert info.reason == "INVALID_ARGUMENT"
    assert violations == expected


async def test_extreme_windows_are_answered(stats: Stats) -> None:
    """The first and the last hours that a Timestamp can name are windows like any other."""
    assert await stats.get(end_time=datetime(1, 1, 1, 0, 30, tzinfo=UTC)) == []
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert await stats.get(start_time=last - HOUR, end_time=last) == []


async def test_a_lost_database_is_unavailable(database_url: str) -> None:
    """While the database does not answer, calls end with UNAVAILABLE and a time to try again."""
    async with serving(f"{database_url}_absent") as stats:
        code, status = await stats.refusal()
    info, _ = info_and_violations(status)
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
    assert "absent" not in status.message
