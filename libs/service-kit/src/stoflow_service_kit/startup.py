"""Starting before the servers we need are there: wait, name them, go on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import Clock, SystemClock
from stoflow_service_kit.logs import get_logger, redact_text

log = get_logger(__name__)

T = TypeVar("T")


class StartError(Exception):
    """The service cannot start, and waiting does not help; the message alone tells a person what to do."""


async def retry_until_reachable(
    server: str,
    address: str,
    attempt: Callable[[], Awaitable[T]],
    *,
    retry_on: tuple[type[Exception], ...] = (OSError, asyncio.TimeoutError),
    backoff: Backoff | None = None,
    clock: Clock | None = None,
) -> T:
    """Repeats `attempt` until it succeeds, for as long as it takes, and logs each failure with the address.

    Args:
        server: What it is, such as `PostgreSQL`.
        address: Where it is, without a password.
        attempt: One try; bounded in time by itself.
        retry_on: Failures that waiting may cure; any other leaves at once.
        backoff: Delays between tries.
        clock: What waits.
    """
    backoff = backoff or Backoff()
    clock = clock or SystemClock()
    failures = 0
    while True:
        try:
            result = await attempt()
        except retry_on as error:
            failures += 1
            delay = backoff.delay_seconds(failures)
            log.warning(
                "server_unreachable",
                server=server,
                address=address,
                error=redact_text(f"{type(error).__name__}: {error}"),
                failures=failures,
                retry_in_seconds=round(delay, 2),
            )
            await clock.sleep(delay)
        else:
            if failures:
                log.info("server_reachable", server=server, address=address, failures=failures)
            return result
