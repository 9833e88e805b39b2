"""From Vinted's sales to orders. Pure; nothing of the buyer is kept."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from stoflow_connector_sdk import OrderChange, OrderLineChange, OrderState
from stoflow_connector_vinted.clients.vinted import read_money
from stoflow_connector_vinted.mapping import parse_price

# Ranges of a transaction's status, as third-party clients read them: 2xx paid, 3xx on its way, 4xx over, 5xx off.
# What is in none of them is told as PLACED, which ends no listing by itself.
_STATES: Final = (
    (range(230, 300), OrderState.ORDER_STATE_PAID),
    (range(300, 400), OrderState.ORDER_STATE_SHIPPED),
    (range(400, 500), OrderState.ORDER_STATE_DELIVERED),
    (range(500, 600), OrderState.ORDER_STATE_CANCELLED),
)


def sale_time(text: Any) -> datetime | None:
    """Reads a time of the site; None for what is none."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def order_change(entry: Mapping[str, Any], sale: Mapping[str, Any]) -> OrderChange | None:
    """Says what a sale tells; None when it lacks its number, its time or what was sold.

    Args:
        entry: Of the list of orders.
        sale: The transaction.
    """
    placed = sale_time(entry.get("date"))
    changed = sale_time(sale.get("status_updated_at")) or placed
    lines = _lines(sale)
    if placed is None or changed is None or not lines or not isinstance(sale.get("id"), int):
        return None
    change = OrderChange(
        remote_id=str(sale["id"]),
        state=_state(sale.get("status")),
        total=parse_price(read_money((sale.get("offer") or {}).get("price"))),
        lines=lines,
    )
    change.place_time.CopyFrom(_timestamp(placed))
    change.change_time.CopyFrom(_timestamp(changed))
    return change


def _state(status: Any) -> OrderState.ValueType:
    for codes, state in _STATES:
        if isinstance(status, int) and status in codes:
            return state
    return OrderState.ORDER_STATE_PLACED


def _lines(sale: Mapping[str, Any]) -> list[OrderLineChange]:
    items = (sale.get("order") or {}).get("items")
    if not isinstance(items, list) or not items:
        items = [{"id": sale.get("item_id"), "title": sale.get("item_title")}]
    return [
        OrderLineChange(
            remote_id=str(item["id"]),
            listing_remote_id=str(item["id"]),
            title=str(item.get("title") or "")[:500],
            quantity=1,
            price=parse_price(read_money(item.get("price"))),
        )
        for item in items
        if isinstance(item, dict) and isinstance(item.get("id"), int)
    ]


def _timestamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
