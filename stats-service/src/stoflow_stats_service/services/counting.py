"""Counting facts, each once."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from stoflow_stats_service.facts import Fact
from stoflow_stats_service.figures import aggregate, unique_by_id
from stoflow_stats_service.repositories.counted_event import CountedEventRepository
from stoflow_stats_service.repositories.counter import CounterRepository


@dataclass(frozen=True, slots=True)
class CountResult:
    """What became of a batch.

    Attributes:
        counted: Events whose ids were new.
        duplicates: Events that were counted before, or twice in the batch.
    """

    counted: int
    duplicates: int


class CountingService:
    """Adds facts to the counters in one transaction."""

    def __init__(
        self, engine: AsyncEngine, events: CountedEventRepository, counters: CounterRepository
    ) -> None:
        self._engine = engine
        self._events = events
        self._counters = counters

    async def count(self, facts: Iterable[Fact]) -> CountResult:
        """Counts the facts that were not counted before; repeating the call changes nothing.

        Events and figures are written by one transaction: what is remembered as counted is counted.
        """
        facts = list(facts)
        unique = unique_by_id(facts)
        if not unique:
            return CountResult(0, 0)
        async with self._engine.begin() as connection:
            new = await self._events.insert_new(connection, unique.keys())
            await self._counters.add(connection, aggregate(unique[event_id] for event_id in new))
        return CountResult(len(new), len(facts) - len(new))
