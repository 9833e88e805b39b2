"""What callers and connectors may ask, answered by the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from stoflow_orchestrator.lifecycle import JobEvent, JobState, TaskEvent, TaskState, WaitReason
from tests.model.engine.reference import Reference
from tests.model.engine.rows import (
    EXPIRE_AFTER,
    LEASE,
    PLANS,
    REGISTRATION,
    SETTLE,
    START_TO_CLOSE,
    Bell,
    EffectRow,
    JobRow,
    Outcome,
    TaskRow,
)

# No time ends these; whoever resumes the job wants it tried.
ENDLESS_WAITS = (
    WaitReason.NEEDS_HUMAN,
    WaitReason.ACCOUNT_RECONNECT_REQUIRED,
    WaitReason.CONNECTOR_UNAVAILABLE,
)


class EffectGrant(NamedTuple):
    mode: str
    generation: int
    remote_id: str
    settle_remaining: int


class Grant(NamedTuple):
    """What a granted attempt is told."""

    name: str
    attempt: int
    outputs: tuple[tuple[str, str | None], ...]
    effect: EffectGrant | None


@dataclass(frozen=True)
class Submission:
    """A job to be created."""

    job_id: UUID
    task_ids: tuple[UUID, ...]
    tenant: int
    account: UUID
    product: UUID | None
    action: str
    priority: int
    max_retries: int
    is_duplicate: bool
    not_before: int | None


class Calls(Reference):
    """The reference with everything that may be asked of it."""

    # -- callers --

    def create(self, submission: Submission) -> UUID | None:
        """Returns None when it is created, or the live job with the same subject."""
        subject = (submission.account, submission.product, submission.action)
        if not submission.is_duplicate and (twin := self.twin(*subject)) is not None:
            return twin
        self.sequence += 1
        held = submission.not_before
        steps = zip(submission.task_ids, PLANS[submission.action], strict=True)
        job = JobRow(
            job_id=submission.job_id,
            tenant=submission.tenant,
            account=submission.account,
            product=submission.product,
            action=submission.action,
            priority=submission.priority,
            max_retries=submission.max_retries,
            is_duplicate=submission.is_duplicate,
            sequence=self.sequence,
            expire_at=max(held or self.now, self.now) + EXPIRE_AFTER,
            tasks=[TaskRow(task_id, step, place) for place, (task_id, step) in enumerate(steps)],
            not_before=submission.not_before,
            held_until=held if held is not None and held > self.now else None,
        )
        self.jobs[job.job_id] = job
        self.record(job, "CREATED")
        return None

    def control(self, call: str, job: JobRow) -> str:
        """Returns "OK" or the reason of a refusal."""
        self.asked.add((job.state, JobEvent(call.upper())))
        if call in ("cancel", "retry"):
            self.asked.update((task.state, TaskEvent(call.upper())) for task in job.tasks)
        calls = {"cancel": self._cancel, "pause": self._pause, "resume": self._resume, "retry": self._retry}
        return calls[call](job)

    def _cancel(self, job: JobRow) -> str:
        if job.state is JobState.CANCELLED:
            return "OK"
        if not job.is_live:
            return "JOB_STATE_INVALID"
        self.end(job, JobEvent.CANCEL, JobState.CANCELLED)
        return "OK"

    def _pause(self, job: JobRow) -> str:
        if job.state is JobState.PAUSED:
            return "OK"
        if not job.is_live:
            return "JOB_STATE_INVALID"
        if job.wait_reason in ENDLESS_WAITS:
            job.held_until = None
        self.move_job(job, JobEvent.PAUSE, JobState.PAUSED)
        self.stop(job)
        self.record(job, "PAUSED")
        return "OK"

    def _resume(self, job: JobRow) -> str:
        if not job.is_live or (job.state is JobState.PAUSED and job.has_slot):
            return "JOB_STATE_INVALID"
        if job.state is JobState.PENDING and job.wait_reason is WaitReason.NEEDS_HUMAN:
            job.wait_reason = None
            job.held_until = None
            self.record(job, "RESUMED")
            return "OK"
        if job.state is not JobState.PAUSED:
            return "OK"
        self.move_job(job, JobEvent.RESUME, JobState.PENDING)
        if job.held_until is not None and job.held_until <= self.now:
            job.held_until = None
        self.record(job, "RESUMED")
        return "OK"

    def _retry(self, job: JobRow) -> str:
        if job.state not in (JobState.FAILED, JobState.EXPIRED) or job.has_slot:
            return "JOB_STATE_INVALID"
        if not job.is_duplicate and self.twin(job.account, job.product, job.action, job.job_id) is not None:
            return "JOB_EXISTS"
        self.move_job(job, JobEvent.RETRY, JobState.PENDING)
        job.run += 1
        job.failure = None
        job.is_archived = False
        self.sequence += 1
        job.sequence = self.sequence
        job.expire_at = max(job.not_before or self.now, self.now) + EXPIRE_AFTER
        job.held_until = job.not_before if job.not_before is not None and job.not_before > self.now else None
        for task in job.tasks:
            if task.state in (TaskState.FAILED, TaskState.CANCELLED):
                self.move_task(task, TaskEvent.RETRY, TaskState.PENDING)
                task.attempts = task.failures = 0
        job.position = sum(task.state is TaskState.COMPLETED for task in job.tasks)
        self.record(job, "RETRIED")
        return "OK"

    # -- connectors --

    def start(self, bell: Bell, tenant: int, instance_id: UUID, token: UUID) -> Grant | str:
        """Returns what is granted, or why nothing is."""
        instance, found = self.instances[instance_id], self.find(bell.job, bell.task, tenant)
        self.asked.add((self._task(bell).state, TaskEvent.START))
        if found is None:
            return "STALE"
        job, task = found
        if instance.until is None or instance.until <= self.now:
            return "UNAVAILABLE"
        if task.token == token and job.state is JobState.RUNNING:
            task.lease_until = self.now + LEASE
            return self._grant(job, task)
        waits_for_start = task.state is TaskState.PENDING and task.dispatched_at is not None
        if job.state is not JobState.RUNNING or not waits_for_start or task.dispatch != bell.number:
            return "STALE"
        if instance.version != "1":
            return "UNAVAILABLE"
        return self._take_lease(job, task, instance_id, token)

    def _task(self, bell: Bell) -> TaskRow:
        return next(task for task in self.jobs[bell.job].tasks if task.task_id == bell.task)

    def is_awaited(self, bell: Bell) -> bool:
        """Whether the command is the newest of a task that nobody has started."""
        task = self._task(bell)
        return task.dispatched_at is not None and task.dispatch == bell.number

    def _take_lease(self, job: JobRow, task: TaskRow, instance_id: UUID, token: UUID) -> Grant:
        self.move_task(task, TaskEvent.START, TaskState.RUNNING)
        task.attempts += 1
        task.dispatched_at = None
        task.token, task.instance = token, instance_id
        task.lease_until = self.now + LEASE
        task.deadline = self.now + START_TO_CLOSE
        task.started_at = self.next_moment()
        if task.step.once is not None:
            self._begin_effect(job, task)
        self.record(job, "TASK_STARTED", task)
        return self._grant(job, task)

    def _begin_effect(self, job: JobRow, task: TaskRow) -> None:
        key = job.effect_key(task)
        effect = self.effects.get(key)
        if effect is None:
            self.effects[key] = EffectRow("UNRESOLVED", "EXECUTE", 1, task.task_id, self.now)
            return
        if effect.state == "UNRESOLVED":
            effect.mode = "PROBE"
        else:
            effect.mode = "PROBE" if effect.state == "DONE" else "EXECUTE"
            effect.generation += 1
            effect.last_send = None
        effect.state = "UNRESOLVED"
        effect.task = task.task_id

    def _grant(self, job: JobRow, task: TaskRow) -> Grant:
        outputs = tuple((t.step.name, t.output) for t in job.tasks if t.state is TaskState.COMPLETED)
        granted = None
        if task.step.once is not None:
            effect = self.effects[job.effect_key(task)]
            remaining = 0
            if effect.mode == "PROBE" and effect.last_send is not None:
                remaining = max(0, effect.last_send + SETTLE - self.now)
            granted = EffectGrant(effect.mode, effect.generation, effect.remote_id, remaining)
        return Grant(task.step.name, task.attempts, outputs, granted)

    def heartbeat(self, instance_id: UUID, job_id: UUID, task_id: UUID, token: UUID) -> tuple[str, bool]:
        """Returns the directive, and whether the instance must register again."""
        instance = self.instances[instance_id]
        must_register = instance.until is None or instance.until <= self.now
        if not must_register:
            instance.until = self.now + REGISTRATION
        # A lease's token is its right; it names no tenant.
        found = self.find(job_id, task_id, self.jobs[job_id].tenant)
        if found is None or found[1].token != token:
            return "LEASE_LOST", must_register
        job, task = found
        if job.state is JobState.RUNNING:
            task.lease_until = self.now + LEASE
            return "CONTINUE", must_register
        return ("PAUSE" if job.state is JobState.PAUSED else "CANCEL"), must_register

    def report(
        self,
        bell: Bell,
        tenant: int,
        instance_id: UUID,
        token: UUID,
        outcome: Outcome,
        *,
        next_token: UUID | None,
        yields: bool,
    ) -> tuple[str, Grant | None]:
        """Returns ACCEPTED, STALE_LEASE or INVALID, and the job's next task if that begins as well."""
        job, task = self.jobs[bell.job], self._task(bell)
        self._ask_report(job, task, outcome)
        if job.tenant != tenant:
            return "STALE_LEASE", None
        if task.accepted == token:
            return "ACCEPTED", self._grant_again(job, task, next_token)
        if task.token != token:
            self._keep_late_effect(job, task, outcome)
            return "STALE_LEASE", None
        is_success = outcome.error_class is None
        if task.step.once is not None and is_success and not outcome.remote_id:
            return "INVALID", None
        if task.step.once is not None:
            self._settle_effect(job, task, outcome)
        if not is_success:
            self.fail(job, task, outcome, f"CODE_{outcome.error_class}")
            return "ACCEPTED", None
        task.output = outcome.output or task.output
        following = self.succeed(job, task, yields)
        if following is None:
            return "ACCEPTED", None
        instance = self.instances[instance_id]
        is_registered = instance.until is not None and instance.until > self.now
        if next_token is None or not is_registered or instance.version != "1":
            self.ring(job, following)
            return "ACCEPTED", None
        return "ACCEPTED", self._take_lease(job, following, instance_id, next_token)

    def _ask_report(self, job: JobRow, task: TaskRow, outcome: Outcome) -> None:
        if outcome.error_class is None:
            self.asked.add((task.state, TaskEvent.COMPLETE))
            if task is job.tasks[-1]:
                self.asked.add((job.state, JobEvent.COMPLETE))
        elif outcome.error_class == "PERMANENT":
            self.asked |= {(task.state, TaskEvent.FAIL), (job.state, JobEvent.FAIL)}
        else:
            self.asked |= {(task.state, TaskEvent.TRY_AGAIN), (job.state, JobEvent.WAIT)}

    def _grant_again(self, job: JobRow, task: TaskRow, next_token: UUID | None) -> Grant | None:
        following = next((t for t in job.tasks if t.position == task.position + 1), None)
        if next_token is None or following is None or job.state is not JobState.RUNNING:
            return None
        if following.token != next_token:
            return None
        following.lease_until = self.now + LEASE
        return self._grant(job, following)

    def _settle_effect(self, job: JobRow, task: TaskRow, outcome: Outcome) -> None:
        effect = self.effects[job.effect_key(task)]
        if outcome.error_class is None:
            effect.state = "DONE"
            effect.remote_id = outcome.remote_id
        elif outcome.effect != "NOT_SENT":
            effect.last_send = self.now
        elif effect.mode == "EXECUTE":
            # A probing attempt that sent nothing proves nothing about the one before it.
            effect.state = "NOT_SENT"

    def _keep_late_effect(self, job: JobRow, task: TaskRow, outcome: Outcome) -> None:
        if task.step.once is None or outcome.error_class is not None or not outcome.remote_id:
            return
        effect = self.effects.get(job.effect_key(task))
        if effect is None or effect.state == "DONE":
            return
        if effect.state == "NOT_SENT":
            effect.state = "UNRESOLVED"
            effect.last_send = self.now
        elif effect.remote_id == outcome.remote_id:
            return
        effect.mode = "PROBE"
        effect.remote_id = outcome.remote_id

    def release(self, job_id: UUID, task_id: UUID, token: UUID) -> None:
        """Gives a lease back."""
        found = self.find(job_id, task_id, self.jobs[job_id].tenant)
        if found is None or found[1].token != token:
            return
        job, task = found
        if task.step.once is not None:
            self.effects[job.effect_key(task)].last_send = self.now
        goes_on = job.state is JobState.RUNNING
        if job.is_live:
            self.end_attempt(job, task, TaskEvent.TRY_AGAIN, TaskState.PENDING)
        else:
            self.end_attempt(job, task, TaskEvent.CANCEL, TaskState.CANCELLED)
        task.accepted = None
        self.record(job, "TASK_RELEASED", task)
        if goes_on:
            self.ring(job, task)

    # -- the rest --

    def reconnect(self) -> None:
        """Opens every account."""
        for account in self.accounts:
            self.accounts[account] = True
            self.connected_at[account] = self.next_moment()

    def archive(self) -> None:
        """Moves what has ended and holds no slot to the tenant's history."""
        for job in self.jobs.values():
            if not job.is_live and not job.has_slot:
                job.is_archived = True

    def crash(self) -> None:
        """Only hints are lost: nothing else lives in memory."""
        self.left_waiting.clear()
