"""The two syncs through the whole connector and its runtime against the sandbox's real process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stoflow.connector.v1 import task_pb2

from stoflow_connector_ebay.services import sync
from stoflow_connector_sdk import ListingState, OrderState
from stoflow_connector_sdk.testing import InMemoryOrchestrator, JobRecord, run_against
from stoflow_sandbox.marketplaces.control import SandboxControl
from tests.contract.connector_ebay.publishing import Publishing
from tests.contract.connector_ebay.selling import ACCOUNT, Selling, new_sku
from tests.integration.sandbox_ebay.ebay_client import INVENTORY

ITEMS = f"{INVENTORY}/inventory_item"
ORDERS = "/sell/fulfillment/v1/order"
LIVE, ENDED = ListingState.LISTING_STATE_LIVE, ListingState.LISTING_STATE_ENDED


@pytest.fixture
async def selling(
    control: SandboxControl, publishing: Publishing, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Selling]:
    """A seller, and a connector that reads small pages."""
    monkeypatch.setattr(sync, "ITEMS_A_PAGE", 2)
    monkeypatch.setattr(sync, "ORDERS_A_PAGE", 3)
    monkeypatch.setattr(sync, "SHARED_ORDERS", 1)
    async with InMemoryOrchestrator(lease_seconds=5, heartbeat_seconds=0.2) as orchestrator:
        orchestrator.add_account(
            ACCOUNT,
            access_token="",
            refresh_token=publishing.seller.refresh_token,
            expires_in_seconds=-1,
        )
        async with run_against(orchestrator, publishing.definition):
            selling = Selling(control, orchestrator, publishing)
            yield selling
            selling.close()


def successes(job: JobRecord) -> list[task_pb2.TaskSuccess]:
    reports = [report for task in job.tasks for report in task.accepted]
    return [report.success for report in reports if report.HasField("success")]


def orders_of(job: JobRecord) -> dict[str, task_pb2.OrderChange]:
    return {order.remote_id: order for success in successes(job) for order in success.orders}


def listings_of(job: JobRecord) -> dict[str, task_pb2.ListingChange]:
    return {one.remote_id: one for success in successes(job) for one in success.found_listings}


def steps(job: JobRecord) -> list[str]:
    return [task.spec.name for task in job.tasks]


async def test_every_order_is_found_whatever_page_it_is_on(selling: Selling) -> None:
    """Seven orders on pages of three are all reported, with price of one piece, and without the buyer."""
    listing_id = selling.list_product(new_sku(), pieces=20)
    placed = [selling.buy(listing_id, quantity=2, buyer="bea-the-buyer") for _ in range(7)]
    job = await selling.run("sync_orders")
    assert job.state == "COMPLETED"
    found = orders_of(job)
    assert set(found) == set(placed)
    assert steps(job) == ["fetch_orders", "fetch_more_orders", "fetch_more_orders"]
    order = found[placed[0]]
    (line,) = order.lines
    assert order.state == OrderState.ORDER_STATE_PAID
    assert (order.total.currency_code, order.total.amount_minor) == ("USD", 5000)
    assert (line.listing_remote_id, line.quantity, line.price.amount_minor) == (listing_id, 2, 2500)
    told = b"".join(success.SerializeToString() for success in successes(job))
    for personal in (b"bea-the-buyer", b"Sample"):
        assert personal not in told
    # Records are skipped, not pages: the second page begins one record before the end of the first.
    assert [entry["query"].partition("offset=")[2] for entry in selling.requests("getOrders")] == [
        "0",
        "2",
        "4",
    ]


async def test_cancelled_orders_are_read_again_by_themselves(selling: Selling) -> None:
    """What a list only hints at is asked of the order: its end counts though eBay did not count it as a change."""
    listing_id = selling.list_product(new_sku())
    kept, cancelled, asked = (selling.buy(listing_id) for _ in range(3))
    change = selling.control.change_order
    change(selling.username, cancelled, cancellation="COMPLETED", counts_as_change=False)
    change(selling.username, asked, cancellation="REQUESTED")
    job = await selling.run("sync_orders")
    found = orders_of(job)
    assert steps(job) == ["fetch_orders", "reread_orders"]
    assert {key: order.state for key, order in found.items()} == {
        kept: OrderState.ORDER_STATE_PAID,
        cancelled: OrderState.ORDER_STATE_CANCELLED,
        asked: OrderState.ORDER_STATE_PAID,
    }
    assert found[cancelled].change_time.ToDatetime() > found[cancelled].place_time.ToDatetime()
    reads = [entry["path"].rpartition("/")[2] for entry in selling.requests("getOrder")]
    assert sorted(reads) == sorted([cancelled, asked])


async def test_next_sync_begins_where_the_last_whole_one_did(selling: Selling) -> None:
    """The first reads 90 days, the next what changed since the first but for the overlap, a failed one counts not."""
    asked = datetime.now(UTC)
    await selling.run("sync_orders")
    selling.fault("status", ORDERS, status=400)
    assert (await selling.run("sync_orders")).state == "FAILED"
    await selling.run("sync_orders")
    await selling.run("sync_orders", days=7)
    first, _, second, seven = [_since(entry) for entry in selling.requests("getOrders")]
    a_minute = timedelta(minutes=1)
    assert abs(asked - timedelta(days=90) - first) < a_minute
    assert abs(asked - sync.OVERLAP - second) < a_minute
    assert abs(asked - timedelta(days=7) - seven) < a_minute


def _since(entry: dict[str, Any]) -> datetime:
    text = entry["query"].partition("%5B")[2].partition("..")[0].replace("%3A", ":")
    return datetime.fromisoformat(text)


async def test_scan_of_orders_that_moved_begins_again(selling: Selling) -> None:
    """When nothing of the page before stands at its end any more, orders moved, and none is missed."""
    listing_id = selling.list_product(new_sku())
    placed = [selling.buy(listing_id) for _ in range(5)]
    strange = selling.control.change_order(selling.username, placed[0])
    strange["cancelStatus"]["cancelRequests"] = []
    page = [{**strange, "orderId": f"99-00000-0000{n}"} for n in range(3)]
    href = "https://api.ebay.com/sell/fulfillment/v1/order"
    content = {"href": href, "limit": 3, "offset": 0, "total": 5, "orders": page}
    selling.fault("status", ORDERS, status=200, content=content)
    job = await selling.run("sync_orders")
    assert job.state == "COMPLETED"
    assert set(placed) <= set(orders_of(job))
    offsets = [entry["query"].partition("offset=")[2] for entry in selling.requests("getOrders")]
    assert offsets == ["0", "2", "0", "2"]


async def test_every_listing_is_found_and_reported_as_ebay_shows_it(selling: Selling) -> None:
    """Listings on three pages are found with title, price and address; an article without an offer is none."""
    skus = sorted(new_sku() for _ in range(4))
    listings = {sku: selling.list_product(sku) for sku in skus}
    selling.ebay.put_item(new_sku())
    job = await selling.run("sync_listings")
    assert job.state == "COMPLETED"
    found = listings_of(job)
    assert {one.sku: key for key, one in found.items()} == listings
    one = found[listings[skus[0]]]
    assert (one.title, one.state, one.price.amount_minor) == ("Blue linen shirt", LIVE, 2500)
    assert one.url == f"https://www.ebay.com/itm/{listings[skus[0]]}"
    pages = [entry["query"].partition("offset=")[2] for entry in selling.requests("getInventoryItems")]
    assert pages == ["0", "1", "2"]
    assert steps(job)[-1] == "confirm_listings"


async def test_what_a_whole_scan_did_not_see_is_read_before_it_is_called_over(selling: Selling) -> None:
    """A withdrawn and a deleted listing end, a sold-out one as well, and one that a page left out stays live."""
    skus = {name: new_sku() for name in ("kept", "withdrawn", "deleted", "sold", "hidden")}
    listing = {name: selling.list_product(sku, pieces=1) for name, sku in skus.items()}
    await selling.run("sync_listings")
    offers = selling.control.state(selling.username)["sellers"][selling.username]["offers"]
    withdrawn = next(key for key, offer in offers.items() if offer["sku"] == skus["withdrawn"])
    selling.ebay.call("POST", f"{INVENTORY}/offer/{withdrawn}/withdraw")
    selling.ebay.call("DELETE", f"{ITEMS}/{skus['deleted']}")
    selling.buy(listing["sold"])
    # eBay's word on an empty inventory: everything known is missing, and nothing is believed to be over.
    nothing = {"total": 0, "size": 0, "limit": 2, "href": ITEMS, "inventoryItems": []}
    selling.fault("status", ITEMS, status=200, content=nothing)
    job = await selling.run("sync_listings")
    assert job.state == "COMPLETED"
    assert {key: one.state for key, one in listings_of(job).items()} == {
        listing["kept"]: LIVE,
        listing["withdrawn"]: ENDED,
        listing["deleted"]: ENDED,
        listing["sold"]: ENDED,
        listing["hidden"]: LIVE,
    }
    assert steps(job) == ["fetch_listings", *["confirm_listings"] * 3]


@pytest.mark.parametrize("cut", ["error", "short page", "crash of eBay"])
async def test_scan_that_is_cut_off_marks_nothing(selling: Selling, cut: str) -> None:
    """A scan that ends in the middle, or whose page is shorter than it must be, says of no listing that it is over."""
    for _ in range(5):
        selling.list_product(new_sku())
    first = await selling.run("sync_listings")
    assert len(selling.orchestrator.ledger.live_listings(first)) == 5
    if cut == "error":
        selling.fault("status", ITEMS, skip=1, status=400)
    elif cut == "crash of eBay":
        selling.fault("status", ITEMS, skip=1, status=500, times=None)
    else:
        short = {"total": 5, "size": 3, "limit": 2, "href": ITEMS, "inventoryItems": []}
        selling.fault("status", ITEMS, skip=1, status=200, content=short, times=None)
    job = await selling.run("sync_listings")
    assert job.state == "FAILED"
    assert "confirm_listings" not in steps(job)
    assert all(one.state == LIVE for one in listings_of(job).values())
    assert len(selling.orchestrator.ledger.live_listings(job)) == 5


async def test_listings_are_synced_for_one_site(selling: Selling) -> None:
    """A job whose site eBay does not know is refused with the field, and nothing is asked of eBay."""
    job = selling.orchestrator.submit(
        selling.publishing.definition.manifest(), "sync_listings", account_id=ACCOUNT, site=""
    )
    await selling.orchestrator.wait_for(job)
    (report,) = job.tasks[0].accepted
    assert [violation.field for violation in report.failure.violations] == ["site"]
    assert selling.requests("getInventoryItems") == []
