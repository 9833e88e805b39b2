"""Rows of the live tables for tests that decide in memory."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.records import Job, Task
from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason

NOW = datetime(2030, 1, 1, tzinfo=UTC)
INSTANCE = uuid.uuid4()


def make_job(
    state: JobState = JobState.RUNNING, *, holds_slot: bool = False, wait_reason: WaitReason | None = None
) -> Job:
    """Makes a job that stands at its first task."""
    return Job(
        job_id=uuid.uuid4(),
        tenant_id=1,
        marketplace="ebay",
        account_id=uuid.uuid4(),
        product_id=uuid.uuid4(),
        site="EBAY_US",
        action="publish",
        manifest_version="1",
        assignment=b"",
        max_retries=3,
        run=1,
        queue_time=NOW - timedelta(hours=1),
        state=state,
        wait_reason=wait_reason,
        task_position=0,
        failure=None,
        event_sequence=1,
        next_time=NOW - timedelta(hours=1),
        admit_time=NOW if holds_slot or state is JobState.RUNNING else None,
        start_time=NOW,
        finish_time=NOW if state.is_terminal else None,
    )


def make_task(
    job: Job, position: int = 0, state: TaskState = TaskState.PENDING, *, is_dispatched: bool = False
) -> Task:
    """Makes a task of a job; a RUNNING one holds a lease."""
    is_leased = state is TaskState.RUNNING
    return Task(
        task_id=uuid.uuid4(),
        job_id=job.job_id,
        position=position,
        name=f"step{position}",
        item_index=None,
        once_name=None,
        settle_seconds=None,
        start_to_close_seconds=30.0,
        schedule_to_start_seconds=None,
        input=None,
        state=state,
        attempt_count=1 if is_leased else 0,
        failure_count=0,
        dispatch=1,
        dispatch_time=NOW if is_dispatched else None,
        lease_token=uuid.uuid4() if is_leased else None,
        lease_expire_time=NOW + timedelta(seconds=30) if is_leased else None,
        deadline_time=NOW + timedelta(seconds=30) if is_leased else None,
        instance_id=INSTANCE if is_leased else None,
        accepted_token=None,
        output=None,
        failure=None,
        start_time=NOW if is_leased else None,
        finish_time=None,
    )


def make_changes(job: Job, *tasks: Task) -> Changes:
    """Makes what a group has loaded."""
    changes = Changes(now=NOW, jobs={job.job_id: job})
    changes.add_tasks(tasks)
    return changes
