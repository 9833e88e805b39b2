"""What a group's changes mean to the batches of its jobs: how many ended, which ones began."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.lifecycle import JobState


@dataclass(slots=True)
class BatchDelta:
    """What is to be added to a batch's row.

    Attributes:
        ended: By terminal state, jobs that came to it less jobs that left it.
        is_started: Whether one of its jobs was admitted for the first time.
    """

    ended: dict[JobState, int] = field(default_factory=dict)
    is_started: bool = False

    def move(self, before: JobState | None, after: JobState) -> None:
        """Counts a job that went from one state to another."""
        if before is not None and before.is_terminal:
            self.ended[before] = self.ended.get(before, 0) - 1
        if after.is_terminal:
            self.ended[after] = self.ended.get(after, 0) + 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not self.is_started and not any(self.ended.values())


def batch_deltas(changes: Changes) -> dict[UUID, BatchDelta]:
    """Returns what to write; only the states at the group's start and end count, not the way between."""
    deltas: dict[UUID, BatchDelta] = {}
    for job in changes.changed_jobs.values():
        if job.batch_id is None:
            continue
        delta = deltas.setdefault(job.batch_id, BatchDelta())
        delta.move(job.loaded_state, job.state)
        delta.is_started |= job.start_time == changes.now
    return {batch_id: delta for batch_id, delta in deltas.items() if not delta.is_empty}


def batch_ids(changes: Changes) -> set[UUID]:
    """Returns the batches whose watchers want to know."""
    return {job.batch_id for job in changes.changed_jobs.values() if job.batch_id is not None}
