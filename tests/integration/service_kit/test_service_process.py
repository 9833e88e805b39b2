import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stoflow_service_kit.grpc_channel import open_channel
from tests.integration.service_kit.echo_service import EchoRequest, EchoStub
from tests.integration.service_kit.waiting import until

REPOSITORY = Path(__file__).parents[3]


class ServiceProcess:
    def __init__(self, process: asyncio.subprocess.Process, ready_file: Path) -> None:
        self.process = process
        self.ready_file = ready_file

    async def ready(self) -> dict[str, Any]:
        await until(lambda: self.ready_file.exists() or self.process.returncode is not None)
        ready: dict[str, Any] = json.loads(self.ready_file.read_text())
        return ready

    async def end(self) -> tuple[int, list[dict[str, Any]]]:
        """The exit code and the log."""
        async with asyncio.timeout(15):
            output, errors = await self.process.communicate()
        assert errors == b""
        assert self.process.returncode is not None
        return self.process.returncode, [json.loads(line) for line in output.splitlines()]


@contextlib.asynccontextmanager
async def started(tmp_path: Path, **environment: str) -> AsyncIterator[ServiceProcess]:
    ready_file = tmp_path / "ready.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.service_kit.service_under_test",
        cwd=REPOSITORY,
        env={**os.environ, "READY_FILE": str(ready_file), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield ServiceProcess(process, ready_file)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_the_service(tmp_path: Path, stop_signal: signal.Signals) -> None:
    """A running call ends well after the signal, the exit code is 0, and the ready file is gone."""
    async with started(tmp_path) as service:
        ready = await service.ready()
        assert ready["pid"] == service.process.pid
        async with open_channel(ready["grpc_address"]) as channel:
            stub = EchoStub(channel)
            watch = stub.watch(EchoRequest(text="wait", count=1))
            await watch.read()
            assert (await stub.echo(EchoRequest(text="a"))).text == "a"
            service.process.send_signal(stop_signal)
            code, log = await service.end()
    assert code == 0
    events = [line["event"] for line in log]
    assert events == ["serving", "stopping", "stopped"]
    assert {line["service"] for line in log} == {"under-test"}
    assert log[0]["grpc_address"] == ready["grpc_address"]
    assert log[0]["http_address"] == ready["http_address"]
    assert not service.ready_file.exists()


async def test_a_second_signal_ends_a_drain_that_hangs(tmp_path: Path) -> None:
    """Whoever insists while a drain step hangs gets the process ended at once."""
    async with started(tmp_path, STUCK="1") as service:
        await service.ready()
        service.process.send_signal(signal.SIGTERM)
        await until(lambda: not service.ready_file.exists())
        service.process.send_signal(signal.SIGTERM)
        code, _ = await service.end()
    assert code == 128 + signal.SIGTERM


async def test_a_taken_port_ends_the_start_with_a_plain_message(tmp_path: Path) -> None:
    """A service whose port is in use exits with 1 and one line that names the address."""
    (tmp_path / "other").mkdir()
    async with started(tmp_path) as first:
        ready = await first.ready()
        async with started(tmp_path / "other", GRPC_ADDRESS=ready["grpc_address"]) as second:
            code, log = await second.end()
    assert code == 1
    (entry,) = [line for line in log if line["event"] == "start_failed"]
    assert ready["grpc_address"] in entry["error"]
    assert "exception" not in entry


async def test_malformed_settings_end_the_process_with_code_two(tmp_path: Path) -> None:
    """A malformed variable is named on stderr before anything starts."""
    async with started(tmp_path, GRPC_ADDRESS="nowhere") as service:
        async with asyncio.timeout(15):
            output, errors = await service.process.communicate()
    assert service.process.returncode == 2
    assert output == b""
    assert b"GRPC_ADDRESS is malformed ('nowhere')" in errors
