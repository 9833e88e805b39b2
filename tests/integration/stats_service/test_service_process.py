"""The service as a process between a real NATS and a real PostgreSQL: nothing lost, nothing counted twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from stoflow.events.v1 import event_pb2
from stoflow.stats.v1 import stats_service_pb2, stats_service_pb2_grpc

from stoflow_sandbox.processes import ServiceProcess
from stoflow_sandbox.servers import NatsServer
from stoflow_sandbox.servers.ports import find_free_port
from stoflow_service_kit.grpc_channel import open_channel, rich_error
from stoflow_stats_service.migrations.runner import LOCK_KEY, migrate
from tests.integration.service_kit.waiting import until
from tests.integration.stats_service.conftest import EventStream, StartService, address_of
from tests.integration.stats_service.events import random_events, recount, run_finished
from tests.integration.stats_service.stored import counted_events, stored_rows, total_runs

# Short, so that what a killed service did not acknowledge comes again soon.
ACK_WAIT = {"EVENT_ACK_WAIT_SECONDS": "1"}


def logged(service: ServiceProcess, event: str) -> list[dict[str, Any]]:
    """Returns the lines of the service's log that tell of one kind of event."""
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def metric(service: ServiceProcess, name: str) -> float:
    with urlopen(f"http://{address_of(service, 'http_address')}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


async def get_stats(address: str) -> list[stats_service_pb2.MarketplaceJobStats]:
    async with open_channel(address) as channel:
        stub: Any = stats_service_pb2_grpc.StatsServiceStub(channel)
        request = stats_service_pb2.GetMarketplaceStatsRequest(tenant_id=42)
        return list((await stub.GetMarketplaceStats(request, timeout=10)).stats)


async def health(address: str) -> str:
    async with open_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        service = "stoflow.stats.v1.StatsService"
        answer = await stub.Check(
            health_pb2.HealthCheckRequest(service=service), timeout=10, wait_for_ready=True
        )
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def now_event(**fields: Any) -> event_pb2.Event:
    event = run_finished(**fields)
    event.occur_time.GetCurrentTime()
    return event


async def test_events_become_answers(events: EventStream, start_service: StartService) -> None:
    """A published result is in the answer of GetMarketplaceStats, and metrics tell of it."""
    await events.create()
    service = start_service()
    await events.publish(now_event(run_us=5_000_000), now_event(run_us=7_000_000))
    await events.until_counted(2)
    (row,) = await get_stats(address_of(service))
    assert (row.marketplace, row.action, row.total_count, row.success_count) == ("ebay", "publish", 2, 2)
    assert row.mean_run_duration.ToMicroseconds() == 6_000_000
    assert await health(address_of(service)) == "SERVING"
    await until(lambda: metric(service, "stats_events_counted_total") == 2)
    assert metric(service, "stats_batch_events_sum") == 2
    assert 0 <= metric(service, "stats_newest_event_age_seconds") < 60


async def test_stream_missing_at_start_is_waited_for(
    events: EventStream, start_service: StartService
) -> None:
    """Without its stream the service serves and waits; once the stream is there, its events are counted."""
    service = start_service()
    await until(lambda: logged(service, "stream_missing"))
    assert await get_stats(address_of(service)) == []
    await events.create()
    await events.publish(now_event())
    await events.until_counted(1)
    assert len(logged(service, "stream_missing")) == 1


async def test_deleted_consumer_is_made_again(
    events: EventStream, start_service: StartService, database_url: str
) -> None:
    """After its durable consumer vanished the service makes it again and counts nothing twice."""
    await events.create()
    start_service()
    await events.publish(now_event())
    await events.until_counted(1)
    await events.delete_consumer()
    await events.publish(now_event())
    await events.until_counted(2)
    await events.until_settled()
    assert total_runs(database_url) == 2


async def test_recreated_stream_goes_on(
    events: EventStream, start_service: StartService, database_url: str
) -> None:
    """After its stream was lost and made again, repeated events change nothing and new ones are counted."""
    await events.create()
    start_service()
    old = now_event()
    await events.publish(old)
    await events.until_counted(1)
    await events.delete()
    await asyncio.sleep(1)
    await events.create()
    await events.publish(old, now_event())
    await events.until_counted(2)
    assert total_runs(database_url) == 2


async def test_malformed_messages_harm_no_others(events: EventStream, start_service: StartService) -> None:
    """What cannot be counted is logged, measured and never delivered again; its neighbours are counted."""
    impossible = now_event(tenant_id=-1)
    impossible.event_id = "impossible"
    await events.create()
    await events.publish(now_event())
    await events.publish_raw(b"no batch of events")
    await events.publish(now_event(), impossible)
    await events.publish(event_pb2.Event(event_id="of a later release"))
    await events.publish(now_event())
    service = start_service(**ACK_WAIT)
    await events.until_counted(3)
    await events.until_settled()
    assert (await events.consumer()).num_redelivered == 0
    assert metric(service, 'stats_malformed_total{what="message"}') == 1
    assert metric(service, 'stats_malformed_total{what="event"}') == 1
    assert metric(service, "stats_events_unknown_total") == 1
    (message,) = logged(service, "message_malformed")
    assert (message["level"], message["stream_sequence"]) == ("error", 2)
    (event,) = logged(service, "event_malformed")
    assert "impossible" in event["error"]
    (row,) = await get_stats(address_of(service))
    assert row.total_count == 3


async def test_what_the_database_refuses_harms_no_others(
    events: EventStream, start_service: StartService, database_url: str
) -> None:
    """A message that only the database refuses is found among its neighbours and kept, and they are counted."""
    await events.create()
    await events.publish_each([now_event(tenant_id=tenant) for tenant in (1, 2, 13, 4, 5)])
    migrate(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE stats.marketplace_job_stats ADD CHECK (tenant_id <> 13)")
    service = start_service()
    await events.until_counted(4)
    await until(lambda: metric(service, "stats_messages_refused_total") == 1)
    (refused,) = logged(service, "message_refused")
    assert refused["stream_sequence"] == 3
    info = await events.consumer()
    assert (info.num_pending, info.num_ack_pending) == (0, 1)


def waiting_for_locks(database_url: str) -> int:
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'stats-service' AND state = 'active'"
        " AND query LIKE 'INSERT INTO stats.marketplace_job_stats%'"
    )
    with psycopg.connect(database_url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


async def test_killed_again_and_again_counts_exactly(
    events: EventStream, start_service: StartService, database_url: str
) -> None:
    """A service killed at any moment, several times over, ends with the figures of a plain recount."""
    facts = random_events(4_000, 11)
    await events.create()
    service = start_service(**ACK_WAIT)
    await events.publish_each(facts, 10)
    for delay in (0.02, 0.05, 0.1, 0.2):
        await asyncio.sleep(delay)
        service.kill()
        service.start()
        service.wait_ready()
    await events.until_counted(len(facts))
    await events.until_settled()
    assert stored_rows(database_url) == recount(facts)


async def test_lost_database_connections_are_survived(
    events: EventStream, start_service: StartService, database_url: str
) -> None:
    """When PostgreSQL cuts a transaction short, its messages come again and are counted once."""
    await events.create()
    service = start_service(**ACK_WAIT)
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE stats.marketplace_job_stats IN ACCESS EXCLUSIVE MODE")
        await events.publish(now_event())
        await until(lambda: waiting_for_locks(database_url) == 1)
        blocker.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stats-service'"
            " AND datname = current_database()"
        )
    await events.until_counted(1)
    await events.until_settled()
    assert total_runs(database_url) == 1
    assert logged(service, "batch_failed")


async def test_not_serving_until_migrated(start_service: StartService, database_url: str) -> None:
    """While the schema is not there health says NOT_SERVING and calls are refused as UNAVAILABLE."""
    address = f"127.0.0.1:{find_free_port()}"
    with psycopg.connect(database_url) as blocker:
        blocker.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        service = start_service(wait=False, GRPC_ADDRESS=address)
        assert await health(address) == "NOT_SERVING"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get_stats(address)
        error = rich_error(caught.value)
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        assert service.find_ready() is None
    service.wait_ready()
    assert await health(address) == "SERVING"
    assert await get_stats(address) == []


async def test_starts_before_its_servers(
    tmp_path: Path, start_service: StartService, database_url: str
) -> None:
    """While NATS is away the service answers from its counters and names the address; then it connects."""
    with NatsServer(tmp_path / "later") as server:
        url = server.url
    service = start_service(NATS_URL=url)
    await until(lambda: logged(service, "server_unreachable"))
    (first, *_) = logged(service, "server_unreachable")
    assert (first["server"], first["address"]) == ("NATS", url.removeprefix("nats://"))
    assert await get_stats(address_of(service)) == []
    server.start()
    try:
        await until(lambda: logged(service, "nats_connected"))
    finally:
        service.stop()
        server.stop()


async def test_sigterm_drains(events: EventStream, start_service: StartService, database_url: str) -> None:
    """On SIGTERM what was pulled is counted and acknowledged, the rest is left for others at once, exit code 0."""
    facts = [now_event() for _ in range(3_000)]
    await events.create()
    service = start_service()
    await events.publish_each(facts, 3)
    await until(lambda: counted_events(database_url) > 0)
    assert service.stop() == 0
    assert service.find_ready() is None
    assert not logged(service, "settle_incomplete")
    assert not logged(service, "drain_step_failed")
    # A message that was neither acknowledged nor given back would be missing until the wait for it ends.
    start_service("successor")
    await events.until_counted(len(facts))
    await events.until_settled()
    assert total_runs(database_url) == len(facts)
