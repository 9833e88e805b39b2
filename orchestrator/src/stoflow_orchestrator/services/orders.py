"""What a seller has sold."""

from __future__ import annotations

from uuid import UUID

from stoflow.catalog.v1.order_pb2 import Order, OrderState
from stoflow.catalog.v1.order_service_pb2 import GetOrderRequest, ListOrdersRequest, ListOrdersResponse

from stoflow_orchestrator.messages.order import ORDER_STATE_PREFIX, order_message
from stoflow_orchestrator.messages.times import optional_times
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, time_and_id
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.order import OrderFilter, OrderRepository
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_service_kit.errors import NotFoundError


class OrderService:
    """Reads orders."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants

    async def get(self, request: GetOrderRequest) -> Order:
        """Returns one order.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ORDER_NOT_FOUND.
        """
        await self._tenants.require(request.tenant_id)
        order_id = UUID(request.order_id)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            orders = OrderRepository(connection)
            row = await orders.find(order_id)
            lines = await orders.list_lines([order_id])
        if row is None:
            raise NotFoundError(
                f"There is no order {order_id}.",
                reason="ORDER_NOT_FOUND",
                metadata={"order_id": str(order_id)},
            )
        return order_message(request.tenant_id, row, lines.get(order_id, []))

    async def list(self, request: ListOrdersRequest) -> ListOrdersResponse:
        """Returns a page of orders, the one bought last first.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID, or a time that cannot be meant.
            NotFoundError: TENANT_NOT_FOUND.
        """
        before = decode_token(request, request.page_token, time_and_id)
        wanted = _filter(request)
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            repository = OrderRepository(connection)
            rows = await repository.list_page(wanted, before, size + 1)
            lines = await repository.list_lines([row.order_id for row in rows])
        messages = (order_message(request.tenant_id, row, lines.get(row.order_id, [])) for row in rows)
        orders = fit_page(messages, size)
        token = ""
        if len(orders) < len(rows):
            last = rows[len(orders) - 1]
            token = encode_token(request, [last.place_time, last.order_id])
        return ListOrdersResponse(orders=orders, next_page_token=token)


def _filter(request: ListOrdersRequest) -> OrderFilter:
    times = optional_times(request, "", "placed_from_time", "placed_before_time")
    return OrderFilter(
        account_id=UUID(request.account_id) if request.account_id else None,
        product_id=UUID(request.product_id) if request.product_id else None,
        states=[OrderState.Name(state).removeprefix(ORDER_STATE_PREFIX) for state in request.states],
        placed_from_time=times.get("placed_from_time"),
        placed_before_time=times.get("placed_before_time"),
    )
