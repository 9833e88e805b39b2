"""Waits for servers that are not ours to start, for a bounded time, and names the one that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import nats
import nats.errors
import nats.js.errors
import psycopg

from stoflow_sandbox.demo.addresses import database_address
from stoflow_sandbox.demo.errors import ServerUnreachableError
from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.logs import redact_text
from stoflow_service_kit.nats import nats_address

ATTEMPT_SECONDS = 3
# What libpq says of a server that answers and refuses; waiting cures none of these.
_REFUSALS = (
    "password authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password supplied",
)
_BACKOFF = Backoff(initial_seconds=0.2, maximum_seconds=2.0)

Tell = Callable[[str], None]


class _RefusedError(Exception):
    """The server answers, and what it says will not change by waiting."""


def wait_for_postgres(url: str, timeout_seconds: float, tell: Tell) -> None:
    """Returns once a query is answered.

    Raises:
        ServerUnreachableError: The server did not answer in time, or refuses.
    """

    async def attempt() -> None:
        await asyncio.to_thread(_query, url)

    _wait("PostgreSQL", "DATABASE_URL", database_address(url), attempt, timeout_seconds, tell)


def wait_for_nats(url: str, timeout_seconds: float, tell: Tell) -> None:
    """Returns once JetStream answers.

    Raises:
        ServerUnreachableError: The server did not answer in time, refuses, or has no JetStream.
    """

    async def attempt() -> None:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            await _ask_jetstream(url)

    _wait("NATS", "NATS_URL", nats_address(url), attempt, timeout_seconds, tell)


def _wait(
    server: str,
    variable: str,
    address: str,
    attempt: Callable[[], Awaitable[None]],
    timeout_seconds: float,
    tell: Tell,
) -> None:
    async def repeat() -> None:
        deadline = time.monotonic() + timeout_seconds
        failures = 0
        while True:
            try:
                return await attempt()
            except _RefusedError as error:
                raise ServerUnreachableError(
                    f"{server} at {address} ({variable}) refuses: {error}"
                ) from error
            except (psycopg.OperationalError, nats.errors.Error, OSError, TimeoutError) as error:
                failures += 1
                reason = _reason(error)
            if time.monotonic() > deadline:
                raise ServerUnreachableError(
                    f"{server} at {address} ({variable}) did not answer within {timeout_seconds:g} s: {reason}"
                )
            if failures == 1:
                tell(f"{address} does not answer yet ({reason}); trying again for {timeout_seconds:g} s")
            await asyncio.sleep(_BACKOFF.delay_seconds(failures))

    asyncio.run(repeat())


def _reason(error: Exception) -> str:
    # libpq's second line only asks whether the server runs.
    lines = redact_text(str(error)).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _query(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=ATTEMPT_SECONDS, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:
        if any(refusal in str(error) for refusal in _REFUSALS):
            raise _RefusedError(_reason(error)) from error
        raise


async def _ask_jetstream(url: str) -> None:
    failures: list[Exception] = []

    async def note(error: Exception) -> None:
        failures.append(error)

    try:
        connection = await nats.connect(
            [one.strip() for one in url.split(",")],
            allow_reconnect=False,
            # Zero would mean without end.
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=ATTEMPT_SECONDS,
            error_cb=note,
        )
    except nats.errors.NoServersError as error:
        # It says only that there is none; what was noted says why.
        raise ConnectionError(failures[-1] if failures else error) from error
    try:
        await connection.jetstream().account_info()
    except nats.js.errors.ServiceUnavailableError as error:
        raise _RefusedError("it runs without JetStream (nats-server -js)") from error
    finally:
        with contextlib.suppress(nats.errors.Error):
            # It was only asked; how it ends does not matter.
            await connection.close()
