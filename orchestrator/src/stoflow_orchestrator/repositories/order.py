"""Orders and their lines."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Uuid, any_, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from stoflow_orchestrator.models.catalog import Order, OrderLine


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders; None and empty stand for all."""

    account_id: UUID | None = None
    product_id: UUID | None = None
    states: Sequence[str] = ()
    placed_from_time: datetime | None = None
    placed_before_time: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Returns what must hold of a row."""
        conditions: list[ColumnElement[bool]] = []
        if self.account_id is not None:
            conditions.append(Order.account_id == self.account_id)
        if self.product_id is not None:
            lines = select(OrderLine.order_id).where(OrderLine.product_id == self.product_id)
            conditions.append(Order.order_id.in_(lines))
        if self.states:
            conditions.append(Order.state.in_(self.states))
        if self.placed_from_time is not None:
            conditions.append(Order.place_time >= self.placed_from_time)
        if self.placed_before_time is not None:
            conditions.append(Order.place_time < self.placed_before_time)
        return conditions


class OrderRepository:
    """Statements on a tenant's orders and order_lines."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, order_id: UUID) -> Row[Any] | None:
        """Returns one order."""
        found = await self._connection.execute(select(Order).where(Order.order_id == order_id))
        row: Row[Any] | None = found.first()
        return row

    async def list_page(
        self, wanted: OrderFilter, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Row[Any]]:
        """Returns the next orders, the one bought last first.

        Args:
            wanted: Which orders.
            before: place_time and order_id of the last order of the page before.
            limit: Most rows.
        """
        statement = select(Order).where(*wanted.conditions())
        if before is not None:
            statement = statement.where(tuple_(Order.place_time, Order.order_id) < tuple_(*before))
        statement = statement.order_by(Order.place_time.desc(), Order.order_id.desc()).limit(limit)
        rows: Sequence[Row[Any]] = (await self._connection.execute(statement)).all()
        return rows

    async def list_lines(self, order_ids: Collection[UUID]) -> dict[UUID, list[Row[Any]]]:
        """Returns the lines of orders, in the marketplace's order."""
        found = await self._connection.execute(
            select(OrderLine)
            .where(OrderLine.order_id == any_(literal(list(order_ids), ARRAY(Uuid()))))
            .order_by(OrderLine.order_id, OrderLine.position)
        )
        lines: dict[UUID, list[Row[Any]]] = {}
        for row in found:
            lines.setdefault(row.order_id, []).append(row)
        return lines
