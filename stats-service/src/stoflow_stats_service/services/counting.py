"""Counting facts, each once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stoflow_stats_service.facts import Fact, KnownFact
from stoflow_stats_service.figures import aggregate, unique_by_id
from stoflow_stats_service.repositories.counted_event import CountedEventRepository
from stoflow_stats_service.repositories.counter import CounterRepository
from stoflow_stats_service.repositories.generation import GenerationRepository, GenerationRow


@dataclass(frozen=True, slots=True)
class CountResult:
    """What became of a batch.

    Attributes:
        counted: Events whose ids were new.
        duplicates: Events that were counted before, or twice in the batch.
        late: Events of hours whose ids are forgotten: whether they were counted is not known any more, so they are not.
        facts: Those that were counted.
    """

    counted: int
    duplicates: int
    late: int = 0
    facts: Sequence[KnownFact] = field(default=(), compare=False)


class CountingService:
    """Adds facts to the counters in one transaction."""

    def __init__(
        self,
        engine: AsyncEngine,
        events: CountedEventRepository,
        counters: CounterRepository,
        generations: GenerationRepository,
    ) -> None:
        self._engine = engine
        self._events = events
        self._counters = counters
        self._generations = generations

    async def count(self, facts: Iterable[Fact]) -> CountResult:
        """Counts the facts that were not counted before; repeating the call changes nothing.

        Events and figures are written by one transaction: what is remembered as counted is counted. While the
        figures are rebuilt, both generations take them.
        """
        known = [fact for fact in facts if isinstance(fact, KnownFact)]
        unique = unique_by_id(known)
        result = CountResult(0, 0)
        if not unique:
            return result
        async with self._engine.begin() as connection:
            await self._generations.lock_for_counting(connection)
            for generation in await self._generations.list_live(connection):
                new = await self._count_in(connection, generation, unique)
                if generation.state == "ACTIVE":
                    late = sum(fact.at.hour < generation.start_hour for fact in known)
                    result = CountResult(len(new), len(known) - len(new) - late, late, new)
        return result

    async def count_history(
        self, generation: int, facts: Iterable[Fact], page_token: str, event_count: int
    ) -> bool:
        """Counts a page of the history in a generation that is built, and remembers where the next one begins.

        Returns:
            Whether the generation is still being built; if not, nothing was counted.
        """
        unique = unique_by_id(facts)
        async with self._engine.begin() as connection:
            await self._generations.lock_for_counting(connection)
            building = await self._generations.find_building(connection)
            if building is None or building.generation != generation:
                return False
            if unique:
                await self._count_in(connection, building, unique)
            await self._generations.add_page(connection, generation, page_token, event_count)
        return True

    async def _count_in(
        self, connection: AsyncConnection, generation: GenerationRow, unique: Mapping[str, KnownFact]
    ) -> list[KnownFact]:
        start = generation.start_hour
        hours = {event_id: fact.at.hour for event_id, fact in unique.items() if fact.at.hour >= start}
        if not hours:
            return []
        number = generation.generation
        new = [unique[one] for one in await self._events.insert_new(connection, number, hours)]
        await self._counters.add(connection, number, aggregate(new, generation.period_of))
        return new
