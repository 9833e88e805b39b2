"""Figures counted anew from the orchestrator's history, while live events go on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from stoflow.stats.v1 import stats_pb2, stats_service_pb2, stats_service_pb2_grpc

from stoflow_service_kit.grpc_channel import open_channel
from stoflow_stats_service.migrations.runner import migrate
from stoflow_stats_service.services.rebuilding import Rebuilder
from tests.integration.stats_service.answers import answered, assert_same, plain_count
from tests.integration.stats_service.api import Stats, info_and_violations, serving
from tests.integration.stats_service.conftest import EventStream, StartService, address_of
from tests.integration.stats_service.events import random_events, recount, run_finished
from tests.integration.stats_service.history import History
from tests.integration.stats_service.stored import stored_rows, total_runs

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TENANTS = (1, 2, 3)
TABLES = "counted_events, marketplace_job_stats, marketplace_task_stats, marketplace_error_stats"


@pytest.fixture
async def stats(database_url: str, history: History) -> AsyncIterator[Stats]:
    """The service's parts at noon of the last of March, with thirty days of history."""
    migrate(database_url)
    async with serving(
        database_url, NOW, orchestrator_address=history.address, rebuild_settle_seconds=0
    ) as stats:
        yield stats


def rebuilder(stats: Stats) -> Rebuilder:
    assert stats.parts.rebuilder is not None
    return stats.parts.rebuilder


async def begin(stats: Stats, **fields: Any) -> stats_pb2.Rebuild:
    answer = await stats.call("RebuildStats", request_id=str(uuid.uuid4()), **fields)
    rebuild: stats_pb2.Rebuild = answer.rebuild
    return rebuild


async def state(stats: Stats) -> str:
    answer = await stats.call("GetRebuild")
    return stats_pb2.RebuildState.Name(answer.rebuild.state).removeprefix("REBUILD_STATE_")


def falsify(database_url: str) -> None:
    """Makes every figure of runs wrong in a way that no check of the schema sees."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE stats.marketplace_job_stats SET total_count = total_count + 7, failure_count = failure_count + 7"
        )


@pytest.mark.parametrize(
    "count", [2_500, pytest.param(40_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
async def test_stream_and_figures_lost_are_rebuilt(
    events: EventStream, start_service: StartService, database_url: str, history: History, count: int
) -> None:
    """With the stream deleted and every figure gone, a rebuild brings back what a plain script counts."""
    day = (datetime.now(UTC) - 2 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    facts = random_events(count, 3, day)
    history.add(*facts)
    await events.create()
    service = start_service(ORCHESTRATOR_ADDRESS=history.address, REBUILD_SETTLE_SECONDS="1")
    await events.publish_each(facts, 100)
    await events.until_counted(count)
    expected = await asyncio.to_thread(plain_count, facts)
    assert_same(await answered(address_of(service), TENANTS, day, day + DAY), expected)

    await events.delete()
    with psycopg.connect(database_url) as connection:
        connection.execute(f"TRUNCATE {', '.join('stats.' + name for name in TABLES.split(', '))}")
    async with open_channel(address_of(service)) as channel:
        stub: Any = stats_service_pb2_grpc.StatsServiceStub(channel)
        await stub.RebuildStats(stats_service_pb2.RebuildStatsRequest(request_id=str(uuid.uuid4())))
        async with asyncio.timeout(300):
            while True:
                rebuild = (await stub.GetRebuild(stats_service_pb2.GetRebuildRequest())).rebuild
                if rebuild.state != stats_pb2.REBUILD_STATE_RUNNING:
                    break
                await asyncio.sleep(0.1)
    assert (rebuild.state, rebuild.problem) == (stats_pb2.REBUILD_STATE_COMPLETED, "")
    assert rebuild.event_count == count
    assert_same(await answered(address_of(service), TENANTS, day, day + DAY), expected)


async def test_live_events_during_a_rebuild_are_in_both(
    stats: Stats, history: History, database_url: str
) -> None:
    """Events from before, during and after a rebuild are in the new figures once, however they come."""
    facts = random_events(900, 4)
    before, during, after = facts[:300], facts[300:600], facts[600:]
    await stats.count(*before)
    # Half of what happens meanwhile is in the history when it is read, half arrives only live.
    history.add(*before, *during[:150])
    await begin(stats)
    await stats.count(*during)
    assert stored_rows(database_url) == recount(before + during)
    await rebuilder(stats).work()
    assert await state(stats) == "COMPLETED"
    await stats.count(*after, *during, *before)
    assert stored_rows(database_url) == recount(facts)


async def test_old_figures_answer_until_the_new_ones_are_whole(
    stats: Stats, history: History, database_url: str
) -> None:
    """Whoever asks during a rebuild gets the old figures or the new ones, never a mixture and never none."""
    facts = random_events(6_000, 5)
    await stats.count(*facts)
    history.add(*facts, size=10)
    falsify(database_url)
    right, wrong = sum(one.HasField("run_finished") for one in facts), await total(stats)
    assert right != wrong
    await begin(stats)
    work = asyncio.create_task(rebuilder(stats).work())
    seen = set()
    while not work.done():
        seen.add(await total(stats))
    await work
    assert seen <= {right, wrong}
    assert await total(stats) == right
    assert stored_rows(database_url) == recount(facts)


async def total(stats: Stats) -> int:
    return sum(row.total_count for row in await stats.get(tenant_id=0))


async def test_a_rebuild_that_died_goes_on(stats: Stats, history: History, database_url: str) -> None:
    """A rebuild cut off between two pages is taken up where it was and ends with the same figures."""
    facts = random_events(5_000, 6)
    history.add(*facts)
    await begin(stats)
    work = asyncio.create_task(rebuilder(stats).work())
    while (await stats.call("GetRebuild")).rebuild.event_count == 0:
        # Each look lets the work go on.
        assert not work.done()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await state(stats) == "RUNNING"
    await rebuilder(stats).work()
    rebuild = (await stats.call("GetRebuild")).rebuild
    assert (rebuild.state, rebuild.event_count) == (stats_pb2.REBUILD_STATE_COMPLETED, 5_000)
    assert stored_rows(database_url) == recount(facts)


async def test_counted_events_that_the_history_lacks_are_not_lost(
    stats: Stats, history: History, database_url: str
) -> None:
    """A rebuild that would lose events fails and changes nothing, unless the caller wants to drop them."""
    known, unknown = random_events(50, 7), [run_finished(at=NOW, tenant_id=9)]
    history.add(*known)
    await stats.count(*known, *unknown)
    await begin(stats)
    await rebuilder(stats).work()
    assert await state(stats) == "FAILED"
    assert "1 events" in (await stats.call("GetRebuild")).rebuild.problem
    assert stored_rows(database_url) == recount(known + unknown)
    await begin(stats, drop_unlisted=True)
    await rebuilder(stats).work()
    assert await state(stats) == "COMPLETED"
    assert stored_rows(database_url) == recount(known)


async def test_days_before_the_history_are_taken_over(
    stats: Stats, history: History, database_url: str
) -> None:
    """Days older than the history stay as they are, and what comes late for them is counted once."""
    old = [run_finished(at=NOW - number * DAY) for number in (40, 60, 400)]
    new = [run_finished(at=NOW - number * DAY) for number in (0, 1, 20)]
    late = run_finished(at=NOW - 60 * DAY)
    await stats.count(*old, *new)
    history.add(*new)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE stats.marketplace_job_stats SET total_count = total_count + 7, failure_count = failure_count + 7"
            " WHERE hour >= %s",
            [NOW - 30 * DAY],
        )
    rebuild = await begin(stats)
    assert rebuild.start_time.ToDatetime(tzinfo=UTC) == datetime(2026, 3, 2, tzinfo=UTC)
    await stats.count(late)
    await rebuilder(stats).work()
    assert await state(stats) == "COMPLETED"
    await stats.count(late, *old)
    assert stored_rows(database_url) == recount([*old, *new, late])
    assert total_runs(database_url) == 7
    await stats.parts.retention.clean()
    with psycopg.connect(database_url) as connection:
        generations = connection.execute(
            "SELECT DISTINCT generation FROM stats.marketplace_job_stats"
        ).fetchall()
    # What answered before is deleted afterwards.
    assert generations == [(2,)]


async def test_a_request_begins_one_rebuild(stats: Stats) -> None:
    """A repeated request returns its rebuild; another body, and another rebuild meanwhile, are refused."""
    request_id = str(uuid.uuid4())
    first = await stats.call("RebuildStats", request_id=request_id)
    again = await stats.call("RebuildStats", request_id=request_id)
    assert first.rebuild == again.rebuild
    code, status = await stats.refusal("RebuildStats", request_id=request_id, drop_unlisted=True)
    assert (code, info_and_violations(status)[0].reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )
    code, status = await stats.refusal("RebuildStats", request_id=str(uuid.uuid4()))
    info, _ = info_and_violations(status)
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REBUILD_RUNNING")
    assert info.metadata["generation"] == "2"


@pytest.mark.parametrize("day", ["2026-03-01", "2026-04-02", "2026-02-30", "yesterday"])
async def test_a_rebuild_begins_within_the_history(stats: Stats, day: str) -> None:
    """A first day that the history no longer holds, that is to come or that does not exist is refused by name."""
    code, status = await stats.refusal("RebuildStats", request_id=str(uuid.uuid4()), start_day=day)
    assert (code, info_and_violations(status)[1]) == (grpc.StatusCode.INVALID_ARGUMENT, {"start_day"})


async def test_without_a_rebuild_there_is_none_to_tell_of(stats: Stats) -> None:
    """Before the first rebuild, and for a number that is none, the answer is NOT_FOUND."""
    for number in (0, 1, 5):
        code, status = await stats.refusal("GetRebuild", generation=number)
        assert (code, info_and_violations(status)[0].reason) == (
            grpc.StatusCode.NOT_FOUND,
            "REBUILD_NOT_FOUND",
        )
