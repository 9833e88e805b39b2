"""A connector that drains gives a lease back."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.changes import Changes, connector_actor
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.records import effect_key
from stoflow_orchestrator.lifecycle import JobState, TaskEvent, TaskState


@dataclass(frozen=True, slots=True)
class ReleaseTask(Command[None]):
    """Dispatches the task again at once; burns no retry. A lease that is not held is ignored."""

    instance_id: UUID
    job: UUID
    task_id: UUID
    lease_token: UUID

    @property
    def job_id(self) -> UUID:
        return self.job

    @property
    def names_task(self) -> UUID:
        return self.task_id

    def decide(self, changes: Changes) -> None:
        job, task = changes.jobs.get(self.job), changes.tasks.get(self.task_id)
        if job is None or task is None or task.job_id != job.job_id:
            return
        if task.state is not TaskState.RUNNING or task.lease_token != self.lease_token:
            return
        if task.is_once:
            # The connector may have been in the middle of it: the next attempt probes.
            effect = changes.effects[effect_key(job, task)]
            effect.last_send_time = changes.now
            changes.changed_effects[effect.key] = effect
        goes_on = job.state is JobState.RUNNING
        moves.end_attempt(
            changes, job, task, TaskEvent.CANCEL if job.state.is_terminal else TaskEvent.TRY_AGAIN
        )
        # A late report under this lease must not pass for the accepted one.
        task.accepted_token = None
        changes.record(job, "TASK_RELEASED", task=task, actor=connector_actor(self.instance_id))
        if goes_on:
            changes.dispatch(job, task)
