"""Orders at the Etsy sandbox: what selling does to listings, and how receipts can be found again."""

from typing import Any

import pytest

from stoflow_sandbox.marketplaces.etsy.orders import (
    OrderError,
    cancel_order,
    place_order,
    refund_order,
    ship_order,
)
from tests.integration.sandbox_etsy.etsy_client import EtsyClient
from tests.unit.stoflow_sandbox.marketplaces.etsy_site import EtsySite


def buy(site: EtsySite, listing_id: int, quantity: int = 1, **options: Any) -> int:
    seller = site.world.sellers["ann"]
    line = {"listing_id": listing_id, "quantity": quantity}
    return place_order(seller, [line], site.context, **options).receipt_id


def receipts(etsy: EtsyClient, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = etsy.shop_call("GET", "/receipts", params=query).json()["results"]
    return found


def test_sale_takes_stock_and_the_last_one_sells_out(site: EtsySite, etsy: EtsyClient) -> None:
    """Stock falls with every sale; without any left the listing is sold out."""
    listing_id = etsy.publish()

    buy(site, listing_id)
    assert (etsy.listing(listing_id)["state"], etsy.listing(listing_id)["quantity"]) == ("active", 1)
    buy(site, listing_id)

    assert etsy.listing(listing_id)["state"] == "sold_out"
    with pytest.raises(OrderError, match="sold_out"):
        buy(site, listing_id)


def test_renewal_of_a_sold_out_listing_sets_quantity_one(site: EtsySite, etsy: EtsyClient) -> None:
    """sold_out to active renews for a fee, with quantity 1 whatever it was before."""
    listing_id = etsy.publish()
    buy(site, listing_id, 2)

    answer = etsy.patch(listing_id, state="active").json()

    assert (answer["state"], answer["quantity"]) == ("active", 1)
    assert site.world.sellers["ann"].listings[listing_id].fees == 2
    assert site.last_effects == ["listing.updated", "listing.renewed"]


def test_receipt_tells_sku_listing_and_quantity(site: EtsySite, etsy: EtsyClient) -> None:
    """A transaction leads back to the product that was sold."""
    listing_id = etsy.publish("DRESS-7")

    receipt_id = buy(site, listing_id, 2)

    receipt = etsy.shop_call("GET", f"/receipts/{receipt_id}").json()
    (transaction,) = receipt["transactions"]
    assert (transaction["sku"], transaction["listing_id"], transaction["quantity"]) == (
        "DRESS-7",
        listing_id,
        2,
    )
    assert (receipt["status"], receipt["grandtotal"]["amount"]) == ("paid", 7800)


def test_cancellation_that_moves_no_time_is_missed_by_the_window(site: EtsySite, etsy: EtsyClient) -> None:
    """With touch false a cancelled receipt keeps its updated time, and only a re-read shows it."""
    listing_id = etsy.publish()
    quiet, loud = buy(site, listing_id), buy(site, listing_id)
    seller = site.world.sellers["ann"]
    site.clock.advance(100)
    since = int(site.clock.now()) - 10

    cancel_order(seller, seller.receipts[quiet], site.context, touch=False, restock=True)
    cancel_order(seller, seller.receipts[loud], site.context, touch=True, restock=False)

    assert [one["receipt_id"] for one in receipts(etsy, min_last_modified=since)] == [loud]
    assert etsy.shop_call("GET", f"/receipts/{quiet}").json()["status"] == "canceled"
    assert {one["receipt_id"] for one in receipts(etsy, was_canceled="true")} == {quiet, loud}
    assert receipts(etsy, was_canceled="false") == []
    # One was put back, and the listing is for sale again.
    assert (etsy.listing(listing_id)["state"], etsy.listing(listing_id)["quantity"]) == ("active", 1)
    with pytest.raises(OrderError):
        cancel_order(seller, seller.receipts[quiet], site.context, touch=True, restock=True)


def test_refunds_add_up(site: EtsySite, etsy: EtsyClient) -> None:
    """A part is a partial refund, the rest makes it full, and more is refused."""
    seller, listing_id = site.world.sellers["ann"], etsy.publish()
    receipt = seller.receipts[buy(site, listing_id)]

    refund_order(receipt, 900, site.context, touch=False)
    assert receipt.status == "partially refunded"
    refund_order(receipt, 3000, site.context, touch=True)
    assert receipt.status == "fully refunded"
    with pytest.raises(OrderError):
        refund_order(receipt, None, site.context, touch=True)
    assert [one["amount"]["amount"] for one in receipts(etsy)[0]["refunds"]] == [900, 3000]


def test_phantom_is_listed_and_cannot_be_read(site: EtsySite, etsy: EtsyClient) -> None:
    """An order that never was appears in the list only, and takes no stock."""
    listing_id = etsy.publish()

    phantom = buy(site, listing_id, is_phantom=True)

    assert [one["receipt_id"] for one in receipts(etsy)] == [phantom]
    assert etsy.shop_call("GET", f"/receipts/{phantom}").status_code == 404
    assert etsy.shop_call("GET", f"/receipts/{phantom}/transactions").status_code == 404
    assert etsy.shop_call("GET", "/transactions").json()["count"] == 0
    assert etsy.listing(listing_id)["quantity"] == 2


def test_shipping_completes_a_receipt(site: EtsySite, etsy: EtsyClient) -> None:
    """A shipped receipt is completed and answers to was_shipped."""
    seller, listing_id = site.world.sellers["ann"], etsy.publish()
    receipt_id = buy(site, listing_id)

    ship_order(seller.receipts[receipt_id], site.context, touch=True)

    (found,) = receipts(etsy, was_shipped="true")
    assert (found["status"], found["is_shipped"]) == ("completed", True)


def test_receipts_are_sorted_and_paged(site: EtsySite, etsy: EtsyClient) -> None:
    """Both orders and both directions work, and the pages do not overlap."""
    listing_id = etsy.draft(quantity=9)
    etsy.upload(listing_id)
    etsy.patch(listing_id, state="active")
    bought = []
    for _ in range(3):
        site.clock.advance(5)
        bought.append(buy(site, listing_id))
    seller = site.world.sellers["ann"]
    site.clock.advance(5)
    ship_order(seller.receipts[bought[0]], site.context, touch=True)

    def ids(**query: Any) -> list[int]:
        return [one["receipt_id"] for one in receipts(etsy, **query)]

    assert ids() == bought[::-1]
    assert ids(sort_on="updated", sort_order="asc") == [bought[1], bought[2], bought[0]]
    assert ids(limit=2) + ids(limit=2, offset=2) == bought[::-1]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"offset": -1},
        {"sort_on": "price"},
        {"sort_order": "x"},
        {"was_paid": "1"},
        {"min_created": 1},
    ],
    ids=str,
)
def test_wrong_filters_are_refused(etsy: EtsyClient, query: dict[str, Any]) -> None:
    """A parameter that the document would not allow is 400."""
    assert etsy.shop_call("GET", "/receipts", params=query).status_code == 400


def test_impossible_orders_name_everything(site: EtsySite, etsy: EtsyClient) -> None:
    """An order of too many, of an unknown and of nothing is refused, and no stock moves."""
    listing_id = etsy.publish()
    seller = site.world.sellers["ann"]

    with pytest.raises(OrderError) as raised:
        place_order(seller, [{"listing_id": listing_id, "quantity": 3}, {"sku": "GHOST"}], site.context)
    assert len(raised.value.violations) == 2
    with pytest.raises(OrderError, match="at least one"):
        place_order(seller, [], site.context)
    assert etsy.listing(listing_id)["quantity"] == 2
