"""The public gRPC API, as any caller uses it."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc.aio
from stoflow.accounts.v1 import account_service_pb2_grpc
from stoflow.catalog.v1 import (
    listing_service_pb2_grpc,
    order_service_pb2_grpc,
    product_service_pb2_grpc,
    reference_service_pb2_grpc,
)
from stoflow.jobs.v1 import job_service_pb2_grpc
from stoflow.stats.v1 import stats_service_pb2_grpc
from stoflow.tenants.v1 import tenant_service_pb2_grpc

from stoflow_sandbox.demo.addresses import Addresses
from stoflow_service_kit.grpc_channel import open_channel, rich_error

if TYPE_CHECKING:
    # These names exist in the stubs' type information only.
    from stoflow.accounts.v1.account_service_pb2_grpc import AccountServiceAsyncStub
    from stoflow.catalog.v1.listing_service_pb2_grpc import ListingServiceAsyncStub
    from stoflow.catalog.v1.order_service_pb2_grpc import OrderServiceAsyncStub
    from stoflow.catalog.v1.product_service_pb2_grpc import ProductServiceAsyncStub
    from stoflow.catalog.v1.reference_service_pb2_grpc import ReferenceServiceAsyncStub
    from stoflow.jobs.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from stoflow.stats.v1.stats_service_pb2_grpc import StatsServiceAsyncStub
    from stoflow.tenants.v1.tenant_service_pb2_grpc import TenantServiceAsyncStub


class Api:
    """Stubs of every service that the demo calls, over one channel to each server."""

    def __init__(self, addresses: Addresses) -> None:
        self._orchestrator = open_channel(addresses.orchestrator)
        self._stats = open_channel(addresses.stats)
        channel = self._orchestrator
        self.tenants: TenantServiceAsyncStub = tenant_service_pb2_grpc.TenantServiceStub(channel)
        self.accounts: AccountServiceAsyncStub = account_service_pb2_grpc.AccountServiceStub(channel)
        self.products: ProductServiceAsyncStub = product_service_pb2_grpc.ProductServiceStub(channel)
        self.listings: ListingServiceAsyncStub = listing_service_pb2_grpc.ListingServiceStub(channel)
        self.orders: OrderServiceAsyncStub = order_service_pb2_grpc.OrderServiceStub(channel)
        self.reference: ReferenceServiceAsyncStub = reference_service_pb2_grpc.ReferenceServiceStub(channel)
        self.jobs: JobServiceAsyncStub = job_service_pb2_grpc.JobServiceStub(channel)
        self.stats: StatsServiceAsyncStub = stats_service_pb2_grpc.StatsServiceStub(self._stats)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._orchestrator.close()
        await self._stats.close()


def describe(error: grpc.aio.AioRpcError) -> str:
    """Returns what a failed call says, every violation included."""
    rich = rich_error(error)
    reason = f" ({rich.reason})" if rich.reason else ""
    violations = "".join(f"\n  {one.field}: {one.description}" for one in rich.violations)
    return f"{rich.code.name}{reason}: {rich.message}{violations}"
