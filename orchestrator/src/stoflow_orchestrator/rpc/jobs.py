"""JobService over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc.aio
from stoflow.jobs.v1 import job_service_pb2 as rpc
from stoflow.jobs.v1 import job_service_pb2_grpc

from stoflow_orchestrator.services.job_control import JobControl
from stoflow_orchestrator.services.job_creation import JobCreation
from stoflow_orchestrator.services.job_reading import JobReading

Context = grpc.aio.ServicerContext[Any, Any]


class JobServicer(job_service_pb2_grpc.JobServiceServicer):
    """Proto in, one call of a service, proto out."""

    def __init__(self, creation: JobCreation, reading: JobReading, control: JobControl) -> None:
        self._creation = creation
        self._reading = reading
        self._control = control

    async def CreateJob(self, request: rpc.CreateJobRequest, context: Context) -> rpc.CreateJobResponse:
        return rpc.CreateJobResponse(job=await self._creation.create(request))

    async def GetJob(self, request: rpc.GetJobRequest, context: Context) -> rpc.GetJobResponse:
        return rpc.GetJobResponse(job=await self._reading.get(request.tenant_id, UUID(request.job_id)))

    async def ListJobs(self, request: rpc.ListJobsRequest, context: Context) -> rpc.ListJobsResponse:
        return await self._reading.list(request)

    async def WatchJob(
        self, request: rpc.WatchJobRequest, context: Context
    ) -> AsyncIterator[rpc.WatchJobResponse]:
        async for update in self._reading.watch(request):
            yield update

    async def ListJobEvents(
        self, request: rpc.ListJobEventsRequest, context: Context
    ) -> rpc.ListJobEventsResponse:
        return await self._reading.list_events(request)

    async def CountJobs(self, request: rpc.CountJobsRequest, context: Context) -> rpc.CountJobsResponse:
        return await self._reading.count(request)

    async def CancelJob(self, request: rpc.CancelJobRequest, context: Context) -> rpc.CancelJobResponse:
        return rpc.CancelJobResponse(job=await self._control.cancel(request))

    async def PauseJob(self, request: rpc.PauseJobRequest, context: Context) -> rpc.PauseJobResponse:
        return rpc.PauseJobResponse(job=await self._control.pause(request))

    async def ResumeJob(self, request: rpc.ResumeJobRequest, context: Context) -> rpc.ResumeJobResponse:
        return rpc.ResumeJobResponse(job=await self._control.resume(request))

    async def RetryJob(self, request: rpc.RetryJobRequest, context: Context) -> rpc.RetryJobResponse:
        return rpc.RetryJobResponse(job=await self._control.retry(request))
