"""Reads jobs and their histories, and watches them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from stoflow.jobs.v1.job_pb2 import Job
from stoflow.jobs.v1.job_service_pb2 import (
    CountJobsRequest,
    CountJobsResponse,
    JobStateCount,
    ListJobEventsRequest,
    ListJobEventsResponse,
    ListJobsRequest,
    ListJobsResponse,
    WatchJobRequest,
    WatchJobResponse,
)

from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.messages.job import event_message, job_message, job_state_value
from stoflow_orchestrator.messages.job_filter import job_filter
from stoflow_orchestrator.messaging.hints import JobHints
from stoflow_orchestrator.paging import (
    decode_token,
    encode_token,
    fit_page,
    page_size,
    single_number,
    single_uuid,
)
from stoflow_orchestrator.repositories.job import JobReader
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import NotFoundError

# Hints may be lost: a watcher looks by itself this often.
WATCH_POLL_SECONDS = 2.0
MAX_EVENTS_A_READ = 1_000


class JobReading:
    """What JobService answers without changing anything."""

    def __init__(self, tenants: TenantDirectory, reader: JobReader, hints: JobHints) -> None:
        self._tenants = tenants
        self._reader = reader
        self._hints = hints

    async def get(self, tenant_id: int, job_id: UUID) -> Job:
        """Returns a job with its tasks."""
        await self._tenants.require(tenant_id)
        async with self._reader.snapshot(tenant_id) as snapshot:
            row = await snapshot.find_job(job_id)
            if row is None:
                raise job_not_found(tenant_id, job_id)
            return job_message(tenant_id, row, await snapshot.list_tasks(job_id))

    async def list(self, request: ListJobsRequest) -> ListJobsResponse:
        """Returns a page of jobs without their tasks, newest first."""
        before = decode_token(request, request.page_token, single_uuid)
        narrow = job_filter(request.filter)
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        async with self._reader.snapshot(request.tenant_id) as snapshot:
            rows = await snapshot.list_jobs(narrow, before, size + 1)
        jobs = fit_page((job_message(request.tenant_id, row) for row in rows), size)
        return ListJobsResponse(
            jobs=jobs,
            next_page_token=encode_token(request, [jobs[-1].job_id]) if len(rows) > len(jobs) else "",
        )

    async def count(self, request: CountJobsRequest) -> CountJobsResponse:
        """Returns how many jobs there are in each state."""
        narrow = job_filter(request.filter)
        await self._tenants.require(request.tenant_id)
        async with self._reader.snapshot(request.tenant_id) as snapshot:
            found = await snapshot.count_jobs(narrow)
        counts = [JobStateCount(state=job_state_value(state), count=count) for state, count in found.items()]
        counts.sort(key=lambda entry: entry.state)
        return CountJobsResponse(counts=counts, total_count=sum(found.values()))

    async def list_events(self, request: ListJobEventsRequest) -> ListJobEventsResponse:
        """Returns a page of a job's history, oldest first."""
        after = decode_token(request, request.page_token, single_number) or 0
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        job_id = UUID(request.job_id)
        async with self._reader.snapshot(request.tenant_id) as snapshot:
            if await snapshot.find_job(job_id) is None:
                raise job_not_found(request.tenant_id, job_id)
            rows = await snapshot.list_events(job_id, after, size + 1)
        events = fit_page((event_message(row, row.occur_time) for row in rows), size)
        return ListJobEventsResponse(
            events=events,
            next_page_token=encode_token(request, [events[-1].sequence]) if len(rows) > len(events) else "",
        )

    async def watch(self, request: WatchJobRequest) -> AsyncIterator[WatchJobResponse]:
        """Yields a snapshot, then every event after it, until the job is terminal."""
        await self._tenants.require(request.tenant_id)
        job_id = UUID(request.job_id)
        # Listening begins before the snapshot is read, so no change falls between them.
        async with self._hints.watch(job_id) as watch:
            job = await self.get(request.tenant_id, job_id)
            yield WatchJobResponse(job=job)
            after = request.after_sequence if request.HasField("after_sequence") else job.event_sequence
            if after >= job.event_sequence and job.HasField("finish_time"):
                return
            must_look = after < job.event_sequence
            while True:
                if must_look:
                    async with self._reader.snapshot(request.tenant_id) as snapshot:
                        row = await snapshot.find_job(job_id)
                        rows = await snapshot.list_events(job_id, after, MAX_EVENTS_A_READ)
                    if row is None:
                        raise job_not_found(request.tenant_id, job_id)
                    for event_row in rows:
                        yield WatchJobResponse(event=event_message(event_row, event_row.occur_time))
                        after = event_row.sequence
                    if len(rows) == MAX_EVENTS_A_READ:
                        continue
                    if row.finish_time is not None:
                        return
                is_told = await _wait(watch.changed, WATCH_POLL_SECONDS)
                watch.changed.clear()
                news, is_incomplete = watch.take_after(after)
                for entry, time in news:
                    yield WatchJobResponse(event=event_message(entry, time))
                    after = entry.sequence
                if news and JobState(news[-1].entry.job_state).is_terminal:
                    return
                must_look = is_incomplete or not is_told


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Returns whether the event came; if not, no hint came or it was lost."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def job_not_found(tenant_id: int, job_id: UUID) -> NotFoundError:
    """Makes the error of a job that the tenant does not have."""
    return NotFoundError(
        f"Tenant {tenant_id} has no job {job_id}.",
        reason="JOB_NOT_FOUND",
        metadata={"job_id": str(job_id)},
    )
