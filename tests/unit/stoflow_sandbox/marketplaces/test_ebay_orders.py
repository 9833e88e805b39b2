"""Orders as buyers make them and as the API shows them."""

import pytest

from stoflow_sandbox.marketplaces.ebay.oauth import USER_SCOPES
from stoflow_sandbox.marketplaces.ebay.orders import (
    OrderError,
    cancel_order,
    change_order,
    get_order,
    list_orders,
    place_order,
    stamp,
)
from stoflow_sandbox.marketplaces.ebay.state import Order, seller_from_json, seller_to_json
from stoflow_sandbox.marketplaces.exchange import Call, Reply
from tests.unit.stoflow_sandbox.marketplaces.ebay_seller import NOW, SKU, Shop, error_ids

DAY = 86_400


def buy(shop: Shop, listing_id: str, quantity: int = 1) -> Order:
    order, _ = place_order(shop.seller, listing_id, quantity, "bea", "PAID", shop.context)
    return order


def ask(shop: Shop, query: str) -> Reply:
    return list_orders(shop.seller, Call("GET", "/order", query, {}, b"", ""), shop.now)


def ids(reply: Reply) -> list[str]:
    return [order["orderId"] for order in reply.content["orders"]]


def test_sale_takes_from_the_stock_and_the_last_piece_ends_the_listing(shop: Shop) -> None:
    """Two of two pieces sold leave one at home, no live listing, and an offer that is not published."""
    offer_id, listing_id = shop.live()
    buy(shop, listing_id)
    assert shop.seller.listings[listing_id].status == "ACTIVE"
    buy(shop, listing_id)
    assert shop.seller.listings[listing_id].status == "ENDED"
    assert not shop.seller.offers[offer_id].is_published
    assert shop.seller.items[SKU].fields["availability"]["shipToLocationAvailability"]["quantity"] == 1
    with pytest.raises(OrderError):
        buy(shop, listing_id)


def test_offset_counts_records(shop: Shop) -> None:
    """The second of two pages of two begins at offset 2, and says that no other follows."""
    shop.seller.programs.append("OUT_OF_STOCK_CONTROL")
    body = shop.item_body()
    body["availability"]["shipToLocationAvailability"]["quantity"] = 9
    _, listing_id = shop.live()
    shop.put_item(body)
    shop.seller.offers[shop.seller.listings[listing_id].offer_id].fields["availableQuantity"] = 9
    placed = [buy(shop, listing_id).order_id for _ in range(3)]
    first, second = ask(shop, "limit=2&offset=0"), ask(shop, "limit=2&offset=2")
    assert (ids(first), ids(second)) == (placed[:2], placed[2:])
    assert ("next" in first.content, "next" in second.content) == (True, False)
    # Whoever takes it for the number of a page misses an order and sees one twice.
    assert ids(ask(shop, "limit=2&offset=1")) == placed[1:]


def test_creationdate_makes_lastmodifieddate_ignored(shop: Shop) -> None:
    """With both in the filter an old order shows although nothing changed it since."""
    _, listing_id = shop.live()
    order = buy(shop, listing_id)
    shop.now = NOW + 5 * DAY
    since = stamp(NOW + 1)
    assert ids(ask(shop, f"filter=lastmodifieddate:%5B{since}..%5D")) == []
    both = f"filter=creationdate:%5B{stamp(NOW - 1)}..%5D,lastmodifieddate:%5B{since}..%5D"
    assert ids(ask(shop, both)) == [order.order_id]
    change_order(order, payment=None, fulfillment="FULFILLED", context=shop.context)
    assert ids(ask(shop, f"filter=lastmodifieddate:%5B{since}..%5D")) == [order.order_id]


def test_without_a_filter_90_days_are_meant(shop: Shop) -> None:
    """An order of 91 days ago is not listed, and can still be read."""
    _, listing_id = shop.live()
    order = buy(shop, listing_id)
    shop.now = NOW + 91 * DAY
    assert ids(ask(shop, "")) == []
    assert get_order(shop.seller, order.order_id).status == 200


def test_cancel_requests_are_empty_in_lists(shop: Shop) -> None:
    """A list shows that there is a cancellation, only the order itself shows which."""
    _, listing_id = shop.live()
    order = buy(shop, listing_id)
    cancel_order(order, "REQUESTED", counts_as_change=True, context=shop.context)
    listed = ask(shop, "").content["orders"][0]["cancelStatus"]
    assert (listed["cancelState"], listed["cancelRequests"]) == ("IN_PROGRESS", [])
    cancel_order(order, "COMPLETED", counts_as_change=True, context=shop.context)
    read = get_order(shop.seller, order.order_id).content
    assert read["cancelStatus"]["cancelState"] == "CANCELED"
    assert read["cancelStatus"]["cancelRequests"][0]["cancelRequestState"] == "COMPLETED"
    assert read["orderPaymentStatus"] == "FULLY_REFUNDED"


@pytest.mark.parametrize(
    ("query", "error_id"),
    [
        ("limit=201", 31100),
        ("limit=0", 31100),
        ("offset=-1", 31000),
        ("filter=modified:%5B2026-01-01T00:00:00.000Z..%5D", 30700),
        ("filter=lastmodifieddate:2026", 30800),
        ("filter=lastmodifieddate:%5B2026-01-01..%5D", 30810),
        ("filter=lastmodifieddate:%5B..2026-01-01T00:00:00.000Z%5D", 30820),
        ("filter=lastmodifieddate:%5B2030-01-01T00:00:00.000Z..%5D", 30850),
        ("filter=lastmodifieddate:%5B2020-01-01T00:00:00.000Z..%5D", 30830),
        (
            "filter=creationdate:%5B2026-12-01T00:00:00.000Z..2026-11-01T00:00:00.000Z%5D",
            30840,
        ),
        ("filter=orderfulfillmentstatus:%7BFULFILLED%7D", 30800),
    ],
)
def test_wrong_questions_are_refused(shop: Shop, query: str, error_id: int) -> None:
    """Each malformed parameter has its own error of the official catalogue."""
    reply = ask(shop, query)
    assert (reply.status, error_ids(reply)) == (400, [error_id])


def test_orders_survive_a_restart(shop: Shop) -> None:
    """What a file keeps of a seller includes the orders; a file from before there were any is read too."""
    _, listing_id = shop.live()
    order = buy(shop, listing_id)
    content = seller_to_json(shop.seller)
    assert seller_from_json(content).orders == {order.order_id: order}
    del content["orders"]
    assert seller_from_json(content).orders == {}
    assert any(scope.endswith("sell.fulfillment") for scope in USER_SCOPES)
