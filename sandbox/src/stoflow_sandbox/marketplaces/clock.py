"""A clock that tests can move forward, for everything in a sandbox that expires."""

import time


class Clock:
    """Wall-clock seconds plus an offset."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0

    def now(self) -> float:
        return time.time() + self.offset_seconds

    def advance(self, seconds: float) -> None:
        """Move forward; a negative value raises ValueError, since expired things must not come back."""
        if seconds < 0:
            raise ValueError("a sandbox clock only moves forward")
        self.offset_seconds += seconds
