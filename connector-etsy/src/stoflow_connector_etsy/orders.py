"""Receipts as orders: pure functions. Nothing of who bought leaves this module."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from stoflow_connector_etsy.price import read_money
from stoflow_connector_sdk import OrderChange, OrderLineChange, OrderState

_MAX_LINES = 200
_MAX_QUANTITY = 1_000_000


def order_change(receipt: Mapping[str, Any]) -> OrderChange | None:
    """Returns what a receipt says, or None for one that is no order: without id, time or anything sold."""
    receipt_id, placed = receipt.get("receipt_id"), created_time(receipt)
    lines = [line for entry in receipt.get("transactions") or () if (line := _line(entry)) is not None]
    if not receipt_id or placed is None or not lines:
        return None
    order = OrderChange(
        remote_id=str(receipt_id),
        state=order_state(receipt),
        place_time=_timestamp(placed),
        change_time=_timestamp(max(placed, changed_time(receipt))),
        lines=list({line.remote_id: line for line in lines}.values())[:_MAX_LINES],
    )
    if (total := read_money(receipt.get("grandtotal"))) is not None:
        order.total.CopyFrom(total)
    return order


def order_state(receipt: Mapping[str, Any]) -> OrderState.ValueType:
    """Returns where a receipt stands; one that is refunded in part goes on."""
    status = str(receipt.get("status") or "").casefold()
    if status == "canceled":
        return OrderState.ORDER_STATE_CANCELLED
    if status == "fully refunded":
        return OrderState.ORDER_STATE_REFUNDED
    if receipt.get("is_shipped") or status == "completed":
        return OrderState.ORDER_STATE_SHIPPED
    if receipt.get("is_paid") or status in {"paid", "partially refunded"}:
        return OrderState.ORDER_STATE_PAID
    return OrderState.ORDER_STATE_PLACED


def created_time(receipt: Mapping[str, Any]) -> datetime | None:
    """Returns when it was bought."""
    return _time(receipt.get("created_timestamp") or receipt.get("create_timestamp"))


def changed_time(receipt: Mapping[str, Any]) -> datetime:
    """Returns when it changed last: Etsy does not count every refund as a change of the receipt."""
    moments = [
        _time(receipt.get("updated_timestamp") or receipt.get("update_timestamp")),
        *(_time(entry.get("created_timestamp")) for entry in receipt.get("refunds") or ()),
        *(_time(entry.get("shipment_notification_timestamp")) for entry in receipt.get("shipments") or ()),
    ]
    return max((moment for moment in moments if moment is not None), default=datetime.fromtimestamp(0, UTC))


def _line(entry: Mapping[str, Any]) -> OrderLineChange | None:
    transaction_id, quantity = entry.get("transaction_id"), entry.get("quantity")
    if not transaction_id or not isinstance(quantity, int) or not 0 < quantity <= _MAX_QUANTITY:
        return None
    line = OrderLineChange(
        remote_id=str(transaction_id),
        listing_remote_id=str(entry.get("listing_id") or ""),
        sku=sku if len(sku := str(entry.get("sku") or "")) <= 100 else "",
        title=str(entry.get("title") or "")[:500],
        quantity=quantity,
    )
    if (price := read_money(entry.get("price"))) is not None:
        line.price.CopyFrom(price)
    return line


def _time(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    return datetime.fromtimestamp(value, UTC)


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
