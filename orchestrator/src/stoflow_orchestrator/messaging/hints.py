"""Hints wake watchers of jobs and holders of leases at once, and nothing depends on them.

Between processes they are messages of core NATS.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg

from stoflow_orchestrator.engine.changes import HistoryEntry
from stoflow_orchestrator.engine.publication import Publication

JOBS_SUBJECT = "stoflow.hints.jobs"
_ID_BYTES = 16
# Of one watcher that does not keep up; what is dropped it reads from the database.
MAX_NEWS = 1_000


class News(NamedTuple):
    """An entry of a job's history, as it has just been committed."""

    entry: HistoryEntry
    time: datetime


def directives_subject(marketplace: str, instance_id: UUID) -> str:
    """Names where a connector instance listens: a message there asks it to send its heartbeat at once."""
    return f"stoflow.directives.{marketplace}.{instance_id}"


def encode_hint(job_ids: Iterable[UUID]) -> bytes:
    """Packs ids, 16 bytes each."""
    return b"".join(job_id.bytes for job_id in job_ids)


class Watch:
    """What one watcher has not taken notice of yet.

    Attributes:
        changed: Set whenever the job, or the batch, changed.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._news: list[News] = []
        self._is_incomplete = False

    def tell(self, news: News | None = None) -> None:
        """Wakes the watcher; with news it need not look into the database."""
        if news is None or len(self._news) == MAX_NEWS:
            self._is_incomplete = True
        else:
            self._news.append(news)
        self.changed.set()

    def take_after(self, sequence: int) -> tuple[list[News], bool]:
        """Returns what is known of the time after an entry, and forgets it.

        Returns:
            The entries that follow the one with this number without a gap; and whether the database has more.
        """
        taken: list[News] = []
        is_incomplete = self._is_incomplete
        for news in sorted(self._news, key=lambda news: news.entry.sequence):
            if news.entry.sequence == sequence + 1:
                taken.append(news)
                sequence += 1
            elif news.entry.sequence > sequence:
                is_incomplete = True
        self._news.clear()
        self._is_incomplete = False
        return taken, is_incomplete


class JobHints:
    """Tells this process's watchers which jobs changed, whichever orchestrator changed them.

    What this process changes is told from memory, with the entries of the histories; what others change comes as the
    bare id.
    """

    def __init__(self, client: Client) -> None:
        """Prepares hints.

        Args:
            client: Its own messages must not come back to it.
        """
        self._client = client
        self._watches: dict[UUID, set[Watch]] = {}

    async def start(self) -> None:
        """Begins to listen."""
        await self._client.subscribe(JOBS_SUBJECT, cb=self._on_hint)

    @asynccontextmanager
    async def watch(self, subject_id: UUID) -> AsyncIterator[Watch]:
        """Yields a watch over a job or a batch."""
        watch = Watch()
        self._watches.setdefault(subject_id, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[subject_id]
            watches.discard(watch)
            if not watches:
                del self._watches[subject_id]

    def tell(self, publication: Publication) -> None:
        """Tells what a commit of this process changed."""
        if not self._watches:
            return
        for entry in publication.history:
            for watch in self._watches.get(entry.job_id, ()):
                watch.tell(News(entry, publication.time))
        told = {entry.job_id for entry in publication.history}
        for subject_id in publication.changed_jobs:
            if subject_id not in told:
                for watch in self._watches.get(subject_id, ()):
                    watch.tell()

    async def _on_hint(self, message: Msg) -> None:
        if not self._watches:
            return
        data = message.data
        for start in range(0, len(data) - _ID_BYTES + 1, _ID_BYTES):
            for watch in self._watches.get(UUID(bytes=data[start : start + _ID_BYTES]), ()):
                watch.tell()
