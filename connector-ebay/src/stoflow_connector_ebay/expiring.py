"""What eBay said lately, so that it need not be asked for every product."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from stoflow_service_kit.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Answer(NamedTuple, Generic[V]):
    """What eBay said, and whether it said so just now."""

    value: V
    is_fresh: bool


class ExpiringCache(Generic[K, V]):
    """Keeps answers for a time; of too many the one that was not asked for longest is forgotten."""

    def __init__(self, clock: Clock, *, seconds: float, most: int = 10_000) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    async def get(self, key: K, read: Callable[[], Awaitable[V]], *, afresh: bool = False) -> Answer[V]:
        """Returns what is kept, or reads and keeps it.

        Args:
            key: What is asked for.
            read: Asks eBay.
            afresh: Whether what is kept is not good enough.
        """
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock.monotonic() and not afresh:
            self._kept.move_to_end(key)
            return Answer(kept[1], is_fresh=False)
        value = await read()
        self._kept[key] = (self._clock.monotonic() + self._seconds, value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return Answer(value, is_fresh=True)
