"""Listings: filters, order, isolation."""

from __future__ import annotations

from uuid import UUID, uuid4

import grpc
import pytest
from stoflow.catalog.v1.listing_pb2 import LISTING_STATE_DRAFT, LISTING_STATE_LIVE
from stoflow.catalog.v1.listing_service_pb2 import ListListingsRequest

from tests.integration.orchestrator_catalog.catalog_api import CatalogApi, refusal

ONE, TWO = uuid4(), uuid4()


@pytest.fixture
async def tenant_id(api: CatalogApi) -> int:
    """A tenant with four listings, as results of tasks leave them: the last number changed last."""
    tenant_id = await api.new_tenant()
    for number, (product_id, account_id) in enumerate([(ONE, ONE), (ONE, TWO), (TWO, ONE), (TWO, TWO)]):
        await add_listing(api, tenant_id, number, product_id, account_id)
    return tenant_id


async def add_listing(
    api: CatalogApi, tenant_id: int, number: int, product_id: UUID, account_id: UUID
) -> None:
    await api.sql(
        f"INSERT INTO user_{tenant_id}.listings (listing_id, marketplace, account_id, product_id, site, remote_id,"
        " url, state, price_currency, price_minor, product_version, update_time) VALUES (gen_random_uuid(),"
        " 'ebay', :account_id, :product_id, 'EBAY_US', :remote_id, 'https://ebay.test/1', :state, :currency,"
        " :price, 3, now() + make_interval(secs => :number))",
        account_id=account_id,
        product_id=product_id,
        remote_id=str(number),
        state="LIVE" if number else "DRAFT",
        currency="USD" if number else None,
        price=3900 if number else None,
        number=number,
    )


async def test_listings_come_changed_last_first(api: CatalogApi, tenant_id: int) -> None:
    """All listings come page by page, the one changed last first, with all that is known of them."""
    first = await api.listings.ListListings(ListListingsRequest(tenant_id=tenant_id, page_size=3))
    rest = await api.listings.ListListings(
        ListListingsRequest(tenant_id=tenant_id, page_token=first.next_page_token)
    )
    listings = [*first.listings, *rest.listings]
    assert [listing.remote_id for listing in listings] == ["3", "2", "1", "0"]
    assert rest.next_page_token == ""
    newest, oldest = listings[0], listings[-1]
    assert (newest.state, newest.price.currency_code, newest.price.amount_minor) == (
        LISTING_STATE_LIVE,
        "USD",
        3900,
    )
    assert (newest.tenant_id, newest.marketplace, newest.site) == (tenant_id, "ebay", "EBAY_US")
    assert (newest.product_id, newest.account_id, newest.product_version) == (str(TWO), str(TWO), 3)
    assert newest.url == "https://ebay.test/1"
    assert (oldest.state, oldest.HasField("price")) == (LISTING_STATE_DRAFT, False)


async def test_filters_narrow_the_listings(api: CatalogApi, tenant_id: int) -> None:
    """Product and account narrow the list, alone and together; a token is bound to them."""

    async def remote_ids(product_id: str = "", account_id: str = "") -> list[str]:
        request = ListListingsRequest(tenant_id=tenant_id, product_id=product_id, account_id=account_id)
        return [listing.remote_id for listing in (await api.listings.ListListings(request)).listings]

    assert await remote_ids(product_id=str(ONE)) == ["1", "0"]
    assert await remote_ids(account_id=str(ONE)) == ["2", "0"]
    assert await remote_ids(product_id=str(TWO), account_id=str(ONE)) == ["2"]
    assert await remote_ids(product_id=str(uuid4())) == []
    page = await api.listings.ListListings(
        ListListingsRequest(tenant_id=tenant_id, product_id=str(ONE), page_size=1)
    )
    request = ListListingsRequest(tenant_id=tenant_id, product_id=str(TWO), page_token=page.next_page_token)
    error = await refusal(api.listings.ListListings(request))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_tenants_do_not_see_each_others_listings(api: CatalogApi, tenant_id: int) -> None:
    """Another tenant sees none of them; an unknown tenant and a malformed id are refused."""
    other = await api.new_tenant()
    request = ListListingsRequest(tenant_id=other, product_id=str(ONE))
    assert not (await api.listings.ListListings(request)).listings
    error = await refusal(api.listings.ListListings(ListListingsRequest(tenant_id=999)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "TENANT_NOT_FOUND")
    request = ListListingsRequest(tenant_id=tenant_id, product_id="x", page_size=1001)
    error = await refusal(api.listings.ListListings(request))
    assert {violation.field for violation in error.violations} == {"product_id", "page_size"}
