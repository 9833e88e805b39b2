"""Orders of eBay in our words."""

from __future__ import annotations

from typing import Any

import pytest

from stoflow_connector_ebay.order_changes import has_cancellation, order_change
from stoflow_connector_sdk import OrderState


def order(**fields: Any) -> dict[str, Any]:
    return {
        "orderId": "12-34567-00001",
        "creationDate": "2026-11-01T10:00:00.000Z",
        "lastModifiedDate": "2026-11-02T10:00:00.000Z",
        "orderFulfillmentStatus": "NOT_STARTED",
        "orderPaymentStatus": "PAID",
        "cancelStatus": {"cancelState": "NONE_REQUESTED", "cancelRequests": []},
        "pricingSummary": {"total": {"value": "25.50", "currency": "EUR"}},
        "lineItems": [
            {
                "lineItemId": "7",
                "legacyItemId": "110",
                "sku": "DRESS-1",
                "title": "Dress",
                "quantity": 3,
                "lineItemCost": {"value": "25.50", "currency": "EUR"},
            }
        ],
        **fields,
    }


@pytest.mark.parametrize(
    ("cancel", "payment", "fulfillment", "state"),
    [
        ("NONE_REQUESTED", "PENDING", "NOT_STARTED", "PLACED"),
        ("NONE_REQUESTED", "FAILED", "NOT_STARTED", "PLACED"),
        ("NONE_REQUESTED", "PAID", "NOT_STARTED", "PAID"),
        ("NONE_REQUESTED", "PAID", "IN_PROGRESS", "PAID"),
        ("NONE_REQUESTED", "PARTIALLY_REFUNDED", "NOT_STARTED", "PAID"),
        ("NONE_REQUESTED", "PAID", "FULFILLED", "SHIPPED"),
        ("NONE_REQUESTED", "FULLY_REFUNDED", "FULFILLED", "REFUNDED"),
        ("IN_PROGRESS", "PAID", "NOT_STARTED", "PAID"),
        ("CANCELED", "FULLY_REFUNDED", "NOT_STARTED", "CANCELLED"),
        ("NONE_REQUESTED", "SOMETHING_NEW", "NOT_STARTED", "PLACED"),
    ],
)
def test_state_follows_from_cancellation_then_refund_then_shipping(
    cancel: str, payment: str, fulfillment: str, state: str
) -> None:
    """Of the three states that eBay keeps the one counts that the seller must act on."""
    change = order_change(
        order(
            cancelStatus={"cancelState": cancel},
            orderPaymentStatus=payment,
            orderFulfillmentStatus=fulfillment,
        )
    )
    assert OrderState.Name(change.state) == f"ORDER_STATE_{state}"


def test_price_is_that_of_one_piece() -> None:
    """eBay names what the whole line costs; what cannot be divided into whole cents stays unknown."""
    (line,) = order_change(order()).lines
    assert (line.quantity, line.price.amount_minor) == (3, 850)
    odd = order()
    odd["lineItems"][0]["lineItemCost"]["value"] = "25.00"
    assert not order_change(odd).lines[0].HasField("price")


def test_cancellation_counts_as_a_change_though_ebay_says_otherwise() -> None:
    """The later of the two dates is when the order changed."""
    cancelled = order(cancelStatus={"cancelState": "CANCELED", "cancelledDate": "2026-11-03T10:00:00.000Z"})
    assert order_change(cancelled).change_time.ToJsonString() == "2026-11-03T10:00:00Z"
    assert (has_cancellation(cancelled), has_cancellation(order())) == (True, False)


@pytest.mark.parametrize("missing", ["orderId", "creationDate", "lastModifiedDate"])
def test_order_without_what_the_document_requires_is_no_order(missing: str) -> None:
    """Nothing is invented for an id or a date that is not there."""
    broken = order()
    del broken[missing]
    with pytest.raises(ValueError, match=r"orderId|isoformat"):
        order_change(broken)
