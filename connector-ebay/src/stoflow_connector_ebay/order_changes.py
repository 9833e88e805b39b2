"""An order of eBay in our words; nothing of who bought is taken over."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stoflow_connector_ebay.price import parse_price
from stoflow_connector_sdk import Money, OrderChange, OrderLineChange, OrderState

Json = Mapping[str, Any]

_MAX_TEXT = 500
_MAX_SKU = 100


def has_cancellation(order: Json) -> bool:
    """Whether a cancellation was asked for; what became of it only getOrder says."""
    return _cancel_state(order) not in {"", "NONE_REQUESTED"}


def order_change(order: Json) -> OrderChange:
    """Returns what the orchestrator keeps of an order.

    Raises:
        ValueError: It lacks what eBay's document requires: its id or its dates.
    """
    order_id = order.get("orderId")
    if not isinstance(order_id, str) or not order_id:
        raise ValueError("an order without orderId")
    change = OrderChange(
        remote_id=order_id,
        state=_state(order),
        lines=[_line(line) for line in order.get("lineItems") or [] if isinstance(line, dict)],
    )
    change.place_time.FromDatetime(_time(order, "creationDate"))
    change.change_time.FromDatetime(_change_time(order))
    if (total := _money((order.get("pricingSummary") or {}).get("total"))) is not None:
        change.total.CopyFrom(total)
    return change


def _state(order: Json) -> OrderState.ValueType:
    if _cancel_state(order) == "CANCELED":
        return OrderState.ORDER_STATE_CANCELLED
    payment = order.get("orderPaymentStatus")
    if payment == "FULLY_REFUNDED":
        return OrderState.ORDER_STATE_REFUNDED
    # Shipping comes after payment, and eBay knows no delivery here. A partly shipped order is still to be sent.
    if order.get("orderFulfillmentStatus") == "FULFILLED":
        return OrderState.ORDER_STATE_SHIPPED
    if payment in {"PAID", "PARTIALLY_REFUNDED"}:
        return OrderState.ORDER_STATE_PAID
    return OrderState.ORDER_STATE_PLACED


def _cancel_state(order: Json) -> str:
    return str((order.get("cancelStatus") or {}).get("cancelState") or "")


def _change_time(order: Json) -> datetime:
    changed = _time(order, "lastModifiedDate")
    cancelled = (order.get("cancelStatus") or {}).get("cancelledDate")
    # A cancellation does not always count as a change.
    return max(changed, _moment(cancelled)) if isinstance(cancelled, str) and cancelled else changed


def _line(line: Json) -> OrderLineChange:
    quantity = int(line.get("quantity") or 1)
    change = OrderLineChange(
        remote_id=str(line.get("lineItemId") or ""),
        listing_remote_id=str(line.get("legacyItemId") or ""),
        sku=str(line.get("sku") or "")[:_MAX_SKU],
        title=str(line.get("title") or "")[:_MAX_TEXT],
        quantity=quantity,
    )
    # lineItemCost is for all pieces of the line.
    cost = _money(line.get("lineItemCost"))
    if cost is not None and cost.amount_minor % quantity == 0:
        change.price.currency_code = cost.currency_code
        change.price.amount_minor = cost.amount_minor // quantity
    return change


def _money(amount: Any) -> Money | None:
    if not isinstance(amount, dict):
        return None
    currency = str(amount.get("currency") or "")
    minor = parse_price(str(amount.get("value") or ""), currency)
    return None if minor is None or not currency else Money(currency_code=currency, amount_minor=minor)


def _time(order: Json, name: str) -> datetime:
    return _moment(str(order.get(name) or ""))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
