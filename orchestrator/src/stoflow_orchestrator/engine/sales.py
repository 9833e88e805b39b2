"""What sold articles take from their products' stock, and what cancelled ones give back; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(slots=True)
class SoldLine:
    """One article of an order.

    Attributes:
        quantity: Pieces that were bought.
        taken: Pieces that it has taken from its product's stock.
        is_counted: Whether it has taken what there was.
        is_cancelled: Whether its order is cancelled.
    """

    order_id: UUID
    remote_id: str
    product_id: UUID
    quantity: int
    taken: int
    is_counted: bool
    is_cancelled: bool
    place_time: datetime
    listing_remote_id: str = ""

    @property
    def shortage(self) -> int:
        """Pieces that were bought and not there."""
        return self.quantity - self.taken


@dataclass(slots=True)
class Stock:
    """A product's stock.

    Attributes:
        create_time: What was bought earlier is not in the stock that the seller entered.
    """

    product_id: UUID
    quantity: int
    version: int
    create_time: datetime


@dataclass(slots=True)
class Sales:
    """What follows.

    Attributes:
        lines: Lines that changed.
        stocks: Products whose stock is another now.
        sold: Products of which something was bought, whether it was there or not.
        restocked: Products to which something came back.
        oversold: Lines that got less than was bought.
    """

    lines: list[SoldLine] = field(default_factory=list)
    stocks: list[Stock] = field(default_factory=list)
    sold: set[UUID] = field(default_factory=set)
    restocked: set[UUID] = field(default_factory=set)
    oversold: list[SoldLine] = field(default_factory=list)


def count_sales(
    lines: Iterable[SoldLine], stocks: Mapping[UUID, Stock], short_lines: Iterable[SoldLine]
) -> Sales:
    """Counts each line once; what comes back goes first to those who bought what was not there.

    Args:
        lines: Lines to be counted, given back or shortened; changed in place.
        stocks: Of their products; changed in place.
        short_lines: Lines of open orders that got less than was bought; changed in place.
    """
    sales = Sales()
    before = {product_id: stock.quantity for product_id, stock in stocks.items()}
    ordered = sorted(lines, key=lambda line: (line.place_time, line.order_id, line.remote_id))
    given_back = {
        product_id: sum(_give_back(line, sales) for line in ordered if line.product_id == product_id)
        for product_id in stocks
    }
    for line in sorted(short_lines, key=lambda line: (line.place_time, line.order_id, line.remote_id)):
        filled = min(line.shortage, given_back.get(line.product_id, 0))
        if filled > 0:
            line.taken += filled
            given_back[line.product_id] -= filled
            sales.lines.append(line)
    for product_id, pieces in given_back.items():
        if pieces:
            stocks[product_id].quantity += pieces
            sales.restocked.add(product_id)
    for line in ordered:
        if not line.is_cancelled and not line.is_counted and line.product_id in stocks:
            _take(line, stocks[line.product_id], sales)
    sales.stocks = [stock for stock in stocks.values() if stock.quantity != before[stock.product_id]]
    return sales


def _give_back(line: SoldLine, sales: Sales) -> int:
    kept = 0 if line.is_cancelled else min(line.taken, line.quantity)
    given_back = line.taken - kept
    if given_back or (line.is_cancelled and line.is_counted):
        line.taken = kept
        line.is_counted = not line.is_cancelled
        sales.lines.append(line)
    return given_back


def _take(line: SoldLine, stock: Stock, sales: Sales) -> None:
    line.is_counted = True
    sales.lines.append(line)
    if line.place_time < stock.create_time:
        return
    line.taken = min(line.quantity, stock.quantity)
    stock.quantity -= line.taken
    sales.sold.add(line.product_id)
    if line.shortage:
        sales.oversold.append(line)
