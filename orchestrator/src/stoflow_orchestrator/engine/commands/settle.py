"""An operator says what became of an effect."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.records import effect_key
from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason

OPERATOR_ACTOR = "operator"


class SettleOutcome(Enum):
    """What became of it."""

    DONE = auto()
    NOT_LIVE = auto()
    IS_SETTLED = auto()
    ATTEMPT_RUNS = auto()


@dataclass(frozen=True, slots=True)
class SettleEffect(Command[SettleOutcome]):
    """Settles the effect and lets the job go on that waits for a person.

    Attributes:
        remote_id: The marketplace's id of what was made; empty when nothing was.
    """

    effect_id: UUID
    job: UUID
    task_id: UUID
    remote_id: str

    @property
    def job_id(self) -> UUID:
        return self.job

    @property
    def names_task(self) -> UUID:
        return self.task_id

    def decide(self, changes: Changes) -> SettleOutcome:
        job, task = changes.jobs.get(self.job), changes.tasks.get(self.task_id)
        if job is None or task is None or not task.is_once:
            return SettleOutcome.NOT_LIVE
        effect = changes.effects.get(effect_key(job, task))
        if effect is None or effect.state != "UNRESOLVED" or effect.effect_id != self.effect_id:
            return SettleOutcome.IS_SETTLED
        if effect.task_id != self.task_id or task.state is TaskState.RUNNING:
            # Another attempt has begun since the operator looked.
            return SettleOutcome.ATTEMPT_RUNS
        effect.state = "DONE" if self.remote_id else "NOT_SENT"
        effect.mode = "ADOPT" if self.remote_id else "EXECUTE"
        effect.remote_id = self.remote_id
        changes.changed_effects[effect.key] = effect
        if job.state is JobState.PENDING and job.wait_reason is WaitReason.NEEDS_HUMAN:
            job.wait_reason = None
            job.next_time = job.queue_time
            changes.touch_job(job)
            changes.stirred.add(job.marketplace)
        changes.record(job, "EFFECT_SETTLED", task=task, actor=OPERATOR_ACTOR)
        return SettleOutcome.DONE
