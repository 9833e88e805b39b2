"""A connector hands in the result of an attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.events.v1 import event_pb2

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.changes import Changes, Findings, ListingUpdate, connector_actor
from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.failing import fail_attempt
from stoflow_orchestrator.engine.follow_ups import append_follow_ups, follow_up_problem
from stoflow_orchestrator.engine.leasing import extend_lease, fill_grant, take_lease
from stoflow_orchestrator.engine.records import Job, Output, Task, base_version, effect_key
from stoflow_orchestrator.lifecycle import JobState, TaskEvent, TaskState
from stoflow_service_kit.structs import struct_to_json

MAX_OUTPUT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ReportTask(Command[rpc.TaskReportResult]):
    """Decides ACCEPTED, STALE_LEASE or INVALID; ACCEPTED moves the task and its job."""

    needs_next_task: ClassVar[bool] = True

    instance_id: UUID
    tenant_id: int
    job: UUID
    task_id: UUID
    lease_token: UUID
    report: task_pb2.TaskReport
    retry: RetryPolicy
    # With both of these the job's next task is started in the same step.
    next_lease_token: UUID | None = None
    lease: timedelta = timedelta(0)

    @property
    def job_id(self) -> UUID:
        return self.job

    @property
    def names_task(self) -> UUID:
        return self.task_id

    @property
    def names_instance(self) -> UUID | None:
        return None if self.next_lease_token is None else self.instance_id

    @property
    def needs_outputs(self) -> bool:
        return self.next_lease_token is not None

    @property
    def appends_tasks(self) -> bool:
        return bool(self.report.success.follow_ups)

    def _belongs(self, job: Job, task: Task) -> bool:
        return task.job_id == job.job_id and job.tenant_id == self.tenant_id

    def decide(self, changes: Changes) -> rpc.TaskReportResult:
        result = rpc.TaskReportResult(task_id=self.report.task_id, decision=rpc.REPORT_DECISION_STALE_LEASE)
        job, task = changes.jobs.get(self.job), changes.tasks.get(self.task_id)
        if job is None or task is None or not self._belongs(job, task):
            return result
        if task.accepted_token == self.lease_token:
            # The same report again: its answer was lost.
            result.decision = rpc.REPORT_DECISION_ACCEPTED
            self._start_again(changes, job, task, result)
        elif task.state is not TaskState.RUNNING or task.lease_token != self.lease_token:
            self._keep_late_effect(changes, job, task)
        elif problem := self._find_problem(changes, job, task):
            result.decision = rpc.REPORT_DECISION_INVALID
            result.message = problem
        else:
            result.decision = rpc.REPORT_DECISION_ACCEPTED
            if self.report.HasField("success"):
                self._accept_success(changes, job, task, result)
            else:
                self._accept_failure(changes, job, task)
        return result

    def _find_problem(self, changes: Changes, job: Job, task: Task) -> str:
        if not self.report.HasField("success"):
            return ""
        success = self.report.success
        if task.is_once and not success.remote_id:
            return f"task {task.name} has an effect that must happen once: its success needs remote_id"
        # The wire form is close enough to the JSON's size, and far cheaper to measure.
        size = success.output.ByteSize()
        if size > MAX_OUTPUT_BYTES:
            return f"the output has {size} bytes and may have at most {MAX_OUTPUT_BYTES}"
        size = success.listing.notes.ByteSize()
        if size > MAX_OUTPUT_BYTES:
            return f"the notes on the listing have {size} bytes and may have at most {MAX_OUTPUT_BYTES}"
        return follow_up_problem(changes.rooms.get(job.job_id), success) if success.follow_ups else ""

    def _accept_success(self, changes: Changes, job: Job, task: Task, result: rpc.TaskReportResult) -> None:
        success = self.report.success
        if success.output.fields:
            task.output = struct_to_json(success.output)
        task.failure = None
        if task.is_once:
            effect = changes.effects[effect_key(job, task)]
            effect.state = "DONE"
            effect.remote_id = success.remote_id
            changes.changed_effects[effect.key] = effect
        if success.HasField("listing") and job.product_id is not None:
            template = task_pb2.TaskAssignment.FromString(job.assignment)
            changes.listings.append(ListingUpdate(job, template.product.product.version, success.listing))
        if success.found_listings or success.orders:
            observed_time = task.start_time or changes.now
            changes.findings.append(Findings(job, observed_time, success.found_listings, success.orders))
        moves.end_attempt(changes, job, task, TaskEvent.COMPLETE)
        changes.record(job, "TASK_COMPLETED", task=task, actor=connector_actor(self.instance_id))
        moves.record_attempt(changes, job, task, event_pb2.ATTEMPT_OUTCOME_COMPLETED, None)
        if success.follow_ups:
            room = changes.rooms[job.job_id]
            append_follow_ups(changes, job, task, success, room, connector_actor(self.instance_id))
        following = moves.advance(changes, job, task)
        if following is None:
            return
        # The effects of appended tasks were not loaded, so those are started by their commands.
        if not success.follow_ups and self._takes(changes, job):
            changes.outputs.setdefault(job.job_id, []).append(Output(task.name, task.item_index, task.output))
            self._start(changes, job, following, result)
        else:
            changes.dispatch(job, following)

    def _takes(self, changes: Changes, job: Job) -> bool:
        """Returns whether the reporting instance may run the job's next task."""
        instance = changes.instances.get(self.instance_id)
        return (
            self.next_lease_token is not None
            and instance is not None
            and not instance.is_draining
            and instance.marketplace == job.marketplace
            and base_version(job.manifest_version) in instance.versions
        )

    def _start(self, changes: Changes, job: Job, following: Task, result: rpc.TaskReportResult) -> None:
        assert self.next_lease_token is not None  # noqa: S101 - asked for, or nothing is started here
        take_lease(
            changes,
            job,
            following,
            token=self.next_lease_token,
            instance_id=self.instance_id,
            lease=self.lease,
        )
        self._fill_next(changes, job, following, result)

    def _start_again(self, changes: Changes, job: Job, task: Task, result: rpc.TaskReportResult) -> None:
        following = changes.find_task_at(job.job_id, task.position + 1)
        if (
            self.next_lease_token is not None
            and following is not None
            and following.lease_token == self.next_lease_token
            and job.state is JobState.RUNNING
        ):
            extend_lease(changes, following, self.lease)
            self._fill_next(changes, job, following, result)

    def _fill_next(self, changes: Changes, job: Job, following: Task, result: rpc.TaskReportResult) -> None:
        result.next.task_id = following.text_id
        result.next.lease_token = self.report.next_lease_token
        fill_grant(changes, job, following, self.lease, result.next)

    def _accept_failure(self, changes: Changes, job: Job, task: Task) -> None:
        failure = self.report.failure
        if task.is_once:
            effect = changes.effects[effect_key(job, task)]
            if failure.effect_outcome == failure_pb2.EFFECT_OUTCOME_NOT_SENT:
                # An attempt that began with a probe says nothing about what an earlier one may have sent.
                if effect.mode == "EXECUTE":
                    effect.state = "NOT_SENT"
            else:
                effect.last_send_time = changes.now
            changes.changed_effects[effect.key] = effect
        fail_attempt(changes, job, task, failure, self.retry, connector_actor(self.instance_id))

    def _keep_late_effect(self, changes: Changes, job: Job, task: Task) -> None:
        # The task's state is another's now, but what was made at the marketplace must not be forgotten.
        if not task.is_once or not self.report.HasField("success") or not self.report.success.remote_id:
            return
        if (effect := changes.effects.get(effect_key(job, task))) is not None:
            changes.keep_late_remote_id(effect, self.report.success.remote_id)
