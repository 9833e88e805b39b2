"""An orchestrator process for tests, with stubs for every service it offers."""

from __future__ import annotations

import base64
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
from google.protobuf import struct_pb2
from stoflow.accounts.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc
from stoflow.admin.v1 import admin_service_pb2_grpc
from stoflow.catalog.v1 import (
    listing_service_pb2_grpc,
    order_service_pb2_grpc,
    preview_service_pb2_grpc,
    price_service_pb2_grpc,
    product_pb2,
    product_service_pb2,
    product_service_pb2_grpc,
    reference_service_pb2_grpc,
)
from stoflow.common.v1 import money_pb2
from stoflow.connector.v1 import connector_service_pb2_grpc
from stoflow.jobs.v1 import batch_service_pb2_grpc, job_service_pb2_grpc
from stoflow.tenants.v1 import tenant_service_pb2, tenant_service_pb2_grpc

from stoflow_sandbox.processes import ServiceProcess, Supervisor

if TYPE_CHECKING:
    from stoflow.accounts.v1.account_service_pb2_grpc import AccountServiceAsyncStub
    from stoflow.admin.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from stoflow.catalog.v1.listing_service_pb2_grpc import ListingServiceAsyncStub
    from stoflow.catalog.v1.order_service_pb2_grpc import OrderServiceAsyncStub
    from stoflow.catalog.v1.preview_service_pb2_grpc import PreviewServiceAsyncStub
    from stoflow.catalog.v1.price_service_pb2_grpc import PriceServiceAsyncStub
    from stoflow.catalog.v1.product_service_pb2_grpc import ProductServiceAsyncStub
    from stoflow.catalog.v1.reference_service_pb2_grpc import ReferenceServiceAsyncStub
    from stoflow.connector.v1.connector_service_pb2_grpc import ConnectorServiceAsyncStub
    from stoflow.jobs.v1.batch_service_pb2_grpc import BatchServiceAsyncStub
    from stoflow.jobs.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from stoflow.tenants.v1.tenant_service_pb2_grpc import TenantServiceAsyncStub


@dataclass(frozen=True)
class OrchestratorProcess:
    """Where a started orchestrator answers."""

    process: ServiceProcess
    grpc_address: str
    http_address: str
    database_url: str
    nats_url: str


def start_orchestrator(
    supervisor: Supervisor,
    database_url: str,
    nats_url: str,
    folder: Path,
    *,
    name: str = "orchestrator",
    prefix: Sequence[str] = (),
    **settings: str,
) -> OrchestratorProcess:
    """Starts an orchestrator whose keys derive from the folder, so that several on one folder agree.

    Args:
        supervisor: Ends it.
        database_url: Its database.
        nats_url: Its NATS.
        folder: Where it keeps images.
        name: Unique under the supervisor.
        prefix: A command that executes the rest.
        **settings: Further variables of its environment.
    """
    environment: Mapping[str, str] = {
        **os.environ,
        "DATABASE_URL": database_url,
        "NATS_URL": nats_url,
        "IMAGE_STORE_PATH": str(folder / "images"),
        "IMAGE_URL_KEY": base64.b64encode(b"i" * 32).decode(),
        "CREDENTIALS_KEYS": "test:" + base64.b64encode(b"c" * 32).decode(),
        "LEASE_SECONDS": "1",
        "DISPATCH_TIMEOUT_SECONDS": "2",
        "RETRY_BASE_SECONDS": "0.05",
        "RETRY_CAP_SECONDS": "0.2",
        **settings,
    }
    process = supervisor.start(name, [*prefix, sys.executable, "-m", "stoflow_orchestrator"], environment)
    ready = process.wait_ready()
    return OrchestratorProcess(process, ready["grpc_address"], ready["http_address"], database_url, nats_url)


class Stubs:
    """One channel, a stub a service."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(address)
        self.admin: AdminServiceAsyncStub = admin_service_pb2_grpc.AdminServiceStub(self.channel)
        self.tenants: TenantServiceAsyncStub = tenant_service_pb2_grpc.TenantServiceStub(self.channel)
        self.products: ProductServiceAsyncStub = product_service_pb2_grpc.ProductServiceStub(self.channel)
        self.reference: ReferenceServiceAsyncStub = reference_service_pb2_grpc.ReferenceServiceStub(
            self.channel
        )
        self.prices: PriceServiceAsyncStub = price_service_pb2_grpc.PriceServiceStub(self.channel)
        self.previews: PreviewServiceAsyncStub = preview_service_pb2_grpc.PreviewServiceStub(self.channel)
        self.orders: OrderServiceAsyncStub = order_service_pb2_grpc.OrderServiceStub(self.channel)
        self.listings: ListingServiceAsyncStub = listing_service_pb2_grpc.ListingServiceStub(self.channel)
        self.accounts: AccountServiceAsyncStub = account_service_pb2_grpc.AccountServiceStub(self.channel)
        self.jobs: JobServiceAsyncStub = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.batches: BatchServiceAsyncStub = batch_service_pb2_grpc.BatchServiceStub(self.channel)
        self.connector: ConnectorServiceAsyncStub = connector_service_pb2_grpc.ConnectorServiceStub(
            self.channel
        )

    async def close(self) -> None:
        await self.channel.close()

    async def create_tenant(self) -> int:
        request = tenant_service_pb2.CreateTenantRequest(request_id=str(uuid.uuid4()), display_name="Shop")
        return (await self.tenants.CreateTenant(request)).tenant.tenant_id

    async def create_account(
        self,
        tenant_id: int,
        marketplace: str,
        settings: struct_pb2.Struct | None = None,
        sites: tuple[str, ...] = (),
    ) -> str:
        request = account_service_pb2.CreateAccountRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=tenant_id,
            marketplace=marketplace,
            display_name="Account",
            sites=sites,
            settings=settings,
            credentials=account_pb2.OAuthCredentials(refresh_token="refresh"),
        )
        return (await self.accounts.CreateAccount(request)).account.account_id

    async def create_product(self, tenant_id: int, images: tuple[bytes, ...] = (), **content: object) -> str:
        values: dict[str, object] = {
            "sku": uuid.uuid4().hex,
            "title": "Linen dress",
            "description": "Worn twice.",
            "price": money_pb2.Money(currency_code="USD", amount_minor=3900),
            "stock_quantity": 1,
            "category": "clothing/women/dresses",
            "condition": product_pb2.CONDITION_VERY_GOOD,
            **content,
        }
        request = product_service_pb2.CreateProductRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=tenant_id,
            content=product_pb2.ProductContent(**values),  # type: ignore[arg-type]
        )
        product_id = (await self.products.CreateProduct(request)).product.product_id
        for image in images:
            await self.add_image(tenant_id, product_id, image)
        return product_id

    async def add_image(self, tenant_id: int, product_id: str, image: bytes) -> None:
        part = product_service_pb2.AddProductImageRequest
        header = part.Header(request_id=str(uuid.uuid4()), tenant_id=tenant_id, product_id=product_id)
        await self.products.AddProductImage(iter([part(header=header), part(chunk=image)]))
