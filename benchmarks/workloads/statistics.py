"""stats: how many result events a second one stats-service counts, from the stream to its commit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
import psycopg
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError
from stoflow.common.v1 import failure_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2

from benchmarks.figures import Rate
from benchmarks.plan import Plan
from benchmarks.servers import Servers
from benchmarks.usage import Meter
from stoflow_sandbox.processes import Supervisor

EVENTS = 100_000
# One in three comes again: of what a consumer reads 30 % was counted before.
REPEATED = 0.3
# What one group of the orchestrator's committer publishes as one message.
MESSAGE_EVENTS = 100
TENANTS = 100
TASKS = 4
POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 180

Say = Callable[[str], None]


async def measure_statistics(plan: Plan, servers: Servers, say: Say) -> dict[str, Any]:
    """Fills the stream, then starts the service and waits until every event is counted, once a round."""
    count = plan.scaled(EVENTS)
    stream = _stream(count)
    delivered = sum(len(batch.events) for batch in stream)
    payloads = [batch.SerializeToString() for batch in stream]
    rate = Rate("events/s", delivered)
    for number in plan.each_round():
        await _publish(servers.nats.url, payloads)
        servers.settle()
        url = servers.postgres.create_database(f"stats_{number}")
        with Supervisor(servers.logs) as supervisor:
            environment = {**os.environ, "DATABASE_URL": url, "NATS_URL": servers.nats.url}
            service = supervisor.start(
                f"stats-{number}", [sys.executable, "-m", "stoflow_stats_service"], environment
            )
            await _wait(url, 1)
            with Meter({**servers.roles, "stats-service": service.pid}) as meter:
                started = _counted(url)
                await _wait(url, count)
                await _settled(servers.nats.url)
        # What was counted before the clock started is no part of the figure.
        share = (count - started) / count
        rate.add(meter.usage.wall_seconds / share, meter.usage)
        say(f"stats: {rate.runs[-1][0]:.0f} events/s; {meter.usage.bound()}; {meter.usage.per(delivered)}")
    return {**rate.to_json(), "events": count, "delivered": delivered, "tenants": TENANTS}


def _stream(count: int) -> list[event_pb2.EventBatch]:
    """Makes jobs of four attempts and an end, repeats some events and shuffles all."""
    rng = random.Random(1)
    events = [event for _ in range(count // (TASKS + 1)) for event in _job(rng)]
    events += [_attempt(rng, _event(rng), 0) for _ in range(count - len(events))]
    stream = events + rng.choices(events, k=int(len(events) * REPEATED / (1 - REPEATED)))
    rng.shuffle(stream)
    return [
        event_pb2.EventBatch(events=stream[start : start + MESSAGE_EVENTS])
        for start in range(0, len(stream), MESSAGE_EVENTS)
    ]


def _event(rng: random.Random) -> event_pb2.Event:
    event = event_pb2.Event(
        tenant_id=rng.randrange(1, TENANTS + 1),
        marketplace=rng.choice(["ebay", "etsy", "vinted"]),
        action=rng.choice(["publish", "update", "delete"]),
        job_id=str(uuid.uuid4()),
        run=1,
    )
    event.occur_time.FromDatetime(datetime.now(UTC) - timedelta(seconds=rng.randrange(3 * 3_600)))
    return event


def _job(rng: random.Random) -> Iterator[event_pb2.Event]:
    base = _event(rng)
    for number in range(TASKS):
        event = event_pb2.Event()
        event.CopyFrom(base)
        yield _attempt(rng, event, number)
    has_failed = rng.random() < 0.05
    base.event_id = f"run:{base.job_id}:1"
    run = base.run_finished
    run.state = job_pb2.JOB_STATE_FAILED if has_failed else job_pb2.JOB_STATE_COMPLETED
    run.queue_duration.FromMicroseconds(int(rng.lognormvariate(13, 1)))
    run.run_duration.FromMicroseconds(int(rng.lognormvariate(15, 1)))
    if has_failed:
        run.failure.error_class = failure_pb2.ERROR_CLASS_PERMANENT
        run.failure.code = str(25_000 + rng.randrange(10))
    yield base


def _attempt(rng: random.Random, event: event_pb2.Event, number: int) -> event_pb2.Event:
    event.event_id = f"attempt:{uuid.uuid4()}:1:1"
    attempt = event.attempt_finished
    attempt.task_name = f"step_{number}"
    attempt.outcome = event_pb2.ATTEMPT_OUTCOME_COMPLETED
    attempt.duration.FromMicroseconds(int(rng.lognormvariate(13, 1)))
    return event


async def _publish(url: str, payloads: list[bytes]) -> None:
    client = await nats.connect(url)
    js = client.jetstream()
    # The first round finds none.
    with contextlib.suppress(NotFoundError):
        await js.delete_stream("STOFLOW_EVENTS")
    await js.add_stream(StreamConfig(name="STOFLOW_EVENTS", subjects=["stoflow.events.>"]))
    for payload in payloads:
        await js.publish("stoflow.events.results", payload)
    await client.close()


async def _settled(url: str) -> None:
    client = await nats.connect(url)
    js = client.jetstream()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            info = await js.consumer_info("STOFLOW_EVENTS", "stats-service")
            if not info.num_pending and not info.num_ack_pending:
                break
            await asyncio.sleep(POLL_SECONDS)
    await client.close()


async def _wait(url: str, count: int) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while _counted(url) < count:  # noqa: ASYNC110  What is waited for happens in another process.
            await asyncio.sleep(POLL_SECONDS)


def _counted(url: str) -> int:
    """Returns how many events are counted, from the counters: counting the ids would be work of its own."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT to_regclass('stats.generations')").fetchone()
        if found is None or found[0] is None:
            return 0
        row = connection.execute(
            "SELECT (SELECT coalesce(sum(total_count), 0) FROM stats.marketplace_job_stats)"
            " + (SELECT coalesce(sum(attempt_count), 0) FROM stats.marketplace_task_stats)"
        ).fetchone()
    assert row is not None
    return int(row[0])
