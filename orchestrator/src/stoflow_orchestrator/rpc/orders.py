"""stoflow.catalog.v1.OrderService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from stoflow.catalog.v1 import order_service_pb2 as rpc
from stoflow.catalog.v1.order_service_pb2_grpc import OrderServiceServicer

from stoflow_orchestrator.services.orders import OrderService

_Context = grpc.aio.ServicerContext[Any, Any]


class OrderServicer(OrderServiceServicer):
    """Serves OrderService."""

    def __init__(self, orders: OrderService) -> None:
        self._orders = orders

    async def GetOrder(self, request: rpc.GetOrderRequest, context: _Context) -> rpc.GetOrderResponse:
        return rpc.GetOrderResponse(order=await self._orders.get(request))

    async def ListOrders(self, request: rpc.ListOrdersRequest, context: _Context) -> rpc.ListOrdersResponse:
        return await self._orders.list(request)
