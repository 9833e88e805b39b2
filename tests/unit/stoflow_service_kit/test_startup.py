import asyncio

import pytest
import structlog

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import ManualClock
from stoflow_service_kit.startup import retry_until_reachable


async def test_retries_with_growing_delays_and_names_the_server() -> None:
    """A server that answers the fourth time is found after 1 + 2 + 4 seconds; each failure names it."""
    clock = ManualClock()
    tries: list[float] = []

    async def attempt() -> str:
        tries.append(clock.monotonic())
        if len(tries) < 4:
            raise ConnectionRefusedError("postgresql://u:hunter2@db:5432 refused")
        return "connected"

    with structlog.testing.capture_logs() as logged:
        result = asyncio.create_task(
            retry_until_reachable(
                "PostgreSQL", "db:5432", attempt, backoff=Backoff(1, 60, jitter=0), clock=clock
            )
        )
        await clock.advance(7)
    assert result.result() == "connected"
    assert tries == [0, 1, 3, 7]
    assert [line["event"] for line in logged] == ["server_unreachable"] * 3 + ["server_reachable"]
    assert all(line["address"] == "db:5432" for line in logged)
    assert "hunter2" not in str(logged)


async def test_an_error_that_waiting_does_not_cure_leaves_at_once() -> None:
    """Only the listed errors are retried."""

    async def attempt() -> None:
        raise PermissionError("no")

    with pytest.raises(PermissionError):
        await retry_until_reachable(
            "X", "h:1", attempt, retry_on=(ConnectionRefusedError,), clock=ManualClock()
        )
