"""The reaper rings again for a task that nobody started."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.failing import FOREVER
from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason


@dataclass(frozen=True, slots=True)
class RedispatchTask(Command[bool]):
    """Publishes the command under its next number, or lets the job wait when no connector is alive."""

    job: UUID
    task_id: UUID
    older_than: timedelta
    has_connector: bool

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
        if task.state is not TaskState.PENDING or task.dispatch_time is None:
            return False
        if task.dispatch_time > changes.now - self.older_than:
            return False
        if self.has_connector:
            changes.dispatch(job, task)
        else:
            # No time ends this wait; the registration of a connector that can run it does.
            until = changes.now + FOREVER
            moves.wait(changes, job, WaitReason.CONNECTOR_UNAVAILABLE, until, task=task)
        return True
