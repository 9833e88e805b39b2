"""The demo's tenant, accounts and product: made in the first run, found again in later ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from stoflow.accounts.v1.account_pb2 import ACCOUNT_STATE_RECONNECT_REQUIRED, Account, OAuthCredentials
from stoflow.accounts.v1.account_service_pb2 import (
    CreateAccountRequest,
    ListAccountsRequest,
    ReconnectAccountRequest,
)
from stoflow.accounts.v1.pairing_pb2 import CreatePairingCodeRequest, ListPairingsRequest
from stoflow.catalog.v1.mapping_pb2 import MappingKey
from stoflow.catalog.v1.product_pb2 import Product
from stoflow.catalog.v1.product_service_pb2 import AddProductImageRequest, CreateProductRequest
from stoflow.catalog.v1.reference_service_pb2 import ImportMappingsRequest
from stoflow.tenants.v1.tenant_pb2 import Tenant
from stoflow.tenants.v1.tenant_service_pb2 import CreateTenantRequest

from stoflow_sandbox.demo.api import Api
from stoflow_sandbox.demo.pictures import PICTURE_COUNT, Picture, draw_pictures
from stoflow_sandbox.demo.product import SKU, demo_product, second_product
from stoflow_sandbox.demo.secrets_file import Secrets

if TYPE_CHECKING:
    from pathlib import Path

    from stoflow_sandbox.demo.marketplaces import DemoMarketplace, SellerAccount

CHUNK_BYTES = 256 * 1024
PAGE_SIZE = 100


class DemoCatalogue:
    """Calls the public API; request ids are the installation's own, so each call may be repeated."""

    def __init__(self, api: Api, secrets: Secrets) -> None:
        self._api = api
        self._secrets = secrets

    async def ensure_tenant(self) -> Tenant:
        request = CreateTenantRequest(
            request_id=self._secrets.request_id("tenant"), display_name="Second-hand shop"
        )
        return (await self._api.tenants.CreateTenant(request)).tenant

    async def ensure_account(self, tenant_id: int, marketplace: str, seller: SellerAccount) -> Account:
        """Returns the tenant's account at a marketplace, connected."""
        credentials = OAuthCredentials(refresh_token=seller.refresh_token) if seller.refresh_token else None
        found = await self._find_account(tenant_id, marketplace)
        if found is None:
            request = CreateAccountRequest(
                request_id=self._secrets.request_id(f"account {marketplace}"),
                tenant_id=tenant_id,
                marketplace=marketplace,
                display_name=seller.display_name,
                sites=seller.sites,
                settings=ParseDict(dict(seller.settings), Struct()),
                credentials=credentials,
            )
            return (await self._api.accounts.CreateAccount(request)).account
        if found.state == ACCOUNT_STATE_RECONNECT_REQUIRED:
            again = ReconnectAccountRequest(
                request_id=self._secrets.new_request_id(),
                tenant_id=tenant_id,
                account_id=found.account_id,
                credentials=credentials,
            )
            return (await self._api.accounts.ReconnectAccount(again)).account
        return found

    async def ensure_mappings(self, marketplace: DemoMarketplace) -> None:
        """Sets the values that an operator must say."""
        entries = [
            ImportMappingsRequest.Entry(key=MappingKey(attribute=attribute, key=key), value=value)
            for attribute, key, value in marketplace.mappings
        ]
        if entries:
            request = ImportMappingsRequest(
                request_id=self._secrets.request_id(f"mappings {marketplace.name}"),
                marketplace=marketplace.name,
                mappings=entries,
            )
            await self._api.reference.ImportMappings(request)

    async def ensure_pairing(self, account: Account, code_file: Path) -> None:
        """Gives the seller's browser a code, unless one is paired."""
        wanted = ListPairingsRequest(tenant_id=account.tenant_id, account_id=account.account_id)
        if (await self._api.accounts.ListPairings(wanted)).pairings:
            return
        request = CreatePairingCodeRequest(
            request_id=self._secrets.new_request_id(),
            tenant_id=account.tenant_id,
            account_id=account.account_id,
        )
        code = (await self._api.accounts.CreatePairingCode(request)).code
        partial = code_file.with_name(f".{code_file.name}")
        partial.touch(0o600)
        partial.write_text(code)
        partial.replace(code_file)

    async def _find_account(self, tenant_id: int, marketplace: str) -> Account | None:
        request = ListAccountsRequest(tenant_id=tenant_id, page_size=PAGE_SIZE)
        accounts = (await self._api.accounts.ListAccounts(request)).accounts
        return next((one for one in accounts if one.marketplace == marketplace), None)

    async def ensure_product(self, tenant_id: int) -> Product:
        """Returns the product with all its pictures; those that it has already are not sent again."""
        request = CreateProductRequest(
            request_id=self._secrets.request_id(f"product {SKU}"),
            tenant_id=tenant_id,
            content=demo_product(),
        )
        product = (await self._api.products.CreateProduct(request)).product
        if len(product.images) < PICTURE_COUNT:
            for picture in draw_pictures()[len(product.images) :]:
                product = await self._add_picture(product, picture)
        return product

    async def _add_picture(self, product: Product, picture: Picture) -> Product:
        header = AddProductImageRequest.Header(
            request_id=self._secrets.request_id(f"picture {picture.name} of {SKU}"),
            tenant_id=product.tenant_id,
            product_id=product.product_id,
        )

        async def parts() -> AsyncIterator[AddProductImageRequest]:
            yield AddProductImageRequest(header=header)
            for start in range(0, len(picture.content), CHUNK_BYTES):
                yield AddProductImageRequest(chunk=picture.content[start : start + CHUNK_BYTES])

        return (await self._api.products.AddProductImage(parts())).product

    async def ensure_second_product(self, tenant_id: int) -> Product:
        """Returns the product whose listing is made and ended again, with its one picture."""
        request = CreateProductRequest(
            request_id=self._secrets.request_id("second product"),
            tenant_id=tenant_id,
            content=second_product(),
        )
        product = (await self._api.products.CreateProduct(request)).product
        if not product.images:
            picture = draw_pictures()[0]
            product = await self._add_picture(product, Picture(f"second {picture.name}", picture.content))
        return product
