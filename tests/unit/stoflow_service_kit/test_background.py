import asyncio

import pytest
import structlog

from stoflow_service_kit.background import Background, OnCrash
from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import ManualClock, settle


class Fixture:
    def __init__(self) -> None:
        self.fatal: list[str] = []
        self.clock = ManualClock()
        self.background = Background(
            self.fatal.append,
            backoff=Backoff(initial_seconds=1, maximum_seconds=4, jitter=0),
            clock=self.clock,
        )
        self.runs: list[float] = []

    async def crash(self) -> None:
        self.runs.append(self.clock.monotonic())
        raise RuntimeError("boom")


async def test_a_crashed_task_is_logged_and_restarted_with_backoff() -> None:
    """A task that always crashes runs again after 1, 2, 4 and 4 seconds, and each crash is in the log."""
    fixture = Fixture()
    with structlog.testing.capture_logs() as logged:
        fixture.background.spawn("sweep", fixture.crash)
        await fixture.clock.advance(12)
    assert fixture.runs == [0, 1, 3, 7, 11]
    assert len([line for line in logged if line["event"] == "background_task_crashed"]) == 5
    assert fixture.fatal == []
    await fixture.background.close()
    assert fixture.background.running == []


async def test_a_long_healthy_run_resets_the_backoff() -> None:
    """A task that ran for over a minute before it crashed starts again after the first delay."""
    fixture = Fixture()

    async def run() -> None:
        fixture.runs.append(fixture.clock.monotonic())
        if len(fixture.runs) == 3:
            await fixture.clock.sleep(100)
        raise RuntimeError("boom")

    fixture.background.spawn("sweep", run)
    await fixture.clock.advance(105)
    assert fixture.runs == [0, 1, 3, 104]
    await fixture.background.close()


async def test_a_task_that_may_not_crash_stops_the_service() -> None:
    """With STOP_SERVICE the first crash is fatal and the task does not run again."""
    fixture = Fixture()
    fixture.background.spawn("committer", fixture.crash, on_crash=OnCrash.STOP_SERVICE)
    await fixture.clock.advance(60)
    assert fixture.runs == [0]
    assert fixture.fatal == ["the background task committer crashed"]


async def test_a_task_that_returns_is_done() -> None:
    """A task that ends by itself is not started again, and its name is free."""
    fixture = Fixture()
    runs = 0

    async def once() -> None:
        nonlocal runs
        runs += 1

    fixture.background.spawn("once", once)
    await fixture.clock.advance(60)
    assert runs == 1
    fixture.background.spawn("once", once)
    await settle()
    assert runs == 2


async def test_a_stray_cancellation_counts_as_a_crash() -> None:
    """A cancellation that comes out of what the task waits for does not end it silently."""
    fixture = Fixture()

    async def run() -> None:
        fixture.runs.append(fixture.clock.monotonic())
        raise asyncio.CancelledError

    fixture.background.spawn("watch", run)
    await fixture.clock.advance(1)
    assert fixture.runs == [0, 1]
    await fixture.background.close()


async def test_close_cancels_the_youngest_first() -> None:
    """Tasks end in the reverse order of their start, each before the next is cancelled."""
    fixture = Fixture()
    ended: list[str] = []

    def task(name: str) -> None:
        async def run() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append(name)

        fixture.background.spawn(name, run)

    for name in ("first", "second", "third"):
        task(name)
    await settle()
    await fixture.background.close()
    await fixture.background.close()
    assert ended == ["third", "second", "first"]


async def test_a_name_is_used_once() -> None:
    """Two tasks of one name at the same time are a mistake."""
    fixture = Fixture()
    fixture.background.spawn("a", asyncio.Event().wait)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'a' runs already"):
        fixture.background.spawn("a", fixture.crash)
    await fixture.background.close()
