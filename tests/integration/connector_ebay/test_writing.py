"""A product on two eBay sites, brought there, kept up to date and taken off through a real orchestrator."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import duration_pb2, struct_pb2
from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.catalog.v1 import listing_pb2, listing_service_pb2, product_pb2, product_service_pb2
from stoflow.common.v1.money_pb2 import Money
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from tests.chaos.kill_matrix.cell import draw
from tests.integration.connector_ebay.selling import EbayShop

COMPLETED, FAILED = job_pb2.JOB_STATE_COMPLETED, job_pb2.JOB_STATE_FAILED
LIVE, ENDED = listing_pb2.LISTING_STATE_LIVE, listing_pb2.LISTING_STATE_ENDED
DE, FR = "EBAY_DE", "EBAY_FR"
ATTRIBUTES = {"Size": "M", "Color": "Blue", "Department": "Women"}


class Selling:
    """One product of one seller on two sites."""

    def __init__(self, shop: EbayShop, product_id: str, sku: str) -> None:
        self.shop = shop
        self.product_id = product_id
        self.sku = sku

    async def run(self, action: str, site: str, **job: Any) -> job_pb2.Job:
        request = job_service_pb2.CreateJobRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.shop.tenant_id,
            account_id=self.shop.account_id,
            product_id=self.product_id,
            action=action,
            site=site,
            **job,
        )
        created = (await self.shop.stubs.jobs.CreateJob(request)).job
        return await self.shop.end_of(created.job_id)

    async def change(self, **content: Any) -> None:
        read = product_service_pb2.GetProductRequest(
            tenant_id=self.shop.tenant_id, product_id=self.product_id
        )
        request = product_service_pb2.UpdateProductRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=self.shop.tenant_id,
            product_id=self.product_id,
            etag=(await self.shop.stubs.products.GetProduct(read)).product.etag,
            content=product_pb2.ProductContent(**content),
        )
        request.update_mask.paths.extend(content)
        await self.shop.stubs.products.UpdateProduct(request)

    async def shown(self, site: str) -> dict[str, Any]:
        """The newest listing on a site as eBay shows it."""
        state = await self.shop.control.state(self.shop.seller.username)
        listings = state["sellers"][self.shop.seller.username]["listings"].values()
        found: dict[str, Any] = [one for one in listings if one["marketplaceId"] == site][-1]
        return found

    async def listing(self, site: str) -> listing_pb2.Listing:
        (found,) = [one for one in (await self.shop.listings()).values() if one.site == site]
        return found


@pytest.fixture
async def selling(shop: EbayShop) -> AsyncIterator[Selling]:
    """A product that is live in Germany and in France."""
    async with shop.connector():
        settings = {site: {**shop.seller.policies[site], "merchantLocationKey": "main"} for site in (DE, FR)}
        struct = struct_pb2.Struct()
        struct.update(settings)
        account = account_service_pb2.CreateAccountRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=shop.tenant_id,
            marketplace="ebay",
            display_name="Seller",
            sites=[DE, FR],
            settings=struct,
            credentials=account_pb2.OAuthCredentials(refresh_token=shop.seller.refresh_token or ""),
        )
        shop.account_id = (await shop.stubs.accounts.CreateAccount(account)).account.account_id
        sku = f"SKU{uuid.uuid4().hex[:12]}"
        product_id = await shop.stubs.create_product(
            shop.tenant_id,
            images=(draw("red"), draw("green")),
            sku=sku,
            brand="Atelier",
            price=Money(currency_code="EUR", amount_minor=3900),
            stock_quantity=3,
            attributes={
                name: product_pb2.AttributeValues(values=[value]) for name, value in ATTRIBUTES.items()
            },
        )
        selling = Selling(shop, product_id, sku)
        for site in (DE, FR):
            job = await selling.run("publish", site)
            assert job.state == COMPLETED, job.failure
        yield selling


async def test_changes_reach_both_sites_and_an_end_one(selling: Selling) -> None:
    """One item and its pictures serve both sites; a change follows on each by itself; a delete ends one of them."""
    german, french = await selling.shown(DE), await selling.shown(FR)
    assert german["imageUrls"] == french["imageUrls"]
    assert german["listingId"] != french["listingId"]
    policy = listing_service_pb2.SetUpdatePolicyRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=selling.shop.tenant_id,
        account_id=selling.shop.account_id,
        is_automatic=True,
        quiet_period=duration_pb2.Duration(seconds=1),
    )
    await selling.shop.stubs.listings.SetUpdatePolicy(policy)
    price = Money(currency_code="EUR", amount_minor=3500)
    await selling.change(price=price, title="Linen dress, blue")
    async with asyncio.timeout(30):
        for site in (DE, FR):
            while (await selling.shown(site))["price"]["value"] != "35.00":  # noqa: ASYNC110 - at eBay
                await asyncio.sleep(0.2)
            while (await selling.listing(site)).is_stale:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
    assert {(await selling.shown(site))["title"] for site in (DE, FR)} == {"Linen dress, blue"}
    assert (await selling.run("delete", DE)).state == COMPLETED
    assert ((await selling.shown(DE))["status"], (await selling.shown(FR))["status"]) == ("ENDED", "ACTIVE")
    assert ((await selling.listing(DE)).state, (await selling.listing(FR)).state) == (ENDED, LIVE)


@pytest.mark.parametrize(
    ("method", "path", "title"),
    [
        ("POST", "bulk_update_price_quantity", {}),
        ("PUT", "inventory_item/*", {"title": "Older"}),
        ("PUT", "offer/*", {"title": "Older"}),
    ],
)
async def test_retried_older_update_is_dropped(
    selling: Selling, method: str, path: str, title: dict[str, str]
) -> None:
    """An update that failed and is retried after a newer one has been applied changes nothing at eBay."""
    await selling.shop.control.add_fault(
        "status",
        method=method,
        path=f"/sell/inventory/v1/{path}",
        seller=selling.shop.seller.username,
        status=500,
    )
    await selling.change(price=Money(currency_code="EUR", amount_minor=1000), **title)
    older = await selling.run("update", DE, max_retries=0)
    assert older.state == FAILED
    await selling.change(price=Money(currency_code="EUR", amount_minor=2000), title="Newer")
    assert (await selling.run("update", DE)).state == COMPLETED
    retry = job_service_pb2.RetryJobRequest(
        request_id=str(uuid.uuid4()), tenant_id=selling.shop.tenant_id, job_id=older.job_id
    )
    await selling.shop.stubs.jobs.RetryJob(retry)
    retried = await selling.shop.end_of(older.job_id)
    # The comparison was done before the failure, so only the writing steps run again, and each asks for itself.
    assert retried.state == COMPLETED, retried.failure
    shown = await selling.shown(DE)
    assert (shown["price"]["value"], shown["title"]) == ("20.00", "Newer")
