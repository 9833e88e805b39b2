"""Long work in memory, cut into turns so that one call does not hold up all others."""

import asyncio
import time
from collections.abc import Callable

# Of an event loop's time without a break. A call that passes the loop a dozen times is held up a dozen times as long.
TURN_SECONDS = 0.002


class Turns:
    """Lets others run whenever a turn is over.

    Args:
        clock: Seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._end = clock() + TURN_SECONDS

    async def rest(self) -> None:
        """Returns at once while the turn lasts, else after others have run."""
        if self._clock() < self._end:
            return
        await asyncio.sleep(0)
        self._end = self._clock() + TURN_SECONDS
