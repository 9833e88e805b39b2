"""The rows of Vinted's kill matrix: what is asked for, which request a fault meets, and what must stand at the end."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stoflow.catalog.v1 import listing_pb2, listing_service_pb2, order_service_pb2, product_service_pb2

from tests.integration.connector_vinted.stage import Seller

TITLE = "Leather bag, mended"
PICTURES = 2
CREATE = "/api/v2/item_upload/items"


@dataclass(frozen=True)
class Row:
    """A task.

    Attributes:
        task: Its name.
        action: The job's.
        method: Of the request that a fault meets.
        path: Of the same.
        prepare: Makes what the job needs; returns its product, or nothing for a job without one.
        judge: Returns what is not as it must be.
    """

    task: str
    action: str
    method: str
    path: str
    prepare: Callable[[Seller], Awaitable[str]]
    judge: Callable[[Seller], Awaitable[list[str]]]


async def a_product(seller: Seller) -> str:
    """A product that is not listed."""
    return await seller.create_product(pictures=PICTURES)


async def a_listed_product(seller: Seller) -> str:
    """A product with an item."""
    product_id = await a_product(seller)
    await seller.run("publish", product_id)
    return product_id


async def a_changed_product(seller: Seller) -> str:
    """A product whose item shows an older title."""
    product_id = await a_listed_product(seller)
    products = seller.stage.stubs.products
    current = product_service_pb2.GetProductRequest(tenant_id=seller.tenant_id, product_id=product_id)
    change = product_service_pb2.UpdateProductRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=seller.tenant_id,
        product_id=product_id,
        etag=(await products.GetProduct(current)).product.etag,
    )
    change.content.title = TITLE
    change.update_mask.paths.append("title")
    await products.UpdateProduct(change)
    return product_id


async def a_wardrobe(seller: Seller) -> str:
    """One item, and no product for the job."""
    await a_listed_product(seller)
    return ""


async def a_vanished_item(seller: Seller) -> str:
    """An item that the seller deleted at the site."""
    await a_listed_product(seller)
    (item_id,) = (await seller.wardrobe())["items"]
    tab = seller.browsers[0].executor.tab
    assert tab is not None
    await tab.perform("delete_item", {"item_id": item_id}, None)
    return ""


async def a_sale(seller: Seller) -> str:
    """An item that was sold."""
    await a_listed_product(seller)
    (item_id,) = (await seller.wardrobe())["items"]
    await seller.stage.control.sell(item_id)
    return ""


async def one_item(seller: Seller) -> list[str]:
    """Exactly one item was ever made, with every picture, and it is the one live listing."""
    wardrobe = await seller.wardrobe()
    problems = []
    made = sum(wardrobe["created"]["items"].values())
    if made != 1 or len(wardrobe["items"]) != 1:
        problems.append(f"{made} items were made, {len(wardrobe['items'])} stand there")
    shown = [len(item["photos"]) for item in wardrobe["items"].values()]
    if shown != [PICTURES]:
        problems.append(f"the items show {shown} pictures")
    sends = await seller.stage.control.requests(seller=seller.login, method="POST", path=CREATE)
    if len(sends) != 1:
        problems.append(f"the create was sent {len(sends)} times")
    live = await listings(seller, listing_pb2.LISTING_STATE_LIVE)
    if live != sorted(wardrobe["items"]):
        problems.append(f"the live listings are {live}")
    return problems


async def new_title(seller: Seller) -> list[str]:
    """The item shows the product as it is, and there is still one."""
    items = (await seller.wardrobe())["items"]
    titles = [item["title"] for item in items.values()]
    return await one_item(seller) + ([] if titles == [TITLE] else [f"the titles are {titles}"])


async def no_item(seller: Seller) -> list[str]:
    """Nothing stands there, and the listing has ended."""
    items = (await seller.wardrobe())["items"]
    problems = [f"{len(items)} items stand there"] if items else []
    ended = await listings(seller, listing_pb2.LISTING_STATE_ENDED)
    return problems + ([] if len(ended) == 1 else [f"the ended listings are {ended}"])


async def one_order(seller: Seller) -> list[str]:
    """The sale is one order."""
    request = order_service_pb2.ListOrdersRequest(tenant_id=seller.tenant_id)
    orders = (await seller.stage.stubs.orders.ListOrders(request)).orders
    return [] if len(orders) == 1 else [f"{len(orders)} orders"]


async def listings(seller: Seller, state: listing_pb2.ListingState.ValueType) -> list[str]:
    request = listing_service_pb2.ListListingsRequest(tenant_id=seller.tenant_id)
    found = (await seller.stage.stubs.listings.ListListings(request)).listings
    return sorted(listing.remote_id for listing in found if listing.state == state)


_ITEM = "/api/v2/item_upload/items/*"
_WARDROBE = "/api/v2/wardrobe/*/items"
# Steps that ask nothing of the site (check_product, begin_ and finish_ ones) have no moment of their own to be hit.
ROWS = (
    Row("upload_photo", "publish", "POST", "/api/v2/photos", a_product, one_item),
    Row("create_item", "publish", "POST", CREATE, a_product, one_item),
    Row("update_item", "update", "PUT", _ITEM, a_changed_product, new_title),
    Row("delete_item", "delete", "POST", "/api/v2/items/*/delete", a_listed_product, no_item),
    Row("read_wardrobe", "sync_listings", "GET", _WARDROBE, a_wardrobe, one_item),
    Row("confirm_missing", "sync_listings", "GET", _ITEM, a_vanished_item, no_item),
    Row("read_orders", "sync_orders", "GET", "/api/v2/my_orders", a_sale, one_order),
    Row("check_connection", "check_connection", "GET", _WARDROBE, a_wardrobe, one_item),
)
