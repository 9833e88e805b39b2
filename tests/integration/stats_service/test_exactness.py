"""The figures that the service answers are those of a plain script that imports nothing of the project."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from stoflow.events.v1 import event_pb2

from stoflow_sandbox.processes import ServiceProcess
from tests.integration.service_kit.waiting import until
from tests.integration.stats_service.ack_sink import AckSink
from tests.integration.stats_service.answers import answered, assert_same, plain_count
from tests.integration.stats_service.conftest import EventStream, StartService, address_of
from tests.integration.stats_service.events import random_events
from tests.integration.stats_service.stored import counted_events
from tests.integration.stats_service.test_service_process import waiting_for_locks

START = datetime(2026, 3, 28, tzinfo=UTC)
END = datetime(2026, 3, 31, tzinfo=UTC)
TENANTS = (1, 2, 3)
DUPLICATES = 0.3
# Short, so that what a killed service did not acknowledge comes again soon.
ACK_WAIT = {"EVENT_ACK_WAIT_SECONDS": "1"}


def shuffled(events: list[event_pb2.Event], seed: int) -> list[event_pb2.Event]:
    """Repeats 30 % of the events and puts all into another order."""
    rng = random.Random(seed)
    stream = events + rng.choices(events, k=int(len(events) * DUPLICATES))
    rng.shuffle(stream)
    return stream


async def check(service: ServiceProcess, stream: list[event_pb2.Event]) -> None:
    """Compares what the service answers with the script's count of the very same stream."""
    found = await answered(address_of(service), TENANTS, START, END)
    assert_same(found, await asyncio.to_thread(plain_count, stream))


@pytest.mark.parametrize(
    "count", [3_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
async def test_shuffled_duplicates_give_the_figures_of_a_plain_script(
    events: EventStream, start_service: StartService, count: int
) -> None:
    """Two replicas that share a shuffled stream with 30 % duplicates answer what a plain script counts."""
    stream = shuffled(random_events(count, 5), 6)
    await events.create()
    await events.publish_each(stream, 100)
    services = [start_service(name) for name in ("one", "two")]
    await events.until_counted(count, 300)
    await events.until_settled()
    await check(services[0], stream)


@pytest.mark.parametrize(
    ("count", "kills"),
    [(1_500, 3), pytest.param(20_000, 25, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
async def test_killed_again_and_again_between_commit_and_ack(
    events: EventStream, start_service: StartService, database_url: str, nats_url: str, count: int, kills: int
) -> None:
    """A consumer killed after every commit, before its acknowledgement, loses and repeats nothing."""
    stream = shuffled(random_events(count, 7), 8)
    await events.create()
    for number, part in enumerate(_parts(stream, kills)):
        async with AckSink(nats_url) as sink:
            service = start_service(f"victim{number}", NATS_URL=sink.url, **ACK_WAIT)
            await events.publish_each(part, 20)
            # Nothing but what was committed is acknowledged, and no acknowledgement reaches the server.
            await until(_swallows(sink), 60)
            service.kill()
        assert (await events.consumer()).num_ack_pending != 0
    assert counted_events(database_url) > 0
    survivor = start_service("survivor", **ACK_WAIT)
    await events.until_counted(count, 120)
    await events.until_settled()
    await check(survivor, stream)


@pytest.mark.parametrize(
    ("count", "kills"),
    [(1_000, 2), pytest.param(10_000, 25, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
async def test_killed_again_and_again_before_commit(
    events: EventStream, start_service: StartService, database_url: str, count: int, kills: int
) -> None:
    """A consumer killed in the middle of every transaction loses and repeats nothing."""
    stream = shuffled(random_events(count, 9), 10)
    await events.create()
    start_service("first", **ACK_WAIT).stop()
    for number, part in enumerate(_parts(stream, kills)):
        with psycopg.connect(database_url) as blocker:
            # The ids are written already when the counters wait for this lock.
            blocker.execute("LOCK TABLE stats.marketplace_job_stats IN EXCLUSIVE MODE")
            service = start_service(f"victim{number}", **ACK_WAIT)
            await events.publish_each(part, 20)
            await until(lambda: waiting_for_locks(database_url) > 0, 60)
            service.kill()
            blocker.rollback()
        await until(lambda: waiting_for_locks(database_url) == 0, 60)
    assert counted_events(database_url) == 0
    survivor = start_service("survivor", **ACK_WAIT)
    await events.until_counted(count, 120)
    await events.until_settled()
    await check(survivor, stream)


def _parts(stream: list[event_pb2.Event], number: int) -> list[list[event_pb2.Event]]:
    return [stream[start::number] for start in range(number)]


def _swallows(sink: AckSink) -> Callable[[], bool]:
    return lambda: sink.swallowed > 0
