"""What a commit leaves to be published."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from stoflow_orchestrator.engine.changes import Dispatch, HistoryEntry

NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OutgoingEvents:
    """A row of the outbox: one message with the result events of a group."""

    message_id: UUID
    subject: str
    payload: bytes


@dataclass(slots=True)
class Publication:
    """In memory right after the commit; what a crash loses here, the sweeps find in the tables.

    Attributes:
        dispatches: Task commands.
        events: Outbox rows.
        changed_jobs: Jobs, and batches, whose watchers want to know.
        history: New entries of these jobs' histories.
        time: When they were made.
        directives: Leases (marketplace, instance) whose holders are to ask what to do.
        stirred: Marketplaces in which admission may have something to do.
        queued: (marketplace, tenant) of jobs that may have become ready.
    """

    dispatches: Sequence[Dispatch] = ()
    events: Sequence[OutgoingEvents] = ()
    changed_jobs: Sequence[UUID] = ()
    history: Sequence[HistoryEntry] = ()
    time: datetime = NO_TIME
    directives: Collection[tuple[str, UUID]] = ()
    stirred: set[str] = field(default_factory=set)
    queued: set[tuple[str, int]] = field(default_factory=set)
