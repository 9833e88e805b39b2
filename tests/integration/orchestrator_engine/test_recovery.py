"""The engine after crashes and outages of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc.aio
import nats
import nats.js.errors
import pytest
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step
from tests.support.orchestrator import OrchestratorProcess, Stubs, start_orchestrator

ACCEPTED = rpc.REPORT_DECISION_ACCEPTED


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS that the test may kill."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def own_orchestrator(
    postgres_server: PostgresServer, own_nats: NatsServer, tmp_path: Path
) -> Iterator[OrchestratorProcess]:
    """An orchestrator that the test may kill."""
    url = postgres_server.create_database(f"recovery_{uuid.uuid4().hex}")
    with Supervisor(tmp_path / "services") as supervisor:
        yield start_orchestrator(supervisor, url, own_nats.url, tmp_path, GRPC_ADDRESS=_free_address())


@pytest.fixture
async def own_shop(own_orchestrator: OrchestratorProcess) -> AsyncIterator[Shop]:
    stubs = Stubs(own_orchestrator.grpc_address)
    shop = Shop(own_orchestrator, stubs)
    yield shop
    for connector in shop.connectors:
        await connector.close()
    await stubs.close()


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def test_killed_orchestrator_goes_on_where_it_was(own_shop: Shop) -> None:
    """Jobs, leases and unreported tasks survive a SIGKILL; the report reaches the next process."""
    connector = await own_shop.open()
    job = await own_shop.create_job()
    command, granted = await connector.receive_and_start()
    process = own_shop.orchestrator.process
    process.kill()
    process.start()
    process.wait_ready()
    assert await _until_answered(connector, command, granted.lease_token) == ACCEPTED
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    assert (await own_shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED


async def test_leases_are_spared_for_one_lease_after_an_outage(own_shop: Shop) -> None:
    """A lease that ran out while no orchestrator lived is not taken away before its holder could speak."""
    connector = await own_shop.open(step("only"))
    job = await own_shop.create_job(max_retries=0)
    command, granted = await connector.receive_and_start()
    process = own_shop.orchestrator.process
    process.kill()
    await asyncio.sleep(1.5)
    process.start()
    process.wait_ready()
    assert await _until_answered(connector, command, granted.lease_token) == ACCEPTED
    assert (await own_shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED


async def test_commands_and_events_are_published_once_nats_is_back(
    own_shop: Shop, own_nats: NatsServer
) -> None:
    """What was committed while NATS was away is published later: the task starts and its events arrive."""
    connector = await own_shop.open(step("only"))
    own_nats.kill()
    job = await own_shop.create_job()
    await asyncio.sleep(1)
    own_nats.start()
    command, granted = await _until_received(connector)
    await connector.succeed(command, granted.lease_token)
    await own_shop.wait_for_end(job.job_id)
    events = await _collect_events(own_nats.url, job.job_id)
    assert events == {f"run:{job.job_id}:1", f"attempt:{command.task_id}:1:1"}


async def test_deleted_streams_are_made_again(own_shop: Shop, own_nats: NatsServer) -> None:
    """A stream that somebody deleted is created anew, and the job still runs."""
    connector = await own_shop.open(step("only"))
    client = await nats.connect(own_nats.url)
    for stream in await client.jetstream().streams_info():
        assert stream.config.name is not None
        await client.jetstream().delete_stream(stream.config.name)
    await client.close()
    job = await own_shop.create_job()
    command, granted = await _until_received(connector)
    await connector.succeed(command, granted.lease_token)
    assert (await own_shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED


async def test_two_orchestrators_share_the_work(own_shop: Shop, tmp_path: Path) -> None:
    """A job created at one is started and reported at the other, and watched at the first."""
    first = own_shop.orchestrator
    with Supervisor(tmp_path / "second") as supervisor:
        second = start_orchestrator(supervisor, first.database_url, first.nats_url, tmp_path, name="second")
        connector = await own_shop.open()
        other = Stubs(second.grpc_address)
        connector.stubs = other
        job = await own_shop.create_job()
        for _ in range(2):
            command, granted = await connector.receive_and_start()
            await connector.succeed(command, granted.lease_token)
        assert (await own_shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED
        await other.close()


async def test_drain_answers_what_was_asked_and_ends_cleanly(own_shop: Shop) -> None:
    """SIGTERM ends the process with code 0, also while somebody watches a job."""
    await own_shop.open(step("only"))
    job = await own_shop.create_job()
    watching = asyncio.create_task(own_shop.wait_for_end(job.job_id))
    await asyncio.sleep(0.3)
    process = own_shop.orchestrator.process
    os.kill(process.pid, 15)
    for _ in range(100):
        if process.returncode is not None:
            break
        await asyncio.sleep(0.1)
    assert process.returncode == 0
    with pytest.raises(grpc.aio.AioRpcError):
        await watching


async def _until_answered(connector: Connector, command: task_pb2.TaskCommand, token: str) -> int:
    for _ in range(100):
        try:
            return await connector.succeed(command, token)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(0.1)
    pytest.fail("the orchestrator never answered")


async def _until_received(connector: Connector) -> tuple[task_pb2.TaskCommand, rpc.TaskStartResult]:
    for _ in range(10):
        try:
            command, granted = await connector.receive_and_start()
        except (nats.errors.Error, nats.js.errors.Error):
            await asyncio.sleep(0.2)
            continue
        if granted.decision == rpc.START_DECISION_GRANTED:
            return command, granted
    pytest.fail("no command was granted")


async def _collect_events(nats_url: str, job_id: str) -> set[str]:
    client = await nats.connect(nats_url)
    subscription = await client.jetstream().pull_subscribe("stoflow.events.>", stream="STOFLOW_EVENTS")
    found: set[str] = set()
    try:
        for _ in range(30):
            try:
                messages = await subscription.fetch(10, timeout=1)
            except nats.errors.TimeoutError:
                messages = []
            for message in messages:
                batch = event_pb2.EventBatch.FromString(message.data)
                found |= {event.event_id for event in batch.events if event.job_id == job_id}
            if len(found) >= 2:
                break
    finally:
        await client.close()
    return found
