"""Core-NATS hints: they wake watchers of jobs and holders of leases at once, and nothing depends on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg

JOBS_SUBJECT = "stoflow.hints.jobs"
_ID_BYTES = 16


def directives_subject(marketplace: str, instance_id: UUID) -> str:
    """Names where a connector instance listens: a message there asks it to send its heartbeat at once."""
    return f"stoflow.directives.{marketplace}.{instance_id}"


def encode_hint(job_ids: Iterable[UUID]) -> bytes:
    """Packs ids, 16 bytes each."""
    return b"".join(job_id.bytes for job_id in job_ids)


class JobHints:
    """Tells this process's watchers which jobs changed, whichever orchestrator changed them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._watchers: dict[UUID, set[asyncio.Event]] = {}

    async def start(self) -> None:
        """Begins to listen."""
        await self._client.subscribe(JOBS_SUBJECT, cb=self._on_hint)

    @asynccontextmanager
    async def watch(self, job_id: UUID) -> AsyncIterator[asyncio.Event]:
        """Yields an event that is set whenever the job changed."""
        event = asyncio.Event()
        self._watchers.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            watchers = self._watchers[job_id]
            watchers.discard(event)
            if not watchers:
                del self._watchers[job_id]

    async def _on_hint(self, message: Msg) -> None:
        if not self._watchers:
            return
        data = message.data
        for start in range(0, len(data) - _ID_BYTES + 1, _ID_BYTES):
            for event in self._watchers.get(UUID(bytes=data[start : start + _ID_BYTES]), ()):
                event.set()
