"""The moves that several commands share: a job is admitted, goes on, waits or ends; an attempt ends."""

from __future__ import annotations

from datetime import datetime

from stoflow.common.v1 import failure_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_orchestrator.engine.changes import ORCHESTRATOR_ACTOR, Changes, shorten_failure
from stoflow_orchestrator.engine.durations import set_duration
from stoflow_orchestrator.engine.records import Job, Task
from stoflow_orchestrator.lifecycle import (
    JobEvent,
    JobState,
    TaskEvent,
    WaitReason,
    next_job_state,
    next_task_state,
)


def admit(changes: Changes, job: Job, task: Task | None) -> None:
    """Gives the job a slot and dispatches its next task; a job with nothing left to do completes."""
    job.state = next_job_state(job.state, JobEvent.ADMIT)
    job.wait_reason = None
    job.admit_time = changes.now
    job.start_time = job.start_time or changes.now
    changes.touch_job(job)
    changes.record(job, "ADMITTED", task=task)
    if task is None:
        # Its last attempt succeeded after the job had expired, and then the job was retried.
        end(changes, job, JobEvent.COMPLETE, None)
    else:
        changes.dispatch(job, task)


def wait(
    changes: Changes,
    job: Job,
    reason: WaitReason,
    until: datetime,
    *,
    task: Task | None = None,
    failure: bytes | None = None,
) -> None:
    """Sends the job back to PENDING and frees its slot."""
    job.state = next_job_state(job.state, JobEvent.WAIT)
    job.wait_reason = reason
    job.next_time = until
    job.admit_time = None
    if failure is not None:
        job.failure = failure
    if task is not None:
        changes.withdraw(task)
    changes.touch_job(job)
    changes.record(job, "WAITING", task=task, failure=failure)
    changes.stirred.add(job.marketplace)


def advance(changes: Changes, job: Job, completed: Task) -> Task | None:
    """Goes on after a completed task: gives way, completes the job, or returns the task that is to begin now.

    A job that ended meanwhile only moves its position, where another run would begin; a paused one waits there.
    """
    job.task_position = completed.position + 1
    if job.state.is_terminal:
        return None
    following = changes.find_task_at(job.job_id, job.task_position)
    if following is None:
        job.failure = None
        end(changes, job, JobEvent.COMPLETE, None)
    elif job.state is JobState.RUNNING:
        if not changes.contention.take(job.marketplace, job.priority):
            return following
        give_way(changes, job)
    return None


def give_way(changes: Changes, job: Job) -> None:
    """Gives the slot of a job that stands between two tasks to one of higher priority; its turn comes again."""
    job.state = next_job_state(job.state, JobEvent.WAIT)
    job.wait_reason = None
    job.admit_time = None
    job.next_time = job.queue_time
    changes.touch_job(job)
    changes.record(job, "YIELDED")
    changes.stirred.add(job.marketplace)


def stop(changes: Changes, job: Job) -> None:
    """Frees the slot of a job that is not to go on, or tells the holder of its lease to stop and waits for that."""
    current = changes.find_task_at(job.job_id, job.task_position)
    if current is not None and current.instance_id is not None:
        changes.directives.add((job.marketplace, current.instance_id))
        return
    if current is not None and current.dispatch_time is not None:
        changes.withdraw(current)
    free_slot(changes, job)


def end(
    changes: Changes,
    job: Job,
    event: JobEvent,
    failure: failure_pb2.Failure | None,
    actor: str = ORCHESTRATOR_ACTOR,
) -> None:
    """Makes the job terminal; its slot stays taken while an attempt still holds a lease."""
    job.state = next_job_state(job.state, event)
    job.wait_reason = None
    job.finish_time = changes.now
    changes.touch_job(job)
    if failure is not None:
        job.failure = failure.SerializeToString()
    stop(changes, job)
    changes.ended_jobs.add(job.job_id)
    changes.record(job, job.state, failure=job.failure if failure is not None else None, actor=actor)
    fact = changes.new_fact(job, f"run:{job.text_id}:{job.run}").run_finished
    fact.state = job_pb2.JobState.Value(f"JOB_STATE_{job.state}")
    if job.start_time is not None:
        set_duration(fact.queue_duration, job.start_time - job.queue_time)
        set_duration(fact.run_duration, changes.now - job.start_time)
    if failure is not None and job.state is not JobState.COMPLETED:
        fact.failure.CopyFrom(shorten_failure(failure))


def begin_run(changes: Changes, job: Job, actor: str) -> None:
    """Makes a terminal job wait again, with new retries, a new place in the queue and a new time to expire.

    Completed tasks keep their outputs; where the job stands then is found when it is written.
    """
    job.state = next_job_state(job.state, JobEvent.RETRY)
    job.run += 1
    job.failure = None
    job.queue_time = changes.now
    job.start_time = None
    job.finish_time = None
    changes.touch_job(job)
    changes.restarted_jobs.add(job.job_id)
    changes.record(job, "RETRIED", actor=actor)
    changes.stirred.add(job.marketplace)


def free_slot(changes: Changes, job: Job) -> None:
    """Gives the slot of a job back."""
    job.admit_time = None
    changes.touch_job(job)
    changes.stirred.add(job.marketplace)


def end_attempt(changes: Changes, job: Job, task: Task, event: TaskEvent) -> None:
    """Takes the lease away and moves the task; a job that ended or was paused meanwhile gives its slot back."""
    task.state = next_task_state(task.state, event)
    task.accepted_token = task.lease_token or task.accepted_token
    task.lease_token = None
    task.lease_expire_time = None
    task.dispatch_time = None
    task.deadline_time = None
    task.instance_id = None
    if task.state.is_terminal:
        task.finish_time = changes.now
    if job.state is not JobState.RUNNING:
        free_slot(changes, job)
    changes.touch_task(task)


def record_attempt(
    changes: Changes, job: Job, task: Task, outcome: int, failure: failure_pb2.Failure | None
) -> None:
    """Appends the result event of an attempt that has just ended."""
    event = changes.new_fact(job, f"attempt:{task.text_id}:{job.run}:{task.attempt_count}")
    fact = event.attempt_finished
    fact.task_id = task.text_id
    fact.task_name = task.name
    fact.attempt = task.attempt_count
    fact.outcome = event_pb2.AttemptOutcome.ValueType(outcome)
    if task.start_time is not None:
        set_duration(fact.duration, changes.now - task.start_time)
    if failure is not None:
        fact.failure.CopyFrom(shorten_failure(failure))
