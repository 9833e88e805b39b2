"""Receipts as orders."""

from __future__ import annotations

from typing import Any

import pytest

from stoflow_connector_etsy.orders import order_change, order_state
from stoflow_connector_etsy.services.sync import STATES, scan_summary
from stoflow_connector_sdk import OrderState


def receipt(**values: Any) -> dict[str, Any]:
    return {
        "receipt_id": 900,
        "status": "paid",
        "is_paid": True,
        "is_shipped": False,
        "name": "Somebody",
        "buyer_email": "somebody@example.org",
        "created_timestamp": 1_790_000_000,
        "updated_timestamp": 1_790_000_100,
        "grandtotal": {"amount": 2499, "divisor": 100, "currency_code": "USD"},
        "refunds": [],
        "shipments": [],
        "transactions": [
            {
                "transaction_id": 901,
                "listing_id": 77,
                "sku": "DRESS-1",
                "title": "Summer dress",
                "quantity": 2,
                "price": {"amount": 999, "divisor": 100, "currency_code": "USD"},
            }
        ],
        **values,
    }


def test_receipt_becomes_an_order_without_its_buyer() -> None:
    """Id, state, times, total and lines are kept; nothing of who bought is."""
    order = order_change(receipt())
    assert order is not None
    assert (order.remote_id, order.state) == ("900", OrderState.ORDER_STATE_PAID)
    assert (order.total.currency_code, order.total.amount_minor) == ("USD", 2499)
    assert (order.place_time.seconds, order.change_time.seconds) == (1_790_000_000, 1_790_000_100)
    (line,) = order.lines
    assert (line.remote_id, line.listing_remote_id, line.sku, line.quantity) == ("901", "77", "DRESS-1", 2)
    assert line.price.amount_minor == 999
    assert "Somebody" not in str(order)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"status": "open", "is_paid": False}, OrderState.ORDER_STATE_PLACED),
        ({"status": "payment processing", "is_paid": False}, OrderState.ORDER_STATE_PLACED),
        ({"status": "paid"}, OrderState.ORDER_STATE_PAID),
        ({"status": "completed", "is_shipped": True}, OrderState.ORDER_STATE_SHIPPED),
        ({"status": "partially refunded"}, OrderState.ORDER_STATE_PAID),
        ({"status": "fully refunded", "is_shipped": True}, OrderState.ORDER_STATE_REFUNDED),
        ({"status": "Canceled", "is_shipped": True}, OrderState.ORDER_STATE_CANCELLED),
    ],
)
def test_status_is_read(values: dict[str, Any], expected: OrderState.ValueType) -> None:
    """Every status of the document has its state."""
    assert order_state(receipt(**values)) == expected


def test_refund_counts_as_a_change() -> None:
    """A refund that Etsy does not count as a change of the receipt is one all the same."""
    order = order_change(receipt(refunds=[{"created_timestamp": 1_790_009_000}]))
    assert order is not None
    assert order.change_time.seconds == 1_790_009_000


@pytest.mark.parametrize("values", [{"receipt_id": None}, {"created_timestamp": None}, {"transactions": []}])
def test_phantom_is_no_order(values: dict[str, Any]) -> None:
    """A receipt without id, time or anything sold is passed over."""
    assert order_change(receipt(**values)) is None


def pages(**changes: list[dict[str, int]]) -> list[dict[str, Any]]:
    found = {state: [{"count": 1, "found": 1}] for state in STATES} | changes
    return [{"state": state, **page} for state, listed in found.items() for page in listed]


def test_scan_is_complete_when_every_state_was_seen_whole() -> None:
    """Only then does anything follow from what a scan did not show."""
    assert scan_summary(pages()) == {"listings": 5, "isComplete": True}


@pytest.mark.parametrize(
    "found",
    [
        pages()[1:],
        pages(active=[{"count": 150, "found": 100}]),
        pages(active=[{"count": 150, "found": 100}, {"count": 149, "found": 50}]),
    ],
)
def test_scan_with_a_gap_is_incomplete(found: list[dict[str, Any]]) -> None:
    """A state that was not read, a page that lacks, and a count that changed meanwhile are gaps."""
    assert scan_summary(found)["isComplete"] is False
