"""What the syncs bring into the catalogue of a real orchestrator."""

from __future__ import annotations

import asyncio

from stoflow.catalog.v1 import listing_pb2, order_pb2
from stoflow.jobs.v1 import job_pb2

from tests.integration.connector_ebay.selling import EbayShop

COMPLETED = job_pb2.JOB_STATE_COMPLETED
LIVE, ENDED = listing_pb2.LISTING_STATE_LIVE, listing_pb2.LISTING_STATE_ENDED


async def test_listings_and_orders_come_into_the_catalogue(shop: EbayShop) -> None:
    """Listings are linked to products by SKU, orders to products through them; a second sync changes nothing."""
    sku = "DRESS1"
    product_id = await shop.stubs.create_product(shop.tenant_id, sku=sku)
    listed = await asyncio.to_thread(shop.list_products, [sku, "OTHER1"])
    async with shop.connector():
        await shop.connect()
        assert (await shop.run("sync_listings", "EBAY_US")).state == COMPLETED
        placed = await shop.control.place_order(shop.seller.username, listed[sku], quantity=1)
        for _ in range(2):
            assert (await shop.run("sync_orders")).state == COMPLETED
            listings, orders = await shop.listings(), await shop.orders()
            assert set(listings) == set(listed.values())
            assert (listings[listed[sku]].product_id, listings[listed[sku]].state) == (product_id, LIVE)
            order = orders[placed["orderId"]]
            assert order.state == order_pb2.ORDER_STATE_PAID
            assert [(line.product_id, line.sku, line.quantity) for line in order.lines] == [
                (product_id, sku, 1)
            ]
        await shop.control.change_order(
            shop.seller.username, placed["orderId"], cancellation="COMPLETED", counts_as_change=False
        )
        await shop.run("sync_orders")
        assert (await shop.orders())[placed["orderId"]].state == order_pb2.ORDER_STATE_CANCELLED


async def test_listing_ended_at_ebay_ends_here_and_a_cut_scan_ends_nothing(shop: EbayShop) -> None:
    """The read of the item ends what a whole scan did not see; a scan that fails leaves everything live."""
    skus = [f"ITEM{number}" for number in range(4)]
    listed = await asyncio.to_thread(shop.list_products, skus)
    async with shop.connector():
        await shop.connect()
        await shop.run("sync_listings", "EBAY_US")
        await asyncio.to_thread(shop.withdraw, skus[0])
        refusal = {"errors": [{"errorId": 25706, "domain": "API_INVENTORY", "message": "Invalid page."}]}
        path = "/sell/inventory/v1/inventory_item"
        await shop.control.add_fault("status", method="GET", path=path, status=400, content=refusal)
        assert (await shop.run("sync_listings", "EBAY_US")).state == job_pb2.JOB_STATE_FAILED
        assert {one.state for one in (await shop.listings()).values()} == {LIVE}
        assert (await shop.run("sync_listings", "EBAY_US")).state == COMPLETED
        states = {key: one.state for key, one in (await shop.listings()).items()}
    assert states.pop(listed[skus[0]]) == ENDED
    assert set(states.values()) == {LIVE}
