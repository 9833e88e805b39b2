"""Waiting for something a server does."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], timeout_seconds: float = 15.0) -> None:
    """Polls until the condition holds."""
    async with asyncio.timeout(timeout_seconds):
        while not condition():  # noqa: ASYNC110  What is waited for happens in another process.
            await asyncio.sleep(0.01)
