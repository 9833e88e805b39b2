"""The public gRPC API of the orchestrator, as any caller uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoflow.accounts.v1 import account_service_pb2_grpc
from stoflow.jobs.v1 import batch_service_pb2_grpc, job_service_pb2_grpc
from stoflow.tenants.v1 import tenant_service_pb2_grpc

from stoflow_service_kit.grpc_channel import open_channel

if TYPE_CHECKING:
    # These names exist in the stubs' type information only.
    from stoflow.accounts.v1.account_service_pb2_grpc import AccountServiceAsyncStub
    from stoflow.jobs.v1.batch_service_pb2_grpc import BatchServiceAsyncStub
    from stoflow.jobs.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from stoflow.tenants.v1.tenant_service_pb2_grpc import TenantServiceAsyncStub


class Api:
    """Stubs over one channel."""

    def __init__(self, address: str) -> None:
        self._channel = open_channel(address)
        self.tenants: TenantServiceAsyncStub = tenant_service_pb2_grpc.TenantServiceStub(self._channel)
        self.accounts: AccountServiceAsyncStub = account_service_pb2_grpc.AccountServiceStub(self._channel)
        self.jobs: JobServiceAsyncStub = job_service_pb2_grpc.JobServiceStub(self._channel)
        self.batches: BatchServiceAsyncStub = batch_service_pb2_grpc.BatchServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()
