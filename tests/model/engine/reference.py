"""The reference: what must become of jobs and tasks, as plainly as it can be said.

It imports the enums of the life cycles and nothing else of the engine.
"""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from stoflow_orchestrator.lifecycle import JobEvent, JobState, TaskEvent, TaskState, WaitReason
from tests.model.engine.rows import (
    DISPATCH_TIMEOUT,
    FOREVER,
    RATE_LIMITED,
    RETRY_BASE,
    RETRY_CAP,
    Bell,
    EffectKey,
    EffectRow,
    Entry,
    InstanceRow,
    JobRow,
    Outcome,
    TaskRow,
)

Pair = tuple[JobState, JobEvent] | tuple[TaskState, TaskEvent]
TERMINAL_TASKS = (TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED)


class Reference:
    """One marketplace's jobs, effects, connectors and accounts, and the moves between their states."""

    def __init__(self, accounts: dict[UUID, int | None], instances: dict[UUID, InstanceRow]) -> None:
        """Takes accounts with their limits of admitted jobs, and connector instances."""
        self.now = 0
        self.jobs: dict[UUID, JobRow] = {}
        self.effects: dict[EffectKey, EffectRow] = {}
        self.accounts = dict.fromkeys(accounts, True)
        self.limits = accounts
        # Moments order what happens while no time passes.
        self.moment = 0
        self.connected_at = dict.fromkeys(accounts, 0)
        self.instances = instances
        self.bells: Counter[Bell] = Counter()
        self.directives: Counter[UUID] = Counter()
        self.facts: dict[str, str] = {}
        # What has happened in which state: what was asked for, and what came of it.
        self.asked: set[Pair] = set()
        self.taken: set[Pair] = set()
        # Priorities that found no slot in the last pass; None when no pass was made since the last crash.
        self.left_waiting: Counter[int] = Counter()
        self.sequence = 0

    def next_moment(self) -> int:
        """Returns a number greater than every one before."""
        self.moment += 1
        return self.moment

    # -- finding --

    def find(self, job_id: UUID, task_id: UUID, tenant: int) -> tuple[JobRow, TaskRow] | None:
        """Returns a live row of the tenant's."""
        job = self.jobs.get(job_id)
        if job is None or job.is_archived or job.tenant != tenant:
            return None
        return next(((job, task) for task in job.tasks if task.task_id == task_id), None)

    def twin(self, account: UUID, product: UUID | None, action: str, but: UUID | None = None) -> UUID | None:
        """Returns the live job with this subject."""
        for job in self.jobs.values():
            same = (job.account, job.product, job.action) == (account, product, action)
            if same and job.is_live and not job.is_duplicate and job.job_id != but:
                return job.job_id
        return None

    # -- moves --

    def record(self, job: JobRow, type_: str, task: TaskRow | None = None) -> None:
        position, attempt = (None, 0) if task is None else (task.position, task.attempts)
        job.history.append(Entry(type_, job.state.value, job.wait_reason, position, attempt))

    def move_job(self, job: JobRow, event: JobEvent, to: JobState) -> None:
        self.taken.add((job.state, event))
        job.state = to
        job.wait_reason = None

    def move_task(self, task: TaskRow, event: TaskEvent, to: TaskState) -> None:
        self.taken.add((task.state, event))
        task.state = to

    def ring(self, job: JobRow, task: TaskRow) -> None:
        task.dispatch += 1
        task.dispatched_at = self.now
        if task.step.start_within is not None and task.deadline is None:
            task.deadline = self.now + task.step.start_within
        self.bells[Bell(job.tenant, job.job_id, task.task_id, task.dispatch)] += 1

    def wait(
        self, job: JobRow, reason: WaitReason, until: int, task: TaskRow | None, failure: str | None = None
    ) -> None:
        self.move_job(job, JobEvent.WAIT, JobState.PENDING)
        job.wait_reason = reason
        job.held_until = until
        job.has_slot = False
        job.failure = failure or job.failure
        if task is not None:
            task.dispatched_at = task.deadline = None
        self.record(job, "WAITING", task)

    def end(self, job: JobRow, event: JobEvent, to: JobState, failure: str | None = None) -> None:
        """Ends the run; a running attempt keeps the slot and is told to stop."""
        self.move_job(job, event, to)
        job.failure = failure or job.failure
        self.stop(job)
        for task in job.tasks:
            if task.state is TaskState.PENDING:
                self.move_task(task, TaskEvent.CANCEL, TaskState.CANCELLED)
        self.record(job, to.value)
        fact = f"run:{job.job_id}:{job.run}"
        assert fact not in self.facts, "a run ends once"
        self.facts[fact] = to.value

    def stop(self, job: JobRow) -> None:
        task = job.current
        if task is not None and task.instance is not None:
            self.directives[task.instance] += 1
            return
        if task is not None:
            task.dispatched_at = task.deadline = None
        job.has_slot = False

    def end_attempt(self, job: JobRow, task: TaskRow, event: TaskEvent, to: TaskState) -> None:
        self.move_task(task, event, to)
        task.accepted = task.token or task.accepted
        task.token = task.instance = None
        task.lease_until = task.deadline = task.dispatched_at = None
        if job.state is not JobState.RUNNING:
            job.has_slot = False

    def attempt_fact(self, job: JobRow, task: TaskRow, outcome: str) -> None:
        fact = f"attempt:{task.task_id}:{job.run}:{task.attempts}"
        assert fact not in self.facts, "an attempt's result is accepted once"
        self.facts[fact] = outcome

    def succeed(self, job: JobRow, task: TaskRow, yields: bool) -> TaskRow | None:
        """Goes on after a completed task; returns the one that is to begin now."""
        self.end_attempt(job, task, TaskEvent.COMPLETE, TaskState.COMPLETED)
        self.record(job, "TASK_COMPLETED", task)
        self.attempt_fact(job, task, "COMPLETED")
        job.position = task.position + 1
        if not job.is_live:
            return None
        following = job.current
        if following is None:
            job.failure = None
            self.end(job, JobEvent.COMPLETE, JobState.COMPLETED)
        elif job.state is JobState.RUNNING and not yields:
            return following
        elif job.state is JobState.RUNNING:
            self.give_way(job)
        return None

    def give_way(self, job: JobRow) -> None:
        better = [
            priority for priority, count in self.left_waiting.items() if priority < job.priority and count
        ]
        assert better, "a job gives way only to one of higher priority that found no slot"
        self.left_waiting[min(better)] -= 1
        self.move_job(job, JobEvent.WAIT, JobState.PENDING)
        job.has_slot = False
        job.held_until = None
        self.record(job, "YIELDED")

    def fail(self, job: JobRow, task: TaskRow, outcome: Outcome, code: str) -> None:
        """Ends a failed attempt and decides what follows from its class."""
        kind = outcome.error_class
        if not job.is_live:
            self.end_attempt(job, task, TaskEvent.CANCEL, TaskState.CANCELLED)
            self.record(job, "TASK_FAILED", task)
            self.attempt_fact(job, task, "FAILED")
            return
        if kind == "RETRYABLE" and job.state is JobState.RUNNING:
            task.failures += 1
        if kind == "PERMANENT" or (kind == "RETRYABLE" and task.failures > job.max_retries):
            self.end_attempt(job, task, TaskEvent.FAIL, TaskState.FAILED)
            self.record(job, "TASK_FAILED", task)
            self.attempt_fact(job, task, "FAILED")
            self.end(job, JobEvent.FAIL, JobState.FAILED, code)
            return
        self.end_attempt(job, task, TaskEvent.TRY_AGAIN, TaskState.PENDING)
        self.record(job, "TASK_RETRIED", task)
        self.attempt_fact(job, task, "RETRIED")
        # What was refused before the account was connected again says nothing.
        if kind == "AUTH_REQUIRED" and self.connected_at[job.account] < task.started_at:
            self.accounts[job.account] = False
        if job.state is JobState.PAUSED:
            job.failure = code
            if outcome.retry_after is not None:
                # A job that is ready has been held until some moment of the past.
                job.held_until = max(job.held_until or 0, self.now + outcome.retry_after)
            return
        self._wait_after(job, task, outcome, code)

    def _wait_after(self, job: JobRow, task: TaskRow, outcome: Outcome, code: str) -> None:
        asked = outcome.retry_after or 0
        if outcome.error_class == "RETRYABLE":
            delay = max(asked, min(RETRY_CAP, RETRY_BASE * 2 ** (task.failures - 1)))
            self.wait(job, WaitReason.RETRY_BACKOFF, self.now + delay, task, code)
        elif outcome.error_class == "RATE_LIMITED":
            self.wait(job, WaitReason.RATE_LIMITED, self.now + (asked or RATE_LIMITED), task, code)
        elif outcome.error_class == "AUTH_REQUIRED":
            self.wait(job, WaitReason.ACCOUNT_RECONNECT_REQUIRED, self.now + FOREVER, task, code)
        else:
            self.wait(job, WaitReason.NEEDS_HUMAN, self.now + FOREVER, task, code)

    # -- admission --

    def admit(self) -> None:
        """Gives every slot away that may be given."""
        self.asked.update((job.state, JobEvent.ADMIT) for job in self.jobs.values())
        while self._admit_once():
            pass

    def _admit_once(self) -> bool:
        capacity = sum(i.slots for i in self.instances.values() if i.until is not None and i.until > self.now)
        kept = max(1, capacity // 10) if capacity > 1 else 0
        admitted = [job for job in self.jobs.values() if job.has_slot]
        free = capacity - len(admitted)
        ordinary = capacity - kept - sum(job.priority > 1 for job in admitted)
        rooms: dict[UUID, int] = {
            account: limit - sum(job.account == account for job in admitted)
            for account, limit in self.limits.items()
            if limit is not None
        }
        left: Counter[int] = Counter()
        chosen = []
        for job in sorted(filter(self._may_run, self.jobs.values()), key=lambda j: (j.priority, j.sequence)):
            if rooms.get(job.account, 1) <= 0:
                continue
            if free <= 0 or (job.priority > 1 and ordinary <= 0):
                left[job.priority] += 1
                continue
            free -= 1
            ordinary -= job.priority > 1
            if job.account in rooms:
                rooms[job.account] -= 1
            chosen.append(job)
        self.left_waiting = left
        for job in chosen:
            self._give_slot(job)
        return bool(chosen)

    def _may_run(self, job: JobRow) -> bool:
        if job.state is not JobState.PENDING or job.held_until is not None or job.expire_at <= self.now:
            return False
        if not self.accounts[job.account]:
            return False
        others = [o for o in self.jobs.values() if o is not job and self._same_product(o, job)]
        return not any(o.has_slot or (o.is_live and o.sequence < job.sequence) for o in others)

    @staticmethod
    def _same_product(one: JobRow, other: JobRow) -> bool:
        # Jobs without a product wait for those that do the same.
        same_action = one.product is not None or one.action == other.action
        return same_action and (one.account, one.product) == (other.account, other.product)

    def _give_slot(self, job: JobRow) -> None:
        self.move_job(job, JobEvent.ADMIT, JobState.RUNNING)
        job.has_slot = True
        task = job.current
        self.record(job, "ADMITTED", task)
        if task is None:
            self.end(job, JobEvent.COMPLETE, JobState.COMPLETED)
        else:
            self.ring(job, task)

    # -- time --

    def tick(self) -> None:
        """Everything that time alone makes due, in the order in which the reaper does it."""
        now, live = self.now, [job for job in self.jobs.values() if not job.is_archived]
        expired = [job for job in live if job.is_live and job.expire_at <= now]
        lost = [(job, task) for job in live for task in job.tasks if self.is_lost(task)]
        unstarted = [
            (job, task)
            for job in live
            for task in job.tasks
            if task.dispatched_at is not None and task.dispatched_at + DISPATCH_TIMEOUT <= now
        ]
        late = [(job, task) for job in live for task in job.tasks if self.is_late(task)]
        for job in live:
            if job.state is not JobState.PENDING:
                continue
            waits_for_account = job.wait_reason is WaitReason.ACCOUNT_RECONNECT_REQUIRED
            waits_for_connector = job.wait_reason is WaitReason.CONNECTOR_UNAVAILABLE
            if (waits_for_account and self.accounts[job.account]) or (
                waits_for_connector and self.has_connector
            ):
                job.wait_reason = None
                job.held_until = None
            elif job.held_until is not None and job.held_until <= now:
                job.held_until = None
                if job.wait_reason in (WaitReason.RETRY_BACKOFF, WaitReason.RATE_LIMITED):
                    job.wait_reason = None
        for job in expired:
            self.expire(job)
        for job, task in lost:
            self.lose(job, task)
        for job, task in late:
            self.time_out_start(job, task)
        for job, task in unstarted:
            self.ring_again(job, task)

    def is_lost(self, task: TaskRow) -> bool:
        """Whether the lease or the deadline of a running attempt is over."""
        if task.lease_until is None or task.deadline is None:
            return False
        return min(task.lease_until, task.deadline) <= self.now

    def is_late(self, task: TaskRow) -> bool:
        """Whether a dispatched task should have been started by now."""
        return task.dispatched_at is not None and task.deadline is not None and task.deadline <= self.now

    def time_out_start(self, job: JobRow, task: TaskRow) -> None:
        if job.state is JobState.RUNNING and self.is_late(task):
            task.attempts += 1
            self.fail(job, task, Outcome("RETRYABLE"), "SCHEDULE_TO_START_TIMEOUT")

    @property
    def has_connector(self) -> bool:
        """Whether anybody could run a task."""
        return any(
            i.until is not None and i.until > self.now and i.slots and i.version == "1"
            for i in self.instances.values()
        )

    def find_again(self, job_id: UUID, task_id: UUID) -> None:
        """Everything that the reaper may ever have found of a task is decided again."""
        job = self.jobs[job_id]
        task = next(task for task in job.tasks if task.task_id == task_id)
        self.asked.add((task.state, TaskEvent.TRY_AGAIN))
        if job.expire_at <= self.now:
            self.asked.add((job.state, JobEvent.EXPIRE))
        if not job.is_archived:
            self.lose(job, task)
            self.time_out_start(job, task)
            self.ring_again(job, task)
            self.expire(job)

    def expire(self, job: JobRow) -> None:
        if job.is_live and job.expire_at <= self.now:
            self.end(job, JobEvent.EXPIRE, JobState.EXPIRED, "JOB_EXPIRED")

    def lose(self, job: JobRow, task: TaskRow) -> None:
        if not self.is_lost(task):
            return
        assert task.lease_until is not None
        code = "LEASE_EXPIRED" if task.lease_until <= self.now else "START_TO_CLOSE_TIMEOUT"
        if task.step.once is not None:
            self.effects[job.effect_key(task)].last_send = task.lease_until
        self.fail(job, task, Outcome("RETRYABLE"), code)
        # Nothing was accepted under this lease.
        task.accepted = None

    def ring_again(self, job: JobRow, task: TaskRow) -> None:
        is_due = task.dispatched_at is not None and task.dispatched_at + DISPATCH_TIMEOUT <= self.now
        if job.state is not JobState.RUNNING or not is_due:
            return
        if self.has_connector:
            self.ring(job, task)
        else:
            self.wait(job, WaitReason.CONNECTOR_UNAVAILABLE, self.now + FOREVER, task)
