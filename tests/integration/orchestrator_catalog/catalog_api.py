"""Constructs the services under test as the orchestrator does, and speaks to them as a caller does."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import grpc.aio
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from stoflow.accounts.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc
from stoflow.catalog.v1 import (
    listing_service_pb2_grpc,
    order_service_pb2_grpc,
    price_service_pb2_grpc,
    product_pb2,
    product_service_pb2,
    product_service_pb2_grpc,
    reference_service_pb2_grpc,
)
from stoflow.common.v1.money_pb2 import Money
from stoflow.connector.v1.manifest_pb2 import Manifest
from stoflow.tenants.v1 import tenant_service_pb2, tenant_service_pb2_grpc

from stoflow_orchestrator.clients.address_guard import AddressGuard
from stoflow_orchestrator.clients.image_folder import ImageFolder
from stoflow_orchestrator.clients.image_source import ImageSource
from stoflow_orchestrator.migrations.runner import upgrade_public
from stoflow_orchestrator.repositories.database import Database, create_migration_engine
from stoflow_orchestrator.rpc.accounts import AccountServicer
from stoflow_orchestrator.rpc.listings import ListingServicer
from stoflow_orchestrator.rpc.orders import OrderServicer
from stoflow_orchestrator.rpc.prices import PriceServicer
from stoflow_orchestrator.rpc.products import ProductServicer, ProductServices
from stoflow_orchestrator.rpc.reference import ReferenceServicer
from stoflow_orchestrator.rpc.tenants import TenantServicer
from stoflow_orchestrator.services.accounts import AccountService
from stoflow_orchestrator.services.authorizations import AuthorizationService
from stoflow_orchestrator.services.connections import ConnectionJobs, ConnectionService
from stoflow_orchestrator.services.credentials import CredentialService
from stoflow_orchestrator.services.images import ImageService
from stoflow_orchestrator.services.listings import ListingService
from stoflow_orchestrator.services.mappings import MappingService
from stoflow_orchestrator.services.orders import OrderService
from stoflow_orchestrator.services.pairings import PairingService
from stoflow_orchestrator.services.prices import PriceService
from stoflow_orchestrator.services.product_changes import ProductChanges
from stoflow_orchestrator.services.product_import import ProductImportService
from stoflow_orchestrator.services.products import ProductService
from stoflow_orchestrator.services.reference import ReferenceService
from stoflow_orchestrator.services.secret_box import SecretBox
from stoflow_orchestrator.services.snapshots import SnapshotLoader
from stoflow_orchestrator.services.sync_policies import SyncPolicies
from stoflow_orchestrator.services.tenants import TenantDirectory, TenantService
from stoflow_service_kit.grpc_channel import RichError, open_channel, rich_error
from stoflow_service_kit.grpc_server import GrpcServer

SETTINGS_SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["fulfillmentPolicyId", "paymentPolicyId"],
        "properties": {
            "fulfillmentPolicyId": {"type": "string", "minLength": 1},
            "paymentPolicyId": {"type": "string", "minLength": 1},
        },
        "additionalProperties": False,
    },
}
SETTINGS = {"EBAY_US": {"fulfillmentPolicyId": "1", "paymentPolicyId": "2"}}
# What the sealed column must never show.
REFRESH_TOKEN = "refresh-canary-7d1f"


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class CatalogApi:
    """The services and stubs that reach them over gRPC."""

    database: Database
    server: GrpcServer
    channel: grpc.aio.Channel
    store: ImageFolder
    snapshots: SnapshotLoader
    credentials: CredentialService
    authorizations: AuthorizationService
    # Accounts whose waiting jobs were told to go on.
    resumed: list[UUID] = field(default_factory=list)

    @classmethod
    async def start(
        cls, database_url: str, image_root: Path, guard: AddressGuard | None = None
    ) -> CatalogApi:
        migration_engine = create_migration_engine(database_url)
        await asyncio.to_thread(upgrade_public, migration_engine)
        database = Database.connect(database_url, pool_size=5)
        directory = TenantDirectory(database)
        box = SecretBox({"first": bytes(range(32))})
        store = ImageFolder(image_root)
        server = GrpcServer("127.0.0.1:0", CollectorRegistry())
        resumed: list[UUID] = []

        async def resume_jobs(account_id: UUID) -> None:
            # By then everybody can see the gate's new state.
            state = text("SELECT state FROM public.account_gates WHERE account_id = :account_id")
            async with database.public_transaction() as connection:
                found = await connection.execute(state, {"account_id": account_id})
            assert found.scalar_one() == "CONNECTED"
            resumed.append(account_id)

        products = ProductServices(
            ProductService(database, directory),
            ProductChanges(database, directory),
            ProductImportService(database, directory),
            ImageService(database, directory, store, ImageSource(guard or AddressGuard())),
        )
        accounts = AccountService(database, directory, box, resume_jobs)
        # Whatever makes jobs needs the engine, and is tested with it.
        connections = ConnectionService(database, directory, box, cast("ConnectionJobs", None))
        server.add(
            tenant_service_pb2_grpc.add_TenantServiceServicer_to_server,
            TenantServicer(TenantService(database, migration_engine)),
        )
        server.add(product_service_pb2_grpc.add_ProductServiceServicer_to_server, ProductServicer(products))
        server.add(
            listing_service_pb2_grpc.add_ListingServiceServicer_to_server,
            ListingServicer(ListingService(database, directory)),
        )
        server.add(
            reference_service_pb2_grpc.add_ReferenceServiceServicer_to_server,
            ReferenceServicer(ReferenceService(database), MappingService(database)),
        )
        server.add(
            order_service_pb2_grpc.add_OrderServiceServicer_to_server,
            OrderServicer(OrderService(database, directory)),
        )
        snapshots = SnapshotLoader(database)
        server.add(
            price_service_pb2_grpc.add_PriceServiceServicer_to_server,
            PriceServicer(PriceService(database, directory, snapshots)),
        )
        policies, pairings = SyncPolicies(database, directory), PairingService(database, directory, box)
        servicer = AccountServicer(accounts, connections, policies, pairings)
        server.add(account_service_pb2_grpc.add_AccountServiceServicer_to_server, servicer)
        channel = open_channel(await server.start())
        credentials = CredentialService(database, directory, box)
        authorizations = AuthorizationService(database, directory, box, resume_jobs)
        return cls(database, server, channel, store, snapshots, credentials, authorizations, resumed)

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.drain(0)
        await self.database.close()

    @property
    def tenants(self) -> tenant_service_pb2_grpc.TenantServiceAsyncStub:
        return tenant_service_pb2_grpc.TenantServiceStub(self.channel)

    @property
    def products(self) -> product_service_pb2_grpc.ProductServiceAsyncStub:
        return product_service_pb2_grpc.ProductServiceStub(self.channel)

    @property
    def reference(self) -> reference_service_pb2_grpc.ReferenceServiceAsyncStub:
        return reference_service_pb2_grpc.ReferenceServiceStub(self.channel)

    @property
    def prices(self) -> price_service_pb2_grpc.PriceServiceAsyncStub:
        return price_service_pb2_grpc.PriceServiceStub(self.channel)

    @property
    def orders(self) -> order_service_pb2_grpc.OrderServiceAsyncStub:
        return order_service_pb2_grpc.OrderServiceStub(self.channel)

    @property
    def listings(self) -> listing_service_pb2_grpc.ListingServiceAsyncStub:
        return listing_service_pb2_grpc.ListingServiceStub(self.channel)

    @property
    def accounts(self) -> account_service_pb2_grpc.AccountServiceAsyncStub:
        return account_service_pb2_grpc.AccountServiceStub(self.channel)

    async def sql(self, statement: str, **parameters: Any) -> list[Any]:
        """Runs one statement beside the services."""
        async with self.database.public().begin() as connection:
            result = await connection.execute(text(statement), parameters)
            return list(result.all()) if result.returns_rows else []

    async def new_tenant(self, tenant_id: int = 0) -> int:
        request = tenant_service_pb2.CreateTenantRequest(
            request_id=new_id(), tenant_id=tenant_id, display_name="Second-hand shop"
        )
        return (await self.tenants.CreateTenant(request)).tenant.tenant_id

    async def new_product(self, tenant_id: int, **changes: Any) -> product_pb2.Product:
        request = product_service_pb2.CreateProductRequest(
            request_id=new_id(), tenant_id=tenant_id, content=content(**changes)
        )
        return (await self.products.CreateProduct(request)).product

    async def register_marketplace(
        self, name: str = "ebay", version: str = "1", schema: str = json.dumps(SETTINGS_SCHEMA)
    ) -> None:
        manifest = Manifest(marketplace=name, version=version, account_settings_schema=schema)
        await self.sql(
            "INSERT INTO public.connector_manifests (marketplace, version, manifest)"
            " VALUES (:name, :version, :manifest)",
            name=name,
            version=version,
            manifest=manifest.SerializeToString(),
        )

    async def new_account(self, tenant_id: int, **changes: Any) -> account_pb2.Account:
        return (await self.accounts.CreateAccount(account_request(tenant_id, **changes))).account

    async def add_image(
        self, tenant_id: int, product_id: str, data: bytes, request_id: str = ""
    ) -> product_pb2.Product:
        messages = image_messages(tenant_id, product_id, data, request_id or new_id())
        return (await self.products.AddProductImage(messages)).product


def content(**changes: Any) -> product_pb2.ProductContent:
    values: dict[str, Any] = {
        "sku": f"SKU-{uuid.uuid4().hex[:8]}",
        "title": "Linen dress",
        "description": "Worn twice.",
        "price": Money(currency_code="USD", amount_minor=3900),
        "stock_quantity": 1,
        "category": "clothing/women/dresses",
        "condition": product_pb2.CONDITION_VERY_GOOD,
    }
    return product_pb2.ProductContent(**{**values, **changes})


def account_request(tenant_id: int, **changes: Any) -> account_service_pb2.CreateAccountRequest:
    settings = changes.pop("settings", SETTINGS)
    values: dict[str, Any] = {
        "request_id": new_id(),
        "tenant_id": tenant_id,
        "marketplace": "ebay",
        "display_name": "Main shop",
        "sites": ["EBAY_US"],
        "credentials": account_pb2.OAuthCredentials(refresh_token=REFRESH_TOKEN),
    }
    request = account_service_pb2.CreateAccountRequest(**{**values, **changes})
    request.settings.update(settings)
    return request


def image_messages(
    tenant_id: int, product_id: str, data: bytes, request_id: str, chunk_bytes: int = 1 << 20
) -> Iterator[product_service_pb2.AddProductImageRequest]:
    yield product_service_pb2.AddProductImageRequest(
        header=product_service_pb2.AddProductImageRequest.Header(
            request_id=request_id, tenant_id=tenant_id, product_id=product_id
        )
    )
    for start in range(0, len(data), chunk_bytes):
        yield product_service_pb2.AddProductImageRequest(chunk=data[start : start + chunk_bytes])


def picture(
    kind: str = "JPEG", size: tuple[int, int] = (40, 30), color: tuple[int, int, int] = (1, 2, 3)
) -> bytes:
    """Makes a small real picture; each color gives other bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, kind)
    return buffer.getvalue()


async def refusal(call: Awaitable[Any]) -> RichError:
    """Returns what a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return rich_error(caught.value)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what another process or task does; the test's timeout is the limit."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)
