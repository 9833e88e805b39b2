"""What syncs find: listings, linked by SKU or by the seller, and orders."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.catalog.v1 import listing_pb2, listing_service_pb2, order_pb2, order_service_pb2
from stoflow.catalog.v1.preview_service_pb2 import PreviewPublishRequest
from stoflow.common.v1.money_pb2 import Money
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import batch_service_pb2

from stoflow_service_kit.grpc_channel import RichError, rich_error
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, manifest, step
from tests.integration.orchestrator_engine.market import (
    change_title,
    finish,
    listings,
    open_market,
    run_job,
    seen,
)


async def sync(shop: Shop, connector: Connector, *found: task_pb2.ListingChange, **success: Any) -> None:
    await run_job(shop, connector, "sync", found_listings=found, **success)


async def link(shop: Shop, listing_id: str, product_id: str, **values: Any) -> listing_pb2.Listing:
    request = listing_service_pb2.LinkListingRequest(
        **{"request_id": str(uuid.uuid4()), "tenant_id": shop.tenant_id, **values},
        listing_id=listing_id,
        product_id=product_id,
    )
    return (await shop.stubs.listings.LinkListing(request)).listing


async def unlink(shop: Shop, listing_id: str, product_id: str, **values: Any) -> listing_pb2.Listing:
    request = listing_service_pb2.UnlinkListingRequest(
        **{"request_id": str(uuid.uuid4()), "tenant_id": shop.tenant_id, **values},
        listing_id=listing_id,
        product_id=product_id,
    )
    return (await shop.stubs.listings.UnlinkListing(request)).listing


async def refusal(call: Any) -> RichError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return rich_error(caught.value)


async def test_found_listings_are_linked_by_sku(shop: Shop) -> None:
    """A listing with a product's SKU is linked to it; another is listed among the unlinked ones."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id, sku="DRESS1")
    price = Money(currency_code="EUR", amount_minor=1200)
    await sync(
        shop,
        connector,
        seen("r1", sku="DRESS1", title="Dress", url="https://m.test/1", price=price),
        seen("r2", sku="UNKNOWN"),
        seen("r3"),
        # A page may show one twice; the last counts.
        seen("r3", title="Vase", state=listing_pb2.LISTING_STATE_ENDED),
    )
    (linked,) = await listings(shop, product_id=product_id)
    assert (linked.remote_id, linked.link, linked.is_stale) == ("r1", listing_pb2.LISTING_LINK_SKU, False)
    assert (linked.sku, linked.title, linked.url, linked.price) == (
        "DRESS1",
        "Dress",
        "https://m.test/1",
        price,
    )
    assert (linked.marketplace, linked.product_version) == (shop.marketplace, 1)
    unlinked = await listings(shop, only_unlinked=True)
    assert {(found.remote_id, found.product_id, found.link) for found in unlinked} == {
        ("r2", "", listing_pb2.LISTING_LINK_UNSPECIFIED),
        ("r3", "", listing_pb2.LISTING_LINK_UNSPECIFIED),
    }
    assert [found.remote_id for found in await listings(shop, sku="UNKNOWN")] == ["r2"]
    ended = await listings(shop, states=[listing_pb2.LISTING_STATE_ENDED])
    assert [(found.remote_id, found.title) for found in ended] == [("r3", "Vase")]
    # The product comes later: the next sync links it, and writes nothing else.
    before = {found.remote_id: found.update_time.ToNanoseconds() for found in await listings(shop)}
    later = await shop.stubs.create_product(shop.tenant_id, sku="UNKNOWN")
    await sync(shop, connector, seen("r1", sku="DRESS1"), seen("r2", sku="UNKNOWN"))
    (found,) = await listings(shop, product_id=later)
    assert (found.remote_id, found.link) == ("r2", listing_pb2.LISTING_LINK_SKU)
    after = {found.remote_id: found.update_time.ToNanoseconds() for found in await listings(shop)}
    assert {remote_id for remote_id in before if after[remote_id] != before[remote_id]} == {"r2"}


async def test_seller_links_and_unlinks(shop: Shop) -> None:
    """The seller's word stands: no sync and no result of a job links again what the seller unlinked."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id, sku="DRESS1")
    other = await shop.stubs.create_product(shop.tenant_id)
    await sync(shop, connector, seen("r1", sku="DRESS1"), seen("r2"))
    listing_ids = {found.remote_id: found.listing_id for found in await listings(shop)}
    await change_title(shop, other, "Newer")
    linked = await link(shop, listing_ids["r2"], other)
    assert (linked.product_id, linked.link) == (other, listing_pb2.LISTING_LINK_SELLER)
    assert (linked.product_version, linked.is_stale) == (2, False)
    await change_title(shop, other, "Newest")
    assert [found.remote_id for found in await listings(shop, only_stale=True)] == ["r2"]

    error = await refusal(link(shop, listing_ids["r2"], product_id))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LISTING_LINKED")
    assert (await refusal(unlink(shop, listing_ids["r2"], product_id))).reason == "LISTING_LINKED"
    # The link of a sync becomes the seller's own; what the listing shows does not change by that.
    confirmed = await link(shop, listing_ids["r1"], product_id)
    assert (confirmed.link, confirmed.product_version) == (listing_pb2.LISTING_LINK_SELLER, 1)

    unlinked = await unlink(shop, listing_ids["r1"], product_id)
    assert (unlinked.product_id, unlinked.link) == ("", listing_pb2.LISTING_LINK_UNSPECIFIED)
    await sync(shop, connector, seen("r1", sku="DRESS1", title="Seen again"))
    (found,) = await listings(shop, sku="DRESS1")
    assert (found.product_id, found.title) == ("", "Seen again")
    await run_job(shop, connector, "update", product_id, listing=seen("r1"))
    assert (await listings(shop, sku="DRESS1"))[0].product_id == ""
    assert (await link(shop, listing_ids["r1"], product_id)).product_id == product_id


async def test_repeated_link_answers_and_changes_nothing(shop: Shop) -> None:
    """A request_id links once; with another body it is refused."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await sync(shop, connector, seen("r1"))
    (found,) = await listings(shop)
    request_id = str(uuid.uuid4())
    first = await link(shop, found.listing_id, product_id, request_id=request_id)
    await unlink(shop, found.listing_id, product_id)
    again = await link(shop, found.listing_id, product_id, request_id=request_id)
    assert (first.product_id, again.product_id) == (product_id, "")
    error = await refusal(link(shop, found.listing_id, str(uuid.uuid4()), request_id=request_id))
    assert error.reason == "REQUEST_ID_REUSED"


async def test_of_concurrent_links_one_wins(shop: Shop) -> None:
    """Callers who link one listing to different products: one succeeds, the others are told."""
    connector = await open_market(shop)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(6)]
    await sync(shop, connector, seen("r1"))
    (found,) = await listings(shop)
    answers = await asyncio.gather(
        *(link(shop, found.listing_id, product_id) for product_id in products), return_exceptions=True
    )
    won = [answer.product_id for answer in answers if isinstance(answer, listing_pb2.Listing)]
    lost = [rich_error(a).reason for a in answers if isinstance(a, grpc.aio.AioRpcError)]
    assert (len(won), lost) == (1, ["LISTING_LINKED"] * 5)
    assert (await listings(shop))[0].product_id == won[0]


async def test_sync_leaves_alone_what_changed_since_it_began(shop: Shop) -> None:
    """What a sync saw before a job ended the listing does not bring it back to life."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await run_job(shop, connector, "publish", product_id, listing=seen("r1"))
    slow = await shop.create_job(action="sync")
    command, granted = await connector.receive_and_start()
    ended = seen("r1", state=listing_pb2.LISTING_STATE_ENDED)
    await run_job(shop, connector, "update", product_id, listing=ended)
    await finish(connector, command, granted.lease_token, found_listings=[seen("r1")])
    await shop.wait_for_end(slow.job_id)
    (found,) = await listings(shop)
    assert (found.state, found.link) == (listing_pb2.LISTING_STATE_ENDED, listing_pb2.LISTING_LINK_JOB)
    await sync(shop, connector, seen("r1"))
    assert (await listings(shop))[0].state == listing_pb2.LISTING_STATE_LIVE


def sold(remote_id: str, changed: int, **values: Any) -> task_pb2.OrderChange:
    fields: dict[str, Any] = {
        "remote_id": remote_id,
        "state": order_pb2.ORDER_STATE_PAID,
        "place_time": Timestamp(seconds=1_700_000_000 + int(remote_id[1:])),
        "change_time": Timestamp(seconds=1_700_000_000 + changed),
        "lines": [task_pb2.OrderLineChange(remote_id="l1", sku="DRESS1", quantity=1)],
    }
    return task_pb2.OrderChange(**{**fields, **values})


async def orders(shop: Shop, **wanted: Any) -> list[order_pb2.Order]:
    request = order_service_pb2.ListOrdersRequest(**{"tenant_id": shop.tenant_id, **wanted})
    return list((await shop.stubs.orders.ListOrders(request)).orders)


async def test_orders_are_stored_and_listed(shop: Shop) -> None:
    """Orders come with their lines, the one bought last first, and every filter narrows them."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id, sku="DRESS1")
    total = Money(currency_code="EUR", amount_minor=2500)
    lines = [
        task_pb2.OrderLineChange(remote_id="b", title="Vase", quantity=2, price=total),
        task_pb2.OrderLineChange(remote_id="a", sku="DRESS1", quantity=1),
    ]
    await sync(
        shop,
        connector,
        orders=[
            sold("o1", 10, total=total, lines=lines),
            sold("o2", 10, state=order_pb2.ORDER_STATE_SHIPPED, lines=[]),
        ],
    )
    newest, oldest = await orders(shop)
    assert [newest.remote_id, oldest.remote_id] == ["o2", "o1"]
    assert (oldest.total, oldest.state, oldest.marketplace) == (
        total,
        order_pb2.ORDER_STATE_PAID,
        shop.marketplace,
    )
    assert [(x.remote_id, x.product_id, x.quantity, x.title) for x in oldest.lines] == [
        ("b", "", 2, "Vase"),
        ("a", product_id, 1, ""),
    ]
    assert (oldest.lines[0].price, oldest.lines[1].HasField("price")) == (total, False)
    read = order_service_pb2.GetOrderRequest(tenant_id=shop.tenant_id, order_id=oldest.order_id)
    assert (await shop.stubs.orders.GetOrder(read)).order == oldest

    async def remote_ids(**wanted: Any) -> list[str]:
        return [order.remote_id for order in await orders(shop, **wanted)]

    assert await remote_ids(product_id=product_id) == ["o1"]
    assert await remote_ids(states=[order_pb2.ORDER_STATE_SHIPPED]) == ["o2"]
    assert await remote_ids(account_id=shop.account_id) == ["o2", "o1"]
    assert await remote_ids(account_id=str(uuid.uuid4())) == []
    assert await remote_ids(placed_from_time=newest.place_time) == ["o2"]
    assert await remote_ids(placed_before_time=newest.place_time) == ["o1"]
    request = order_service_pb2.ListOrdersRequest(tenant_id=shop.tenant_id, page_size=1)
    page = await shop.stubs.orders.ListOrders(request)
    request.page_token = page.next_page_token
    rest = await shop.stubs.orders.ListOrders(request)
    assert ([page.orders[0].remote_id, rest.orders[0].remote_id], rest.next_page_token) == (["o2", "o1"], "")


async def test_older_order_does_not_replace_newer(shop: Shop) -> None:
    """An order follows the marketplace's own time of change; a cancellation at the same time is believed."""
    connector = await open_market(shop)

    async def state_after(change: task_pb2.OrderChange) -> str:
        await sync(shop, connector, orders=[change])
        (order,) = await orders(shop)
        return order_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_")

    assert await state_after(sold("o1", 20, state=order_pb2.ORDER_STATE_SHIPPED)) == "SHIPPED"
    assert await state_after(sold("o1", 10, state=order_pb2.ORDER_STATE_PAID)) == "SHIPPED"
    assert await state_after(sold("o1", 20, state=order_pb2.ORDER_STATE_CANCELLED)) == "CANCELLED"
    assert await state_after(sold("o1", 30, state=order_pb2.ORDER_STATE_REFUNDED)) == "REFUNDED"


async def test_order_lines_follow_the_sellers_link(shop: Shop) -> None:
    """A line without a product gets that of its listing when the seller links it, and keeps it."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    line = task_pb2.OrderLineChange(remote_id="l1", listing_remote_id="r1", quantity=1)
    await sync(shop, connector, seen("r1"), orders=[sold("o1", 10, lines=[line])])
    assert (await orders(shop))[0].lines[0].product_id == ""
    (found,) = await listings(shop)
    await link(shop, found.listing_id, product_id)
    assert (await orders(shop))[0].lines[0].product_id == product_id
    await unlink(shop, found.listing_id, product_id)
    await sync(shop, connector, orders=[sold("o1", 20, lines=[line])])
    assert (await orders(shop))[0].lines[0].product_id == product_id


async def test_product_that_is_listed_already_is_not_listed_again(shop: Shop) -> None:
    """A job that would list a product where a sync found it listed is refused, alone, in batches and in previews."""
    content = manifest(shop.marketplace, step("create", once="listing"), requires_product=True)
    for action, spec in (("update", step("only")), ("sync", step("only"))):
        content.actions.add().CopyFrom(content.actions[0])
        content.actions[-1].name = action
        content.actions[-1].requires_product = action != "sync"
        del content.actions[-1].tasks[:]
        content.actions[-1].tasks.append(spec)
    connector = await shop.add_connector(content)
    shop.tenant_id = await shop.stubs.create_tenant()
    shop.account_id = await shop.stubs.create_account(shop.tenant_id, shop.marketplace)
    product_id = await shop.stubs.create_product(shop.tenant_id, sku="DRESS1")
    await sync(shop, connector, seen("r1", sku="DRESS1"))

    error = await refusal(shop.create_job(product_id))
    (violation,) = error.violations
    assert (error.reason, violation.field) == ("PRODUCT_REFUSED", "product.product.product_id")
    assert "r1" in violation.description
    batch = batch_service_pb2.CreateBatchRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        product_ids=[product_id],
        action="publish",
    )
    (violation,) = (await refusal(shop.stubs.batches.CreateBatch(batch))).violations
    assert violation.field == "product_ids[0].product.product_id"
    look = PreviewPublishRequest(tenant_id=shop.tenant_id, account_id=shop.account_id, product_id=product_id)
    preview = (await shop.stubs.previews.PreviewPublish(look)).preview
    assert [found.code for found in preview.violations] == ["listed"]

    await run_job(shop, connector, "update", product_id, listing=seen("r1"))
    await sync(shop, connector, seen("r1", state=listing_pb2.LISTING_STATE_ENDED))
    await sync(shop, connector, seen("r2", sku="DRESS1", state=listing_pb2.LISTING_STATE_DRAFT))
    assert "r2" in (await refusal(shop.create_job(product_id))).violations[0].description
    await sync(shop, connector, seen("r2", state=listing_pb2.LISTING_STATE_ENDED))
    elsewhere = await shop.stubs.create_account(shop.tenant_id, shop.marketplace)
    assert (await shop.create_job(product_id)).job_id
    assert (await shop.create_job(product_id, account_id=elsewhere)).job_id


async def test_findings_belong_to_their_tenant(shop: Shop, orchestrator: Any) -> None:
    """Another tenant sees none of them, and reaches none by its id."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await sync(shop, connector, seen("r1"), orders=[sold("o1", 10)])
    (found,), (order,) = await listings(shop), await orders(shop)
    other = Shop(orchestrator, shop.stubs)
    other.tenant_id = await shop.stubs.create_tenant()
    foreign = await shop.stubs.create_product(other.tenant_id)
    assert (await listings(other), await orders(other)) == ([], [])
    read = order_service_pb2.GetOrderRequest(tenant_id=other.tenant_id, order_id=order.order_id)
    assert (await refusal(shop.stubs.orders.GetOrder(read))).reason == "ORDER_NOT_FOUND"
    assert (await refusal(link(other, found.listing_id, foreign))).reason == "LISTING_NOT_FOUND"
    assert (await refusal(unlink(other, found.listing_id, foreign))).reason == "LISTING_NOT_FOUND"
    assert (await refusal(link(shop, found.listing_id, foreign))).reason == "PRODUCT_NOT_FOUND"
    policy = listing_service_pb2.GetUpdatePolicyRequest(tenant_id=other.tenant_id, account_id=shop.account_id)
    assert (await refusal(shop.stubs.listings.GetUpdatePolicy(policy))).reason == "ACCOUNT_NOT_FOUND"
    change = listing_service_pb2.SetUpdatePolicyRequest(
        request_id=str(uuid.uuid4()), tenant_id=other.tenant_id, account_id=shop.account_id, is_automatic=True
    )
    assert (await refusal(shop.stubs.listings.SetUpdatePolicy(change))).reason == "ACCOUNT_NOT_FOUND"
    assert (await link(shop, found.listing_id, product_id)).product_id == product_id
