"""Rows of orders as messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row
from stoflow.catalog.v1.order_pb2 import Order, OrderLine, OrderState
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.messages.times import to_timestamp

ORDER_STATE_PREFIX = "ORDER_STATE_"


def order_message(tenant_id: int, row: Row[Any], lines: Iterable[Row[Any]]) -> Order:
    """Converts an order."""
    return Order(
        order_id=str(row.order_id),
        tenant_id=tenant_id,
        marketplace=row.marketplace,
        account_id=str(row.account_id),
        remote_id=row.remote_id,
        state=OrderState.Value(ORDER_STATE_PREFIX + row.state),
        total=_money(row.total_currency, row.total_minor),
        place_time=to_timestamp(row.place_time),
        change_time=to_timestamp(row.change_time),
        lines=map(_line_message, lines),
        update_time=to_timestamp(row.update_time),
    )


def _line_message(row: Row[Any]) -> OrderLine:
    return OrderLine(
        remote_id=row.remote_id,
        product_id="" if row.product_id is None else str(row.product_id),
        listing_remote_id=row.listing_remote_id,
        sku=row.sku,
        title=row.title,
        quantity=row.quantity,
        price=_money(row.price_currency, row.price_minor),
    )


def _money(currency: str | None, minor: int | None) -> Money | None:
    return None if currency is None else Money(currency_code=currency, amount_minor=minor or 0)
