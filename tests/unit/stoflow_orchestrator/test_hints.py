"""What watchers of this process are told from memory."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from nats.aio.client import Client

from stoflow_orchestrator.engine.changes import HistoryEntry
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.messaging.hints import MAX_NEWS, JobHints, News, Watch

NOW = datetime(2026, 1, 5, tzinfo=UTC)
JOB = uuid.uuid4()


def entry(sequence: int, job_id: UUID = JOB) -> HistoryEntry:
    return HistoryEntry(job_id, sequence, "ADMITTED", "RUNNING", None, None, None, 0, None, "orchestrator")


def told(*sequences: int) -> Watch:
    watch = Watch()
    for sequence in sequences:
        watch.tell(News(entry(sequence), NOW))
    return watch


def numbers(taken: tuple[list[News], bool]) -> tuple[list[int], bool]:
    news, is_incomplete = taken
    return [one.entry.sequence for one in news], is_incomplete


def test_entries_are_handed_over_in_their_order() -> None:
    """Two groups may be told in another order than they were committed in."""
    assert numbers(told(3, 2, 4).take_after(1)) == ([2, 3, 4], False)


def test_nothing_is_handed_over_beyond_a_gap() -> None:
    """What is missing was committed by another process: the watcher reads it from the database."""
    watch = told(2, 4)
    assert numbers(watch.take_after(1)) == ([2], True)
    assert watch.take_after(2) == ([], False)


def test_what_was_read_already_is_not_repeated() -> None:
    """Entries up to the one that the watcher has are dropped, and so are doubles."""
    assert numbers(told(1, 2, 2, 3).take_after(1)) == ([2, 3], False)
    assert numbers(told(1, 2).take_after(2)) == ([], False)


def test_watcher_that_does_not_keep_up_reads_the_database() -> None:
    """Its memory is bounded; the entries that were kept are still right."""
    watch = told(*range(1, MAX_NEWS + 100))
    news, is_incomplete = watch.take_after(0)
    assert len(news) == MAX_NEWS
    assert is_incomplete


async def test_only_watchers_of_the_job_are_told() -> None:
    """A commit wakes those who watch what it changed; batches come without news."""
    hints = JobHints(cast("Client", None))
    batch, other = uuid.uuid4(), uuid.uuid4()
    publication = Publication(history=[entry(2)], changed_jobs=[JOB, batch], time=NOW)
    async with hints.watch(JOB) as mine, hints.watch(batch) as of_batch, hints.watch(other) as of_other:
        hints.tell(publication)
        watches: list[Any] = [mine, of_batch, of_other]
        assert [watch.changed.is_set() for watch in watches] == [True, True, False]
        assert numbers(mine.take_after(1)) == ([2], False)
        assert numbers(of_batch.take_after(0)) == ([], True)
