"""Commands without a broker."""

import asyncio
from collections import deque
from collections.abc import Callable


class MemoryMessage:
    """One delivery, with what was answered to it."""

    def __init__(self, queue: "MemoryQueue", data: bytes) -> None:
        self.data = data
        self._queue = queue

    async def ack(self) -> None:
        self._queue.acked += 1

    async def nak(self, delay: float | None = None) -> None:
        self._queue.naks.append(delay or 0.0)
        asyncio.get_running_loop().call_later(delay or 0.0, self._queue.put, self.data)

    async def term(self) -> None:
        self._queue.terminated.append(self.data)


class MemoryQueue:
    """Commands of one consumer that nobody has taken yet.

    Attributes:
        acked: How many deliveries were acknowledged.
        naks: Delays of the deliveries that were refused, which come again after it.
        terminated: Deliveries that never come again.
    """

    def __init__(self) -> None:
        self.acked = 0
        self.naks: list[float] = []
        self.terminated: list[bytes] = []
        self._waiting: deque[bytes] = deque()
        self._sources: list[MemorySource] = []

    def put(self, data: bytes) -> None:
        """Adds a command."""
        self._waiting.append(data)
        for source in self._sources:
            source.wake()

    def take(self, count: int) -> list[MemoryMessage]:
        """Removes and returns at most so many commands."""
        return [
            MemoryMessage(self, self._waiting.popleft())
            for _ in range(min(max(count, 0), len(self._waiting)))
        ]

    def open(self, free_slots: Callable[[], int]) -> "MemorySource":
        """Returns a source that competes with the others of this queue."""
        source = MemorySource(self, free_slots)
        self._sources.append(source)
        return source


class MemorySource:
    """Delivers to one connector."""

    def __init__(self, queue: MemoryQueue, free_slots: Callable[[], int]) -> None:
        self._queue = queue
        self._free_slots = free_slots
        self._stirred = asyncio.Event()
        self._stopped = False

    async def next_batch(self) -> list[MemoryMessage]:
        while not self._stopped:
            if messages := self._queue.take(self._free_slots()):
                return messages
            self._stirred.clear()
            await self._stirred.wait()
        return []

    def wake(self) -> None:
        self._stirred.set()

    async def stop(self) -> None:
        self._stopped = True
        self._stirred.set()
