"""stoflow.admin.v1.AdminService."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc.aio
from stoflow.admin.v1 import admin_service_pb2 as rpc
from stoflow.admin.v1.admin_service_pb2_grpc import AdminServiceServicer

from stoflow_orchestrator.services.admin_dead_letters import AdminDeadLetters
from stoflow_orchestrator.services.admin_effects import AdminEffects
from stoflow_orchestrator.services.admin_events import AdminEvents
from stoflow_orchestrator.services.admin_gates import AdminGates
from stoflow_orchestrator.services.admin_queues import AdminQueues

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class AdminServices:
    """The use cases, by feature."""

    queues: AdminQueues
    gates: AdminGates
    dead_letters: AdminDeadLetters
    effects: AdminEffects
    events: AdminEvents


class AdminServicer(AdminServiceServicer):
    """Proto in, one call of a service, proto out."""

    def __init__(self, services: AdminServices) -> None:
        self._services = services

    async def ListQueues(self, request: rpc.ListQueuesRequest, context: Context) -> rpc.ListQueuesResponse:
        return await self._services.queues.list_queues(request)

    async def ListConnectors(
        self, request: rpc.ListConnectorsRequest, context: Context
    ) -> rpc.ListConnectorsResponse:
        return await self._services.queues.list_connectors(request)

    async def DrainConnector(
        self, request: rpc.DrainConnectorRequest, context: Context
    ) -> rpc.DrainConnectorResponse:
        return rpc.DrainConnectorResponse(connector=await self._services.queues.drain(request))

    async def PauseMarketplace(
        self, request: rpc.PauseMarketplaceRequest, context: Context
    ) -> rpc.PauseMarketplaceResponse:
        return rpc.PauseMarketplaceResponse(gate=await self._services.gates.pause_marketplace(request))

    async def ResumeMarketplace(
        self, request: rpc.ResumeMarketplaceRequest, context: Context
    ) -> rpc.ResumeMarketplaceResponse:
        return rpc.ResumeMarketplaceResponse(gate=await self._services.gates.resume_marketplace(request))

    async def PauseAccount(
        self, request: rpc.PauseAccountRequest, context: Context
    ) -> rpc.PauseAccountResponse:
        return rpc.PauseAccountResponse(gate=await self._services.gates.pause_account(request))

    async def ResumeAccount(
        self, request: rpc.ResumeAccountRequest, context: Context
    ) -> rpc.ResumeAccountResponse:
        return rpc.ResumeAccountResponse(gate=await self._services.gates.resume_account(request))

    async def SetLimits(self, request: rpc.SetLimitsRequest, context: Context) -> rpc.SetLimitsResponse:
        return await self._services.gates.set_limits(request)

    async def ListDeadLetters(
        self, request: rpc.ListDeadLettersRequest, context: Context
    ) -> rpc.ListDeadLettersResponse:
        return await self._services.dead_letters.list(request)

    async def ReplayDeadLetters(
        self, request: rpc.ReplayDeadLettersRequest, context: Context
    ) -> rpc.ReplayDeadLettersResponse:
        return await self._services.dead_letters.replay(request)

    async def ListEffects(self, request: rpc.ListEffectsRequest, context: Context) -> rpc.ListEffectsResponse:
        return await self._services.effects.list(request)

    async def SettleEffect(
        self, request: rpc.SettleEffectRequest, context: Context
    ) -> rpc.SettleEffectResponse:
        return rpc.SettleEffectResponse(effect=await self._services.effects.settle(request))

    async def ListEvents(self, request: rpc.ListEventsRequest, context: Context) -> rpc.ListEventsResponse:
        return await self._services.events.list(request)
