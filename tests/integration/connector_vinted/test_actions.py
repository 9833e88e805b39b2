"""What the actions do at the site, with everything real but the browser's window."""

from __future__ import annotations

import uuid

import pytest
from stoflow.catalog.v1 import (
    listing_pb2,
    listing_service_pb2,
    order_pb2,
    order_service_pb2,
    product_service_pb2,
)

from tests.integration.connector_vinted.stage import Replica, Seller

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def listings(seller: Seller) -> dict[str, listing_pb2.Listing]:
    request = listing_service_pb2.ListListingsRequest(tenant_id=seller.tenant_id)
    found = (await seller.stage.stubs.listings.ListListings(request)).listings
    return {listing.remote_id: listing for listing in found}


async def rename(seller: Seller, product_id: str, title: str) -> None:
    current = product_service_pb2.GetProductRequest(tenant_id=seller.tenant_id, product_id=product_id)
    product = (await seller.stage.stubs.products.GetProduct(current)).product
    change = product_service_pb2.UpdateProductRequest(
        request_id=str(uuid.uuid4()), tenant_id=seller.tenant_id, product_id=product_id, etag=product.etag
    )
    change.content.title = title
    change.update_mask.paths.append("title")
    await seller.stage.stubs.products.UpdateProduct(change)


async def test_publish_update_and_delete_go_through_the_browser(seller: Seller, replica: Replica) -> None:
    """A product becomes one item with its photos, follows a change with its photos kept, and is deleted once."""
    await seller.open_browser(replica)
    product_id = await seller.create_product(pictures=3)
    published = await seller.run("publish", product_id)
    steps = ["check_product", *["upload_photo"] * 3, "create_item"]
    assert [task.name for task in published.tasks] == steps
    ((item_id, item),) = (await seller.wardrobe())["items"].items()
    assert (item["price"], len(item["photos"])) == ({"amount": "39.50", "currency_code": "EUR"}, 3)
    assert (await listings(seller))[item_id].state == listing_pb2.LISTING_STATE_LIVE
    await rename(seller, product_id, "Leather bag, brown")
    await seller.run("update", product_id)
    updated = (await seller.wardrobe())["items"][item_id]
    assert (updated["title"], updated["photos"]) == ("Leather bag, brown", item["photos"])
    await seller.run("delete", product_id)
    assert (await seller.wardrobe())["items"] == {}
    assert (await listings(seller))[item_id].state == listing_pb2.LISTING_STATE_ENDED
    # Somebody asks once more: gone is as good as deleted.
    await seller.run("delete", product_id)


async def test_site_s_refusal_lists_every_violation(seller: Seller, replica: Replica) -> None:
    """What only the site can say fails the job for good, with the site's fields and no item made."""
    await seller.open_browser(replica)
    await seller.stage.map_dresses(seller.marketplace)
    product_id = await seller.create_product(category="clothing/women/dresses")
    job_id = await seller.submit("publish", product_id)
    job = await seller.wait_for(job_id, lambda job: job.HasField("finish_time"))
    assert [violation.field for violation in job.failure.violations] == ["size_id"]
    assert (await seller.wardrobe())["items"] == {}


async def test_sync_reads_the_whole_wardrobe_and_confirms_what_is_gone(
    seller: Seller, replica: Replica
) -> None:
    """Items are found, sold ones as SOLD; one that vanished is ENDED only after it was read."""
    browser = await seller.open_browser(replica)
    for _ in range(3):
        await seller.run("publish", await seller.create_product(pictures=1))
    kept, sold, deleted = sorted((await seller.wardrobe())["items"])
    await seller.stage.control.sell(sold)
    assert browser.executor.tab is not None
    await browser.executor.tab.perform("delete_item", {"item_id": deleted}, None)
    job = await seller.run("sync_listings")
    steps = ["begin_listings", "read_wardrobe", "finish_listings", "confirm_missing"]
    assert [task.name for task in job.tasks] == steps
    states = {remote_id: listing.state for remote_id, listing in (await listings(seller)).items()}
    assert states == {
        kept: listing_pb2.LISTING_STATE_LIVE,
        sold: listing_pb2.LISTING_STATE_SOLD,
        deleted: listing_pb2.LISTING_STATE_ENDED,
    }


async def test_sales_become_orders_without_their_buyers(seller: Seller, replica: Replica) -> None:
    """A sale is an order of its item, at its price; nothing names who bought."""
    await seller.open_browser(replica)
    await seller.run("publish", await seller.create_product(pictures=1))
    (item_id,) = (await seller.wardrobe())["items"]
    await seller.stage.control.sell(item_id, buyer="somebody-in-private")
    await seller.run("sync_orders")
    request = order_service_pb2.ListOrdersRequest(tenant_id=seller.tenant_id)
    (order,) = (await seller.stage.stubs.orders.ListOrders(request)).orders
    assert (order.state, order.total.amount_minor) == (order_pb2.ORDER_STATE_PAID, 3950)
    assert [line.listing_remote_id for line in order.lines] == [item_id]
    assert "somebody" not in str(order)


async def test_connection_is_checked_by_one_harmless_call(seller: Seller, replica: Replica) -> None:
    """The check reads one entry of the wardrobe, and nothing else is asked of the site."""
    browser = await seller.open_browser(replica)
    await seller.run("check_connection")
    paths = [entry["path"] for entry in await seller.stage.control.requests(seller=seller.login)]
    user_id = browser.executor.session()["user"]["id"]
    assert [path for path in paths if path.startswith("/api/")] == [f"/api/v2/wardrobe/{user_id}/items"]
