"""What a shop has and what it sold is read whole; every exchange obeys Etsy's document."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stoflow_connector_etsy.clients import listings, receipts
from stoflow_connector_etsy.services import sync
from stoflow_connector_sdk import AccountListing, ListingState, OrderChange, OrderState, SyncState
from tests.contract.connector_etsy.selling import Job, Selling


def found(job: Job) -> dict[str, tuple[str, int]]:
    """What a sync found: SKU and state by listing."""
    return {
        change.remote_id: (change.sku, change.state)
        for result in job.results
        for change in result.found_listings
    }


def orders(job: Job) -> list[OrderChange]:
    return [order for result in job.results for order in result.orders]


async def test_every_state_is_read_with_its_skus(selling: Selling) -> None:
    """Active, sold out, inactive and draft listings are found, each with its SKU and its state."""
    ids = {}
    for state in ("active", "sold_out", "inactive", "draft"):
        selling.sku = selling.product.content.sku = f"{selling.sku[:24]}-{state[:4]}"
        selling.listings = []
        selling.generation += 1
        job = await selling.run("publish", last="finish_draft" if state == "draft" else "")
        listing_id = str(job.outputs["create_draft"][0]["listingId"])
        ids[listing_id] = (selling.sku, state)
        if state == "sold_out":
            selling.control.buy(selling.shop.username, {"listing_id": int(listing_id), "quantity": 2})
        if state == "inactive":
            await selling.run("delete")
    job = await selling.run("sync_listings")
    names = {
        "active": ListingState.LISTING_STATE_LIVE,
        "sold_out": ListingState.LISTING_STATE_SOLD,
        "inactive": ListingState.LISTING_STATE_ENDED,
        "draft": ListingState.LISTING_STATE_DRAFT,
    }
    assert found(job) == {key: (sku, names[state]) for key, (sku, state) in ids.items()}
    assert job.outputs["finish_listings"] == [{"listings": 4, "isComplete": True}]


async def test_pages_follow_one_another(selling: Selling, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop with more listings than a page is read page by page, each listing once."""
    for number in range(3):
        selling.generation += 1
        selling.sku = selling.product.content.sku = f"{selling.sku[:24]}-{number}"
        await selling.run("publish", last="put_inventory")
    monkeypatch.setattr(listings, "PAGE_SIZE", 2)
    monkeypatch.setattr(sync, "LISTING_PAGE", 2)
    job = await selling.run("sync_listings")
    assert len(found(job)) == 3
    assert [page["offset"] for page in job.outputs["read_listings"] if page["state"] == "draft"] == [0, 2]
    assert job.outputs["finish_listings"][0]["isComplete"] is True


async def test_listing_that_is_gone_is_reported_only_after_a_look_at_it(selling: Selling) -> None:
    """A listing that should be live and is not shown is read by its id; gone it is reported as ended."""
    job = await selling.run("publish")
    live = job.last.remote_id
    selling.sync_state = SyncState(
        listings=[AccountListing("12345", "gone"), AccountListing(live, selling.sku)]
    )
    job = await selling.run("sync_listings")
    changes = [change for result in job.results for change in result.found_listings]
    assert [(one.remote_id, one.state) for one in changes] == [
        (live, ListingState.LISTING_STATE_LIVE),
        ("12345", ListingState.LISTING_STATE_ENDED),
    ]
    assert job.outputs["check_listings"] == [{"checked": 2, "ended": 1}]


async def test_nothing_follows_from_an_incomplete_scan(selling: Selling) -> None:
    """When a page shows fewer than Etsy counts, no listing is looked for, and none is reported as gone."""
    selling.sync_state = SyncState(listings=[AccountListing("12345", "gone")])
    content = {"count": 2, "results": []}
    selling.fault("status", "GET", "/shops/*/listings", status=200, content=content)
    job = await selling.run("sync_listings")
    assert job.outputs["finish_listings"][0]["isComplete"] is False
    assert "check_listings" not in job.outputs
    assert found(job) == {}


async def test_orders_are_read_with_their_lines(selling: Selling) -> None:
    """A paid receipt is an order with the listing and SKU of what was sold."""
    job = await selling.run("publish")
    receipt = selling.control.buy(
        selling.shop.username, {"listing_id": int(job.last.remote_id), "quantity": 1}
    )
    (order,) = {one.remote_id: one for one in orders(await selling.run("sync_orders"))}.values()
    assert (order.remote_id, order.state) == (str(receipt), OrderState.ORDER_STATE_PAID)
    (line,) = order.lines
    assert (line.listing_remote_id, line.sku, line.quantity) == (job.last.remote_id, selling.sku, 1)
    assert line.price.amount_minor == 1999


async def test_cancellation_that_changes_no_time_is_seen(selling: Selling) -> None:
    """A cancellation or refund that Etsy does not count as a change is read all the same."""
    job = await selling.run("publish")
    username = selling.shop.username
    line = {"listing_id": int(job.last.remote_id), "quantity": 1}
    cancelled, refunded = selling.control.buy(username, line), selling.control.buy(username, line)
    selling.sync_state = SyncState(last_complete_time=datetime.now(UTC) + timedelta(days=2))
    selling.control.change_receipt(username, cancelled, "cancel", touch=False)
    selling.control.change_receipt(username, refunded, "refund", touch=False)
    synced = await selling.run("sync_orders")
    assert {one.remote_id: one.state for one in orders(synced)} == {
        str(cancelled): OrderState.ORDER_STATE_CANCELLED,
        str(refunded): OrderState.ORDER_STATE_REFUNDED,
    }
    changed = next(page for page in synced.outputs["read_orders"] if page["pass"] == "changed")
    assert changed["found"] == 0


async def test_phantom_receipt_is_passed_over(selling: Selling) -> None:
    """A receipt that is listed, and that Etsy does not know when asked for it, is no order."""
    job = await selling.run("publish")
    line = {"listing_id": int(job.last.remote_id), "quantity": 1}
    selling.control.buy(selling.shop.username, line, is_phantom=True)
    synced = await selling.run("sync_orders")
    assert orders(synced) == []
    assert synced.last.output["phantoms"] > 0


async def test_windows_overlap_the_last_complete_sync(selling: Selling) -> None:
    """What the last complete sync has seen is read again for a day before it; without one, all that is revisited."""
    last = datetime(2026, 11, 20, 12, tzinfo=UTC)
    selling.sync_state = SyncState(last_complete_time=last)
    job = Job("sync_orders")
    (following,) = (await selling.attempt(job, "begin_orders")).follow_ups
    assert following.input["changedSince"] == int((last - timedelta(days=1)).timestamp())
    selling.sync_state = SyncState()
    (following,) = (await selling.attempt(job, "begin_orders")).follow_ups
    assert following.input["changedSince"] == following.input["createdSince"]


def test_pages_are_as_large_as_etsy_allows() -> None:
    """The document allows at most 100 results a page."""
    assert (listings.PAGE_SIZE, receipts.PAGE_SIZE) == (100, 100)
