"""The double's state and its rules for leases, effects and retries; no I/O."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from google.protobuf.struct_pb2 import Struct
from stoflow.catalog.v1 import listing_pb2
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as pb
from stoflow.connector.v1 import manifest_pb2, task_pb2

from stoflow_service_kit.structs import fill_struct

JobState = Literal["RUNNING", "COMPLETED", "FAILED", "WAITING", "CANCELLED", "PAUSED"]
TaskState = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED"]

_DIRECTIVES: Mapping[str, pb.TaskDirective.ValueType] = {
    "CANCELLED": pb.TASK_DIRECTIVE_CANCEL,
    "PAUSED": pb.TASK_DIRECTIVE_PAUSE,
}


@dataclass(eq=False)
class EffectRecord:
    """One ONCE effect; `settled` means that the next attempt need not probe."""

    key: str
    generation: int = 1
    is_settled: bool = True
    remote_id: str = ""
    last_send: float = 0.0


@dataclass(eq=False)
class TaskRecord:
    """One step; `accepted` holds the reports that changed its state, `stale` those that did not."""

    task_id: str
    spec: manifest_pb2.TaskSpec
    item_index: int | None
    state: TaskState = "PENDING"
    attempt: int = 0
    dispatch: int = 0
    lease_token: str = ""
    lease_end: float = 0.0
    input: Struct | None = None
    output: Struct | None = None
    effect: EffectRecord | None = None
    accepted: list[task_pb2.TaskReport] = field(default_factory=list)
    stale: list[task_pb2.TaskReport] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)


@dataclass(eq=False)
class JobRecord:
    """One job and its steps."""

    job_id: str
    tenant_id: int
    account_id: str
    action: str
    site: str
    options: Mapping[str, Any]
    account_settings: Mapping[str, Any]
    product: task_pb2.ProductSnapshot | None
    max_retries: int
    tasks: list[TaskRecord] = field(default_factory=list)
    follow_ups: dict[str, manifest_pb2.TaskSpec] = field(default_factory=dict)
    state: JobState = "RUNNING"
    create_time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def task(self, name: str, item_index: int | None = None) -> TaskRecord:
        """Returns a step.

        Raises:
            LookupError: The job has no such step.
        """
        for task in self.tasks:
            if task.spec.name == name and task.item_index == item_index:
                return task
        raise LookupError(f"job {self.job_id} has no step {name!r} {item_index}")


class Ledger:
    """Jobs, leases and effects."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        lease_seconds: float,
        publish: Callable[[task_pb2.TaskCommand], None],
    ) -> None:
        self.jobs: dict[str, JobRecord] = {}
        self.effects: dict[str, EffectRecord] = {}
        # By account: site and last change of every listing that results spoke of.
        self.account_listings: dict[str, dict[str, tuple[str, task_pb2.ListingChange]]] = {}
        self.listings: dict[tuple[str, str], dict[str, task_pb2.ProductListing]] = {}
        self.unavailable_seconds: dict[str, float] = {}
        self.lease_seconds = lease_seconds
        self.on_change: Callable[[], None] = lambda: None
        self._monotonic = monotonic
        self._publish = publish
        self._by_task: dict[str, tuple[JobRecord, TaskRecord]] = {}

    def add(self, job: JobRecord, action: manifest_pb2.ActionSpec) -> None:
        """Expands an action's steps into a job and dispatches the first."""
        images = len(job.product.product.images) if job.product is not None else 0
        job.follow_ups = {spec.name: spec for spec in action.tasks if spec.follow_up}
        for spec in action.tasks:
            if spec.follow_up:
                continue
            for index in range(images) if spec.for_each else (None,):
                task = TaskRecord(str(uuid.uuid4()), spec, index)
                job.tasks.append(task)
                self._by_task[task.task_id] = (job, task)
        self.jobs[job.job_id] = job
        self.dispatch_next(job)

    def dispatch_next(self, job: JobRecord) -> None:
        """Publishes the command of the first step that is not done, or ends the job."""
        for task in job.tasks:
            if task.state != "COMPLETED":
                task.dispatch += 1
                self._publish(
                    task_pb2.TaskCommand(
                        tenant_id=job.tenant_id,
                        job_id=job.job_id,
                        task_id=task.task_id,
                        dispatch=task.dispatch,
                    )
                )
                return
        job.state = "COMPLETED"

    def take_lease_away(self, task: TaskRecord) -> None:
        """Does what the reaper does to a lease that ran out."""
        job, _ = self._by_task[task.task_id]
        self._end_attempt(task)
        task.state = "PENDING"
        self.dispatch_next(job)

    def start(self, start: pb.TaskStart) -> pb.TaskStartResult:
        """Decides one start."""
        result = pb.TaskStartResult(task_id=start.command.task_id, lease_token=start.lease_token)
        job, task = self._by_task.get(start.command.task_id, (None, None))
        if job is None or task is None:
            result.decision = pb.START_DECISION_STALE
        elif task.state == "RUNNING" and task.lease_token == start.lease_token:
            self._grant(job, task, result)
        elif job.state != "RUNNING" or task.state != "PENDING" or task.dispatch != start.command.dispatch:
            result.decision = pb.START_DECISION_STALE
        elif (delay := self.unavailable_seconds.pop(task.task_id, None)) is not None:
            result.decision = pb.START_DECISION_UNAVAILABLE
            result.retry_delay.FromNanoseconds(int(delay * 1e9))
        else:
            self._take(job, task, result)
        return result

    def _take(self, job: JobRecord, task: TaskRecord, result: pb.TaskStartResult) -> None:
        task.state = "RUNNING"
        task.attempt += 1
        task.lease_token = result.lease_token
        self._grant(job, task, result)

    def _grant(self, job: JobRecord, task: TaskRecord, result: pb.TaskStartResult) -> None:
        now = self._monotonic()
        task.lease_end = now + self.lease_seconds
        result.decision = pb.START_DECISION_GRANTED
        assignment = result.assignment
        assignment.name = task.spec.name
        assignment.action = job.action
        assignment.attempt = task.attempt
        assignment.site = job.site
        if task.item_index is not None:
            assignment.item_index = task.item_index
        assignment.lease.FromNanoseconds(int(self.lease_seconds * 1e9))
        assignment.start_to_close_timeout.CopyFrom(task.spec.start_to_close_timeout)
        assignment.account.account_id = job.account_id
        if job.account_settings:
            fill_struct(assignment.account.settings, job.account_settings)
        if job.options:
            fill_struct(assignment.options, job.options)
        if job.product is not None:
            assignment.product.CopyFrom(job.product)
        if task.input is not None:
            assignment.input.CopyFrom(task.input)
        for earlier in job.tasks:
            if earlier.output is not None:
                entry = assignment.outputs.add(name=earlier.spec.name, output=earlier.output)
                if earlier.item_index is not None:
                    entry.item_index = earlier.item_index
        if task.spec.HasField("once"):
            self._grant_effect(job, task, assignment.effect, now)

    def _grant_effect(
        self, job: JobRecord, task: TaskRecord, grant: task_pb2.EffectGrant, now: float
    ) -> None:
        product = job.product.product.product_id if job.product is not None else job.job_id
        key = f"{job.account_id}/{product}/{job.site}/{task.spec.once.name}"
        effect = task.effect = self.effects.setdefault(key, EffectRecord(key))
        grant.key, grant.generation, grant.remote_id = effect.key, effect.generation, effect.remote_id
        if effect.is_settled and not effect.remote_id:
            grant.mode = task_pb2.EFFECT_MODE_EXECUTE
        else:
            grant.mode = task_pb2.EFFECT_MODE_PROBE
            settle = task.spec.once.settle.ToNanoseconds() / 1e9
            remaining = 0.0 if effect.is_settled else max(effect.last_send + settle - now, 0.0)
            grant.settle_remaining.FromNanoseconds(int(remaining * 1e9))
        effect.is_settled = False
        effect.last_send = max(effect.last_send, now)
        task.modes.append(task_pb2.EffectMode.Name(grant.mode).removeprefix("EFFECT_MODE_"))

    def heartbeat(self, lease: pb.TaskLease) -> pb.TaskHeartbeatResult:
        """Extends one lease."""
        result = pb.TaskHeartbeatResult(task_id=lease.task_id, directive=pb.TASK_DIRECTIVE_LEASE_LOST)
        job, task = self._by_task.get(lease.task_id, (None, None))
        if job is None or task is None or task.state != "RUNNING" or task.lease_token != lease.lease_token:
            return result
        result.directive = _DIRECTIVES.get(job.state, pb.TASK_DIRECTIVE_CONTINUE)
        if result.directive == pb.TASK_DIRECTIVE_CONTINUE:
            task.lease_end = self._monotonic() + self.lease_seconds
        return result

    def report(self, report: task_pb2.TaskReport, *, may_go_on: bool = True) -> pb.TaskReportResult:
        """Decides one report; whoever may not go on gets no grant of the next step."""
        result = pb.TaskReportResult(task_id=report.task_id, decision=pb.REPORT_DECISION_ACCEPTED)
        job, task = self._by_task.get(report.task_id, (None, None))
        if job is None or task is None:
            result.decision = pb.REPORT_DECISION_STALE_LEASE
        elif any(earlier.lease_token == report.lease_token for earlier in task.accepted):
            self._grant_next_again(job, report, result)
        elif task.state != "RUNNING" or task.lease_token != report.lease_token:
            result.decision = pb.REPORT_DECISION_STALE_LEASE
            task.stale.append(report)
        elif report.HasField("success") and task.spec.HasField("once") and not report.success.remote_id:
            result.decision = pb.REPORT_DECISION_INVALID
            result.message = "a ONCE task needs a remote_id"
        elif unknown := {entry.name for entry in report.success.follow_ups} - set(job.follow_ups):
            result.decision = pb.REPORT_DECISION_INVALID
            result.message = f"no such steps to append: {sorted(unknown)}"
        else:
            task.accepted.append(report)
            if self._apply(job, task, report):
                if report.next_lease_token and may_go_on and not report.success.follow_ups:
                    self._grant_next(job, report, result)
                else:
                    self.dispatch_next(job)
        self.on_change()
        return result

    def _grant_next(self, job: JobRecord, report: task_pb2.TaskReport, result: pb.TaskReportResult) -> None:
        following = next((task for task in job.tasks if task.state != "COMPLETED"), None)
        if following is None:
            job.state = "COMPLETED"
            return
        result.next.task_id, result.next.lease_token = following.task_id, report.next_lease_token
        self._take(job, following, result.next)

    def _grant_next_again(
        self, job: JobRecord, report: task_pb2.TaskReport, result: pb.TaskReportResult
    ) -> None:
        for task in job.tasks:
            if task.state == "RUNNING" and task.lease_token == report.next_lease_token:
                result.next.task_id, result.next.lease_token = task.task_id, task.lease_token
                self._grant(job, task, result.next)

    def _apply(self, job: JobRecord, task: TaskRecord, report: task_pb2.TaskReport) -> bool:
        """Applies a result; returns whether the job goes on with its next step."""
        self._end_attempt(task)
        if report.HasField("success"):
            task.state = "COMPLETED"
            task.output = report.success.output
            if report.success.HasField("listing") and job.product is not None:
                self._keep_listing(job, report.success.listing)
                self._keep_account_listing(job, report.success.listing)
            for found in report.success.found_listings:
                self._keep_account_listing(job, found)
            self._append(job, task, report.success)
            if task.effect is not None:
                task.effect.is_settled = True
                task.effect.remote_id = report.success.remote_id
            return job.state == "RUNNING"
        failure = report.failure
        task.state = "PENDING"
        if task.effect is not None and failure.effect_outcome == failure_pb2.EFFECT_OUTCOME_NOT_SENT:
            task.effect.is_settled = True
        if job.state != "RUNNING":
            return False
        if failure.error_class == failure_pb2.ERROR_CLASS_RETRYABLE and task.attempt <= job.max_retries:
            self.dispatch_next(job)
        elif failure.error_class in {failure_pb2.ERROR_CLASS_RETRYABLE, failure_pb2.ERROR_CLASS_PERMANENT}:
            task.state = job.state = "FAILED"
        else:
            job.state = "WAITING"
        return False

    def _append(self, job: JobRecord, task: TaskRecord, success: task_pb2.TaskSuccess) -> None:
        position = job.tasks.index(task) + 1
        for offset, entry in enumerate(success.follow_ups):
            index = entry.item_index if entry.HasField("item_index") else None
            follower = TaskRecord(str(uuid.uuid4()), job.follow_ups[entry.name], index)
            follower.input = entry.input if entry.HasField("input") else None
            job.tasks.insert(position + offset, follower)
            self._by_task[follower.task_id] = (job, follower)

    def release(self, lease: pb.TaskLease) -> bool:
        """Takes one lease back without burning a retry; tells whether it was held."""
        job, task = self._by_task.get(lease.task_id, (None, None))
        if job is None or task is None or task.state != "RUNNING" or task.lease_token != lease.lease_token:
            return False
        self._end_attempt(task)
        task.attempt -= 1
        task.state = "PENDING"
        if job.state == "RUNNING":
            self.dispatch_next(job)
        self.on_change()
        return True

    def listings_for(self, job: JobRecord) -> list[task_pb2.ProductListing]:
        """Returns what results said of the listings of a job's product on its account, newest product first."""
        if job.product is None:
            return []
        found = self.listings.get((job.account_id, job.product.product.product_id), {})
        return sorted(found.values(), key=lambda listing: -listing.product_version)

    def _keep_listing(self, job: JobRecord, change: task_pb2.ListingChange) -> None:
        assert job.product is not None  # noqa: S101 - for the type checker
        product = job.product.product
        known = self.listings.setdefault((job.account_id, product.product_id), {})
        listing = known.setdefault(change.remote_id, task_pb2.ProductListing(remote_id=change.remote_id))
        is_over = change.state in {listing_pb2.LISTING_STATE_ENDED, listing_pb2.LISTING_STATE_SOLD}
        if product.version < listing.product_version and not is_over:
            return
        listing.site, listing.state = job.site, change.state
        listing.url = change.url or listing.url
        listing.product_version = max(product.version, listing.product_version)
        if change.HasField("notes"):
            listing.notes.CopyFrom(change.notes)

    def _keep_account_listing(self, job: JobRecord, change: task_pb2.ListingChange) -> None:
        known = self.account_listings.setdefault(job.account_id, {})
        sku = change.sku or (job.product.product.content.sku if job.product is not None else "")
        site, before = known.get(change.remote_id, (job.site, change))
        kept = task_pb2.ListingChange()
        kept.CopyFrom(change)
        kept.sku = sku or before.sku
        known[change.remote_id] = (site, kept)

    def live_listings(self, job: JobRecord) -> list[task_pb2.ListingChange]:
        """Returns the LIVE listings of a job's account on its site, by remote id."""
        known = self.account_listings.get(job.account_id, {})
        return [
            change
            for _, (site, change) in sorted(known.items())
            if change.state == listing_pb2.LISTING_STATE_LIVE and job.site in ("", site)
        ]

    def last_completed(self, job: JobRecord) -> datetime | None:
        """Returns when the newest completed job of the same account, action and site was created."""
        subject = (job.account_id, job.action, job.site)
        ended = (one for one in self.jobs.values() if one.state == "COMPLETED")
        times = (one.create_time for one in ended if (one.account_id, one.action, one.site) == subject)
        return max(times, default=None)

    def holds(self, job_id: str, task_id: str, lease_token: str) -> JobRecord | None:
        """Returns the job when this lease is held."""
        job, task = self._by_task.get(task_id, (None, None))
        if job is None or task is None or job.job_id != job_id:
            return None
        return job if task.state == "RUNNING" and task.lease_token == lease_token else None

    def _end_attempt(self, task: TaskRecord) -> None:
        if task.effect is not None:
            task.effect.last_send = self._monotonic()
        task.lease_token = ""
