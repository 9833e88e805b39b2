import asyncio
from datetime import UTC, datetime, timedelta

from stoflow_service_kit.clock import ManualClock, SystemClock


async def test_manual_time_moves_only_when_told() -> None:
    """Both times stand still, then move by exactly what the test says."""
    start = datetime(2031, 5, 1, 12, tzinfo=UTC)
    clock = ManualClock(start)
    before = clock.monotonic()
    assert clock.now() == start
    await clock.advance(90)
    assert clock.now() == start + timedelta(seconds=90)
    assert clock.monotonic() - before == 90


async def test_sleepers_wake_in_the_order_of_their_due_times() -> None:
    """Sleepers wake when their time has come, at that very time, and not before."""
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3.0), ("early", 1.0), ("never", 9.0), ("at once", 0.0)):
            group.create_task(sleeper(name, seconds))
        await clock.advance(5)
        assert woken == [("at once", 0.0), ("early", 1.0), ("late", 3.0)]
        assert clock.sleeping == 1
        await clock.advance(10)


async def test_a_task_that_sleeps_again_wakes_again_within_one_advance() -> None:
    """A loop that sleeps one second runs ten times while ten seconds pass."""
    clock = ManualClock()
    rounds = 0

    async def loop() -> None:
        nonlocal rounds
        while True:
            await clock.sleep(1)
            rounds += 1

    task = asyncio.create_task(loop())
    await clock.advance(10)
    task.cancel()
    assert rounds == 10


async def test_a_cancelled_sleeper_does_not_disturb_the_others() -> None:
    """Time passes over a sleeper that was cancelled."""
    clock = ManualClock()
    cancelled = asyncio.create_task(clock.sleep(1))
    other = asyncio.create_task(clock.sleep(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    await clock.advance(2)
    assert other.done()
    assert cancelled.cancelled()


async def test_the_system_clock_is_aware_and_never_goes_back() -> None:
    """Wall-clock times carry UTC, and monotonic differences are not negative."""
    clock = SystemClock()
    first = clock.monotonic()
    await clock.sleep(-1)
    assert clock.monotonic() >= first
    assert clock.now().utcoffset() == timedelta(0)
