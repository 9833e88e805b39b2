"""How the end of a run is seen: the same way for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, LiteralString

from psycopg import AsyncConnection

from benchmarks.contenders.contender import RUN_TIMEOUT_SECONDS

# Each look costs PostgreSQL about 0.1 ms; the end is seen at most this late.
POLL_SECONDS = 0.01


async def wait_until(
    connection: AsyncConnection[Any],
    question: LiteralString,
    is_alive: Callable[[], bool],
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Asks until the answer is true.

    Raises:
        TimeoutError: It never was.
        RuntimeError: The processes that should make it true are gone.
    """
    deadline = time.monotonic() + RUN_TIMEOUT_SECONDS
    while True:
        cursor = await connection.execute(question)
        row = await cursor.fetchone()
        if row is not None and row[0]:
            return
        if not is_alive():
            raise RuntimeError("a process of the contender has ended; its log says why")
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true after {RUN_TIMEOUT_SECONDS:g} s: {question}")
        await asyncio.sleep(poll_seconds)
