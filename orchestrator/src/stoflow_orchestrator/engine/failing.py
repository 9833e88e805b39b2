"""What follows a failed attempt, by the class of its failure."""

from __future__ import annotations

from datetime import datetime, timedelta

from stoflow.common.v1 import failure_pb2
from stoflow.events.v1 import event_pb2

from stoflow_orchestrator.engine import moves
from stoflow_orchestrator.engine.backoff import RetryPolicy
from stoflow_orchestrator.engine.changes import ORCHESTRATOR_ACTOR, Changes
from stoflow_orchestrator.engine.records import Job, Task
from stoflow_orchestrator.lifecycle import JobEvent, JobState, TaskEvent, WaitReason

# No time ends a wait for a person; the person's call does.
FOREVER = timedelta(days=36_500)


def fail_attempt(
    changes: Changes,
    job: Job,
    task: Task,
    failure: failure_pb2.Failure,
    retry: RetryPolicy,
    actor: str = ORCHESTRATOR_ACTOR,
) -> None:
    """Ends a running attempt that failed: the task is tried again later, or fails and its job with it."""
    stored = failure.SerializeToString()
    task.failure = stored
    if failure.error_class == failure_pb2.ERROR_CLASS_RATE_LIMITED and failure.rate_limit_scope:
        changes.hold_back(job, failure.rate_limit_scope, _limit_end(changes, failure, retry))
    if job.state.is_terminal:
        # The job was ended while the attempt ran; nothing is tried again.
        moves.end_attempt(changes, job, task, TaskEvent.CANCEL)
        changes.record(job, "TASK_FAILED", task=task, failure=stored, actor=actor)
        moves.record_attempt(changes, job, task, event_pb2.ATTEMPT_OUTCOME_FAILED, failure)
        return
    if failure.error_class == failure_pb2.ERROR_CLASS_RETRYABLE and job.state is JobState.RUNNING:
        # An attempt that was told to pause burns no retry.
        task.failure_count += 1
    if _is_final(job, task, failure):
        moves.end_attempt(changes, job, task, TaskEvent.FAIL)
        changes.record(job, "TASK_FAILED", task=task, failure=stored, actor=actor)
        moves.record_attempt(changes, job, task, event_pb2.ATTEMPT_OUTCOME_FAILED, failure)
        moves.end(changes, job, JobEvent.FAIL, failure)
        return
    moves.end_attempt(changes, job, task, TaskEvent.TRY_AGAIN)
    changes.record(job, "TASK_RETRIED", task=task, failure=stored, actor=actor)
    moves.record_attempt(changes, job, task, event_pb2.ATTEMPT_OUTCOME_RETRIED, failure)
    if job.state is JobState.PAUSED:
        _stay_paused(changes, job, task, failure)
    else:
        _wait_for_retry(changes, job, task, failure, retry)


def _limit_end(changes: Changes, failure: failure_pb2.Failure, retry: RetryPolicy) -> datetime:
    asked = failure.retry_after.ToTimedelta() if failure.HasField("retry_after") else timedelta(0)
    return changes.now + (asked or timedelta(seconds=retry.rate_limited_seconds))


def _stay_paused(changes: Changes, job: Job, task: Task, failure: failure_pb2.Failure) -> None:
    job.failure = failure.SerializeToString()
    if failure.HasField("retry_after"):
        # Whoever resumes the job cannot know what the marketplace asked for.
        job.next_time = max(job.next_time, changes.now + failure.retry_after.ToTimedelta())
    if failure.error_class == failure_pb2.ERROR_CLASS_AUTH_REQUIRED:
        changes.refuse_account(job, task)
    changes.touch_job(job)


def _is_final(job: Job, task: Task, failure: failure_pb2.Failure) -> bool:
    if failure.error_class == failure_pb2.ERROR_CLASS_PERMANENT:
        return True
    return failure.error_class == failure_pb2.ERROR_CLASS_RETRYABLE and task.failure_count > job.max_retries


def _wait_for_retry(
    changes: Changes, job: Job, task: Task, failure: failure_pb2.Failure, retry: RetryPolicy
) -> None:
    asked = failure.retry_after.ToTimedelta() if failure.HasField("retry_after") else timedelta(0)
    stored = failure.SerializeToString()
    match failure.error_class:
        case failure_pb2.ERROR_CLASS_RETRYABLE:
            until = changes.now + retry.delay(task.failure_count, asked)
            moves.wait(changes, job, WaitReason.RETRY_BACKOFF, until, task=task, failure=stored)
        case failure_pb2.ERROR_CLASS_RATE_LIMITED:
            until = _limit_end(changes, failure, retry)
            moves.wait(changes, job, WaitReason.RATE_LIMITED, until, task=task, failure=stored)
        case failure_pb2.ERROR_CLASS_AUTH_REQUIRED:
            changes.refuse_account(job, task)
            reason = WaitReason.ACCOUNT_RECONNECT_REQUIRED
            moves.wait(changes, job, reason, changes.now + FOREVER, task=task, failure=stored)
        case failure_pb2.ERROR_CLASS_NEEDS_HUMAN:
            until = changes.now + FOREVER
            moves.wait(changes, job, WaitReason.NEEDS_HUMAN, until, task=task, failure=stored)
        case failure_pb2.ERROR_CLASS_SELLER_OFFLINE:
            until = changes.now + FOREVER
            moves.wait(changes, job, WaitReason.SELLER_OFFLINE, until, task=task, failure=stored)
        case other:
            raise ValueError(f"a report with error class {other} passed validation")
