import asyncio
import json
import os
from pathlib import Path

import pytest
import structlog

from stoflow_service_kit.clock import settle
from stoflow_service_kit.lifecycle import Lifecycle
from stoflow_service_kit.startup import StartError


async def noop(_lifecycle: Lifecycle) -> None:
    return


async def test_drain_steps_run_in_reverse_order_each_after_the_other() -> None:
    """What was started last ends first, and a slow step is waited for before the next begins."""
    lifecycle = Lifecycle("test")
    events: list[str] = []

    def step(name: str) -> None:
        async def drain() -> None:
            events.append(f"{name} begins")
            await asyncio.sleep(0)
            events.append(f"{name} ends")

        lifecycle.on_drain(name, drain)

    async def start(_lifecycle: Lifecycle) -> None:
        step("pool")
        step("server")

    running = asyncio.create_task(lifecycle.run(start))
    await settle()
    assert events == []
    lifecycle.stop("SIGTERM")
    assert await running == 0
    assert events == ["server begins", "server ends", "pool begins", "pool ends"]


async def test_a_failing_or_stuck_step_does_not_keep_the_others_from_running() -> None:
    """After a step that raises and one that hangs, the rest still runs, and the exit code says so."""
    lifecycle = Lifecycle("test")
    ended: list[str] = []

    async def fine() -> None:
        ended.append("fine")

    async def raises() -> None:
        raise RuntimeError("boom")

    async def hangs() -> None:
        await asyncio.Event().wait()

    lifecycle.on_drain("fine", fine)
    lifecycle.on_drain("raises", raises)
    lifecycle.on_drain("hangs", hangs, timeout_seconds=0)
    lifecycle.stop("test")
    with structlog.testing.capture_logs() as logged:
        assert await lifecycle.run(noop) == 1
    assert ended == ["fine"]
    failed = [line["step"] for line in logged if line["event"] == "drain_step_failed"]
    assert failed == ["hangs", "raises"]


async def test_a_start_error_is_reported_in_one_line_and_what_was_started_is_ended() -> None:
    """A start that fails half-way drains the first half and exits with 1."""
    lifecycle = Lifecycle("test")
    ended: list[str] = []

    async def end_pool() -> None:
        ended.append("pool")

    async def start(starting: Lifecycle) -> None:
        starting.on_drain("pool", end_pool)
        raise StartError("The port 1 is in use.")

    with structlog.testing.capture_logs() as logged:
        assert await lifecycle.run(start) == 1
    assert ended == ["pool"]
    (entry,) = [line for line in logged if line["event"] == "start_failed"]
    assert entry["error"] == "The port 1 is in use."
    assert "exc_info" not in entry


async def test_an_unexpected_error_while_starting_is_logged_with_its_trace() -> None:
    """A bug in bootstrap ends the process with 1 and leaves a traceback in the log."""

    async def start(_lifecycle: Lifecycle) -> None:
        raise KeyError("typo")

    with structlog.testing.capture_logs() as logged:
        assert await Lifecycle("test").run(start) == 1
    assert [line["exc_info"] for line in logged if line["event"] == "start_failed"] == [True]


async def test_a_stop_while_starting_interrupts_the_start() -> None:
    """A service that waits for its database stops at once when told, with exit code 0."""
    lifecycle = Lifecycle("test")

    async def start(_lifecycle: Lifecycle) -> None:
        await asyncio.Event().wait()

    running = asyncio.create_task(lifecycle.run(start))
    await settle()
    lifecycle.stop("SIGTERM")
    assert await running == 0


async def test_a_failure_ends_the_service_with_exit_code_one() -> None:
    """A fatal background crash drains the service; a later orderly stop does not hide it."""
    lifecycle = Lifecycle("test")

    async def start(starting: Lifecycle) -> None:
        async def crash() -> None:
            raise RuntimeError("boom")

        from stoflow_service_kit.background import OnCrash

        starting.background.spawn("vital", crash, on_crash=OnCrash.STOP_SERVICE)

    running = asyncio.create_task(lifecycle.run(start))
    await settle()
    lifecycle.stop("SIGTERM")
    assert await running == 1


async def test_the_ready_file_appears_whole_when_serving_and_goes_with_the_service(tmp_path: Path) -> None:
    """A stale file is removed at start; the new one holds pid and real addresses; drain removes it."""
    path = tmp_path / "run" / "ready.json"
    path.parent.mkdir()
    path.write_text("stale")
    lifecycle = Lifecycle("test", str(path))
    assert not path.exists()

    async def start(starting: Lifecycle) -> None:
        starting.serving(grpc_address="127.0.0.1:1", http_address="127.0.0.1:2")

    running = asyncio.create_task(lifecycle.run(start))
    await settle()
    assert json.loads(path.read_text()) == {
        "pid": os.getpid(),
        "grpc_address": "127.0.0.1:1",
        "http_address": "127.0.0.1:2",
    }
    assert [entry.name for entry in path.parent.iterdir()] == ["ready.json"]
    lifecycle.stop("test")
    await running
    assert not path.exists()


async def test_a_successors_ready_file_stays(tmp_path: Path) -> None:
    """A service that ends after its successor started does not remove the successor's file."""
    path = tmp_path / "ready.json"
    lifecycle = Lifecycle("test", str(path))
    lifecycle.serving(grpc_address="127.0.0.1:1", http_address="127.0.0.1:2")
    path.write_text(json.dumps({"pid": os.getpid() + 1}))
    lifecycle.stop("test")
    await lifecycle.run(noop)
    assert path.exists()


async def test_background_tasks_end_even_if_no_step_closes_them() -> None:
    """Tasks of a service that registered no drain step are cancelled before the process ends."""
    lifecycle = Lifecycle("test")
    ended = asyncio.Event()

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def start(starting: Lifecycle) -> None:
        starting.background.spawn("loop", run)

    running = asyncio.create_task(lifecycle.run(start))
    await settle()
    lifecycle.stop("test")
    await running
    assert ended.is_set()


async def test_cancelling_the_runner_is_not_swallowed() -> None:
    """A cancellation of the whole run is passed on."""
    running = asyncio.create_task(Lifecycle("test").run(noop))
    await settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
