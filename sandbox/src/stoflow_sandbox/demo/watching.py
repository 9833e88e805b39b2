"""Shows each task of a job as it moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import grpc
import grpc.aio
from stoflow.jobs.v1 import job_pb2
from stoflow.jobs.v1.job_pb2 import Job, JobEvent, JobState, WaitReason
from stoflow.jobs.v1.job_service_pb2 import GetJobRequest, WatchJobRequest

from stoflow_sandbox.demo.api import Api
from stoflow_sandbox.demo.console import Reporter
from stoflow_sandbox.demo.errors import JobNotCompletedError

RECONNECT_SECONDS = 0.5
_SHOWN = {
    job_pb2.JOB_EVENT_TYPE_TASK_STARTED: "RUNNING",
    job_pb2.JOB_EVENT_TYPE_TASK_COMPLETED: "COMPLETED",
    job_pb2.JOB_EVENT_TYPE_TASK_RETRIED: "TO BE RETRIED",
    job_pb2.JOB_EVENT_TYPE_TASK_FAILED: "FAILED",
    job_pb2.JOB_EVENT_TYPE_TASK_RELEASED: "GIVEN BACK",
}
_TERMINAL = {
    job_pb2.JOB_STATE_COMPLETED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_CANCELLED,
    job_pb2.JOB_STATE_EXPIRED,
}


async def watch_until_completed(
    api: Api, job: Job, reporter: Reporter, timeout_seconds: float, label: str
) -> None:
    """Prints a line for each step of each task.

    Args:
        api: The running services.
        job: What is watched.
        reporter: Takes the lines.
        timeout_seconds: How long the job gets.
        label: Stands before each line's name, since several jobs may be watched at once.

    Raises:
        JobNotCompletedError: It ended otherwise, or was not done in time; the message says why.
    """
    lines = TaskLines(job, reporter, label)
    try:
        async with asyncio.timeout(timeout_seconds):
            async for event in _events(api, job):
                lines.show(event)
    except TimeoutError:
        current = await _get_job(api, job)
        raise JobNotCompletedError(
            f"the job {job.job_id} did not end within {timeout_seconds:g} s: {_standing(current)}"
        ) from None
    ended = await _get_job(api, job)
    if ended.state != job_pb2.JOB_STATE_COMPLETED:
        raise JobNotCompletedError(f"the job {job.job_id} ended: {_standing(ended)}")
    lines.close(ended)


async def _events(api: Api, job: Job) -> AsyncIterator[JobEvent]:
    """Yields the whole history and then what happens; a lost stream goes on where it stopped."""
    sequence = 0
    while True:
        request = WatchJobRequest(tenant_id=job.tenant_id, job_id=job.job_id, after_sequence=sequence)
        try:
            async for update in api.jobs.WatchJob(request):
                if update.WhichOneof("update") == "event":
                    sequence = update.event.sequence
                    yield update.event
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(RECONNECT_SECONDS)
        else:
            return


async def _get_job(api: Api, job: Job) -> Job:
    return (await api.jobs.GetJob(GetJobRequest(tenant_id=job.tenant_id, job_id=job.job_id))).job


class TaskLines:
    """One line for each thing that happens to a task."""

    def __init__(self, job: Job, reporter: Reporter, label: str) -> None:
        self._reporter = reporter
        self._label = label
        self._names = _task_names(job)
        self._started: dict[int, JobEvent] = {}

    def show(self, event: JobEvent) -> None:
        if event.type == job_pb2.JOB_EVENT_TYPE_WAITING:
            self._print("job", "PENDING", f"waits: {_wait_reason(event.wait_reason)}{_why(event)}")
        state = _SHOWN.get(event.type)
        if state is None or not event.HasField("task_position"):
            return
        position = event.task_position
        text = f"attempt {event.attempt}"
        if event.type == job_pb2.JOB_EVENT_TYPE_TASK_STARTED:
            self._started[position] = event
        elif (start := self._started.pop(position, None)) is not None:
            text += f", {_seconds_between(start, event):.2f} s"
        self._print(self._names.get(position, event.task_name), state, text + _why(event))

    def close(self, job: Job) -> None:
        seconds = job.finish_time.ToDatetime() - job.create_time.ToDatetime()
        self._print("job", JobState.Name(job.state).removeprefix("JOB_STATE_"), _in_words(seconds))

    def _print(self, name: str, state: str, text: str) -> None:
        self._reporter.step(f"{self._label} {name}", f"{state:<13} {text}")


def _task_names(job: Job) -> dict[int, str]:
    fans: dict[str, int] = {}
    for task in job.tasks:
        if task.HasField("item_index"):
            fans[task.name] = fans.get(task.name, 0) + 1
    return {
        task.position: f"{task.name} {task.item_index + 1}/{fans[task.name]}"
        if task.HasField("item_index")
        else task.name
        for task in job.tasks
    }


def _seconds_between(start: JobEvent, end: JobEvent) -> float:
    return (end.occur_time.ToNanoseconds() - start.occur_time.ToNanoseconds()) / 1e9


def _in_words(duration: timedelta) -> str:
    return f"{duration.total_seconds():.2f} s from its creation"


def _wait_reason(reason: WaitReason.ValueType) -> str:
    if reason == job_pb2.WAIT_REASON_UNSPECIFIED:
        return "a free slot"
    return WaitReason.Name(reason).removeprefix("WAIT_REASON_")


def _why(event: JobEvent) -> str:
    return f": {event.failure.message}" if event.HasField("failure") else ""


def _standing(job: Job) -> str:
    text = JobState.Name(job.state).removeprefix("JOB_STATE_")
    if job.state not in _TERMINAL:
        text += f", waits: {_wait_reason(job.wait_reason)}"
    if job.HasField("failure"):
        text += f"; {job.failure.message}"
        text += "".join(f"\n  {one.field}: {one.description}" for one in job.failure.violations)
    return text
