"""A task's command has nowhere to go: the seller's browser is away."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.failing import FOREVER
from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason


@dataclass(frozen=True, slots=True)
class WaitForSeller(Command[bool]):
    """Lets the job wait until a browser of its account is back; burns no attempt."""

    job: UUID
    task_id: UUID
    dispatch: int

    @property
    def job_id(self) -> UUID:
        return self.job

    @property
    def names_task(self) -> UUID:
        return self.task_id

    def decide(self, changes: Changes) -> bool:
        job, task = changes.jobs.get(self.job), changes.tasks.get(self.task_id)
        if job is None or task is None or job.state is not JobState.RUNNING:
            return False
        if (
            task.state is not TaskState.PENDING
            or task.dispatch_time is None
            or task.dispatch != self.dispatch
        ):
            return False
        # No time ends this wait; the browser's return does.
        moves.wait(changes, job, WaitReason.SELLER_OFFLINE, changes.now + FOREVER, task=task)
        return True
