"""stoflow.tenants.v1.TenantService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from stoflow.tenants.v1.tenant_service_pb2 import (
    CreateTenantRequest,
    CreateTenantResponse,
    GetTenantRequest,
    GetTenantResponse,
    ListTenantsRequest,
    ListTenantsResponse,
)
from stoflow.tenants.v1.tenant_service_pb2_grpc import TenantServiceServicer

from stoflow_orchestrator.services.tenants import TenantService

_Context = grpc.aio.ServicerContext[Any, Any]


class TenantServicer(TenantServiceServicer):
    """Serves TenantService."""

    def __init__(self, tenants: TenantService) -> None:
        self._tenants = tenants

    async def CreateTenant(self, request: CreateTenantRequest, context: _Context) -> CreateTenantResponse:
        return CreateTenantResponse(tenant=await self._tenants.create(request))

    async def GetTenant(self, request: GetTenantRequest, context: _Context) -> GetTenantResponse:
        return GetTenantResponse(tenant=await self._tenants.get(request.tenant_id))

    async def ListTenants(self, request: ListTenantsRequest, context: _Context) -> ListTenantsResponse:
        return await self._tenants.list(request)
