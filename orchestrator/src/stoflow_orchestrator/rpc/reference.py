"""stoflow.catalog.v1.ReferenceService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from stoflow.catalog.v1 import reference_service_pb2 as rpc
from stoflow.catalog.v1.reference_service_pb2_grpc import ReferenceServiceServicer

from stoflow_orchestrator.services.mappings import MappingService
from stoflow_orchestrator.services.reference import ReferenceService

_Context = grpc.aio.ServicerContext[Any, Any]


class ReferenceServicer(ReferenceServiceServicer):
    """Serves ReferenceService."""

    def __init__(self, reference: ReferenceService, mappings: MappingService) -> None:
        self._reference = reference
        self._mappings = mappings

    async def ListReferenceValues(
        self, request: rpc.ListReferenceValuesRequest, context: _Context
    ) -> rpc.ListReferenceValuesResponse:
        return await self._reference.list_values(request)

    async def ImportReferenceValues(
        self, request: rpc.ImportReferenceValuesRequest, context: _Context
    ) -> rpc.ImportReferenceValuesResponse:
        return await self._reference.import_values(request)

    async def ListMappings(
        self, request: rpc.ListMappingsRequest, context: _Context
    ) -> rpc.ListMappingsResponse:
        return await self._mappings.list(request)

    async def ListUnmappedValues(
        self, request: rpc.ListUnmappedValuesRequest, context: _Context
    ) -> rpc.ListUnmappedValuesResponse:
        return await self._reference.list_unmapped(request)

    async def ImportMappings(
        self, request: rpc.ImportMappingsRequest, context: _Context
    ) -> rpc.ImportMappingsResponse:
        return await self._mappings.import_mappings(request)

    async def DeleteMappings(
        self, request: rpc.DeleteMappingsRequest, context: _Context
    ) -> rpc.DeleteMappingsResponse:
        return await self._mappings.delete(request)
