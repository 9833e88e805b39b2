"""A connector as a process, over real NATS, with the orchestrator's double."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig
from stoflow.connector.v1.task_pb2 import TaskCommand

from stoflow_connector_sdk.testing import InMemoryOrchestrator, JobRecord
from tests.integration.connector_sdk.remote import Remote

ROOT = Path(__file__).parents[3]
SUBJECT = "stoflow.tasks.process.default"


class World:
    """What surrounds the process."""

    def __init__(
        self, orchestrator: InMemoryOrchestrator, remote: Remote, environment: dict[str, str]
    ) -> None:
        self.orchestrator = orchestrator
        self.remote = remote
        self.environment = environment
        self.ready_file = Path(environment["READY_FILE"])
        self.log = Path(environment["READY_FILE"]).with_name("log")

    def submit(self) -> JobRecord:
        (registration,) = self.orchestrator.servicer.registered.values()
        return self.orchestrator.submit(registration.manifest, "work")

    @asynccontextmanager
    async def connector(self, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.integration.connector_sdk.process_connector",
                cwd=ROOT,
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def wait_until_ready(self) -> dict[str, object]:
        async with asyncio.timeout(20):
            while not self.ready_file.exists():  # noqa: ASYNC110 - a file sends no event
                await asyncio.sleep(0.02)
        content: dict[str, object] = json.loads(self.ready_file.read_text("utf-8"))
        return content


@pytest.fixture
async def world(nats_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A stream with its consumer, the double publishing to it, and a marketplace."""
    client = await nats.connect(nats_url)
    stream = client.jetstream()
    await stream.add_stream(
        StreamConfig(name="TASKS_PROCESS", subjects=[SUBJECT], retention=RetentionPolicy.WORK_QUEUE)
    )
    await stream.add_consumer("TASKS_PROCESS", ConsumerConfig(durable_name="default", ack_wait=5))
    publishing: set[asyncio.Task[object]] = set()

    def publish(command: TaskCommand) -> None:
        publishing.add(asyncio.create_task(stream.publish(SUBJECT, command.SerializeToString())))

    async with (
        InMemoryOrchestrator(lease_seconds=1.0, heartbeat_seconds=0.2, publish=publish) as orchestrator,
        Remote() as remote,
    ):
        environment = {
            **{key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "PYTHONPATH"}},
            "ORCHESTRATOR_ADDRESS": orchestrator.address,
            "NATS_URL": nats_url,
            "REMOTE_URL": remote.url,
            "READY_FILE": str(tmp_path / "ready.json"),
            "DRAIN_GRACE_SECONDS": "0.5",
            "STOFLOW_HTTP_RECORD": str(tmp_path / "exchanges.jsonl"),
        }
        yield World(orchestrator, remote, environment)
        await asyncio.gather(*publishing)
    await client.close()


async def test_process_registers_works_and_leaves_on_sigterm(world: World, tmp_path: Path) -> None:
    """A process runs a job from a JetStream command and ends with 0 on SIGTERM, deregistered, its file gone."""
    async with world.connector() as process:
        ready = await world.wait_until_ready()
        assert ready["pid"] == process.pid
        job = world.submit()
        await world.orchestrator.wait_for(job)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0, world.log.read_text("utf-8")
    assert job.state == "COMPLETED"
    assert world.remote.requests == ["GET /first", "POST /second"]
    assert world.orchestrator.servicer.registered == {}
    assert not world.ready_file.exists()
    lines = [json.loads(line) for line in (tmp_path / "exchanges.jsonl").read_text("utf-8").splitlines()]
    assert [(line["method"], line["status"]) for line in lines] == [("GET", 200), ("POST", 200)]


async def test_sigterm_gives_back_what_does_not_finish(world: World) -> None:
    """A task that outlasts the grace is released when the process ends."""
    async with world.connector(METHOD_NAME="wait") as process:
        await world.wait_until_ready()
        job = world.submit()
        await world.orchestrator.wait_until(lambda: world.remote.requests == ["GET /first"])
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0, world.log.read_text("utf-8")
    assert world.orchestrator.servicer.released == 1
    assert job.tasks[0].state == "PENDING"
    assert job.tasks[0].attempt == 0


async def test_stopped_process_starts_no_request_after_its_lease(world: World) -> None:
    """A process stopped past its lease and continued sends nothing more, while its successor finishes the task."""
    async with world.connector() as process:
        await world.wait_until_ready()
        job = world.submit()
        await world.orchestrator.wait_until(lambda: world.remote.requests == ["GET /first"])
        process.send_signal(signal.SIGSTOP)
        # When it goes on, its next request is due at once, before any heartbeat can tell that the lease is gone.
        await asyncio.sleep(1.3)
        assert world.remote.requests == ["GET /first"]
        world.ready_file.unlink()
        world.orchestrator.take_lease_away(job.tasks[0])
        async with world.connector() as successor:
            await world.wait_until_ready()
            await world.orchestrator.wait_for(job)
            assert world.remote.requests == ["GET /first", "GET /first", "POST /second"]
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(1.0)
            successor.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(successor.wait(), 10) == 0
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0, world.log.read_text("utf-8")
    assert world.remote.requests == ["GET /first", "GET /first", "POST /second"]
    assert job.state == "COMPLETED"
    assert len(job.tasks[0].accepted) == 1


async def test_misspelt_method_stops_the_start(world: World) -> None:
    """A handler that names a method which does not exist ends the process before it registers."""
    async with world.connector(METHOD_NAME="wrok") as process:
        assert await asyncio.wait_for(process.wait(), 10) == 1
    log = world.log.read_text("utf-8")
    assert "step 'work': Service.wrok does not exist" in log
    assert world.orchestrator.servicer.calls["RegisterConnector"] == 0


async def test_wrong_environment_is_listed_at_once(world: World) -> None:
    """All missing and malformed variables are named, and the process ends with 2."""
    async with world.connector(NATS_URL="", ORCHESTRATOR_ADDRESS="nowhere", SLOTS="many") as process:
        assert await asyncio.wait_for(process.wait(), 10) == 2
    log = world.log.read_text("utf-8")
    assert "NATS_URL is not set" in log
    assert "ORCHESTRATOR_ADDRESS is malformed" in log
    assert "SLOTS is malformed" in log


async def test_absent_servers_are_named_and_a_waiting_start_can_be_ended(world: World) -> None:
    """Without an orchestrator the process says where it looked, keeps trying, and ends with 0 on SIGTERM."""
    async with world.connector(ORCHESTRATOR_ADDRESS="127.0.0.1:9") as process:
        await world.orchestrator.wait_until(
            lambda: "orchestrator_unreachable" in world.log.read_text("utf-8")
        )
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0, world.log.read_text("utf-8")
    assert '"address": "127.0.0.1:9"' in world.log.read_text("utf-8")
    assert not world.ready_file.exists()
