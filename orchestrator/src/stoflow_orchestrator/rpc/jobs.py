"""JobService over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc.aio
from stoflow.jobs.v1 import job_service_pb2 as rpc
from stoflow.jobs.v1 import job_service_pb2_grpc

from stoflow_orchestrator.services.jobs import JobService

Context = grpc.aio.ServicerContext[Any, Any]


class JobServicer(job_service_pb2_grpc.JobServiceServicer):
    """Proto in, one call of the service, proto out."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs

    async def CreateJob(self, request: rpc.CreateJobRequest, context: Context) -> rpc.CreateJobResponse:
        return rpc.CreateJobResponse(job=await self._jobs.create(request))

    async def GetJob(self, request: rpc.GetJobRequest, context: Context) -> rpc.GetJobResponse:
        return rpc.GetJobResponse(job=await self._jobs.get(request.tenant_id, UUID(request.job_id)))

    async def ListJobs(self, request: rpc.ListJobsRequest, context: Context) -> rpc.ListJobsResponse:
        return await self._jobs.list(request)

    async def WatchJob(
        self, request: rpc.WatchJobRequest, context: Context
    ) -> AsyncIterator[rpc.WatchJobResponse]:
        async for update in self._jobs.watch(request):
            yield update

    async def ListJobEvents(
        self, request: rpc.ListJobEventsRequest, context: Context
    ) -> rpc.ListJobEventsResponse:
        return await self._jobs.list_events(request)
