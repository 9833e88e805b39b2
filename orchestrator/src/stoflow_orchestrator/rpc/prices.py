"""stoflow.catalog.v1.PriceService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from stoflow.catalog.v1 import price_service_pb2 as rpc
from stoflow.catalog.v1.price_service_pb2_grpc import PriceServiceServicer

from stoflow_orchestrator.services.prices import PriceService

_Context = grpc.aio.ServicerContext[Any, Any]


class PriceServicer(PriceServiceServicer):
    """Serves PriceService."""

    def __init__(self, prices: PriceService) -> None:
        self._prices = prices

    async def GetPriceRule(
        self, request: rpc.GetPriceRuleRequest, context: _Context
    ) -> rpc.GetPriceRuleResponse:
        return rpc.GetPriceRuleResponse(rule=await self._prices.get(request))

    async def SetPriceRule(
        self, request: rpc.SetPriceRuleRequest, context: _Context
    ) -> rpc.SetPriceRuleResponse:
        return rpc.SetPriceRuleResponse(rule=await self._prices.set(request))

    async def PreviewPrices(
        self, request: rpc.PreviewPricesRequest, context: _Context
    ) -> rpc.PreviewPricesResponse:
        return rpc.PreviewPricesResponse(calculations=await self._prices.preview(request))
