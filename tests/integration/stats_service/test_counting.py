"""Counting on a real PostgreSQL: each event once, whatever comes in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncEngine

from stoflow_service_kit.database import create_database_engine
from stoflow_stats_service.event_decoder import decode_event
from stoflow_stats_service.facts import ActionHour, RunEnded, RunOutcome, UnknownFact
from stoflow_stats_service.migrations.runner import migrate
from stoflow_stats_service.repositories.counted_event import CountedEventRepository
from stoflow_stats_service.repositories.counter import CounterRepository
from stoflow_stats_service.repositories.generation import GenerationRepository
from stoflow_stats_service.services.counting import CountingService, CountResult
from tests.integration.stats_service.events import random_events, recount
from tests.integration.stats_service.stored import counted_events, stored_rows

AT = ActionHour(1, datetime(2026, 1, 5, 10, tzinfo=UTC), "ebay", "publish")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a migrated database."""
    migrate(database_url)
    engine = create_database_engine(database_url, "test", prepare=True)
    yield engine
    await engine.dispose()


@pytest.fixture
def service(engine: AsyncEngine) -> CountingService:
    return CountingService(engine, CountedEventRepository(), CounterRepository(), GenerationRepository())


def run_ended(event_id: str, run_us: int | None = None) -> RunEnded:
    return RunEnded(event_id, AT, RunOutcome.COMPLETED, False, run_us, None, None)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_replicas_at_once_give_the_plain_recount(
    service: CountingService, database_url: str, seed: int
) -> None:
    """Three replicas that count shuffled, overlapping batches at once end with the figures of a plain recount."""
    events = random_events(1_500, seed)
    rng = random.Random(seed)
    stream = events + rng.sample(events, 500)
    rng.shuffle(stream)
    facts = [decode_event(event) for event in stream]
    batches = [facts[start : start + 37] for start in range(0, len(facts), 37)]

    async def replica(share: list[int]) -> int:
        return sum([(await service.count(batches[index])).counted for index in share])

    # Every batch goes to two of the three replicas.
    indexes = range(len(batches))
    shares = [rng.sample([i for i in indexes if i % 3 != own], len(batches) * 2 // 3) for own in range(3)]
    counted = await asyncio.gather(*(replica(share) for share in shares))
    missing = await replica(list(indexes))

    assert sum(counted) + missing == len(events)
    assert stored_rows(database_url) == recount(events)


async def test_a_second_count_changes_nothing(service: CountingService, database_url: str) -> None:
    """Counting the same facts again reports duplicates and leaves every figure as it is."""
    facts = [decode_event(event) for event in random_events(200, 9)]
    assert await service.count([*facts, facts[0]]) == CountResult(counted=200, duplicates=1)
    before = stored_rows(database_url)
    assert await service.count(facts) == CountResult(counted=0, duplicates=200)
    assert stored_rows(database_url) == before


async def test_an_unknown_fact_is_counted_nowhere_and_not_remembered(
    service: CountingService, database_url: str
) -> None:
    """A kind of fact of a later release changes no figure, and that release may still count it."""
    assert await service.count([UnknownFact("new")]) == CountResult(counted=0, duplicates=0)
    assert counted_events(database_url) == 0
    assert stored_rows(database_url) == {"jobs": {}, "tasks": {}, "errors": {}}


async def test_what_is_refused_is_not_remembered_as_counted(
    service: CountingService, database_url: str
) -> None:
    """When the counters refuse a batch, the ids go with it, so that it can be counted later."""
    await service.count([run_ended("a", 2**62)])
    with pytest.raises(DataError):
        await service.count([run_ended("b", 2**62)])
    assert counted_events(database_url) == 1
    assert await service.count([run_ended("b", 5)]) == CountResult(counted=1, duplicates=0)


async def test_an_empty_batch_is_nothing(service: CountingService) -> None:
    """A batch without facts touches no table."""
    assert await service.count([]) == CountResult(counted=0, duplicates=0)


@pytest.mark.parametrize(
    "change",
    [
        "total_count = total_count + 1",
        "run_us_min = NULL",
        "run_us_min = run_us_max + 1",
        "run_count = 2",
        "retried_count = -1",
        "hour = hour + interval '1 minute'",
    ],
)
async def test_the_schema_refuses_figures_that_contradict(
    service: CountingService, database_url: str, change: str
) -> None:
    """No statement, whoever writes it, can leave a row whose figures do not add up."""
    await service.count([run_ended("a", 7)])
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"UPDATE stats.marketplace_job_stats SET {change}".encode())
