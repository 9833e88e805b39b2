"""stoflow.catalog.v1.PreviewService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from stoflow.catalog.v1.preview_service_pb2 import PreviewPublishRequest, PreviewPublishResponse
from stoflow.catalog.v1.preview_service_pb2_grpc import PreviewServiceServicer

from stoflow_orchestrator.services.preview import PreviewService

_Context = grpc.aio.ServicerContext[Any, Any]


class PreviewServicer(PreviewServiceServicer):
    """Serves PreviewService."""

    def __init__(self, previews: PreviewService) -> None:
        self._previews = previews

    async def PreviewPublish(
        self, request: PreviewPublishRequest, context: _Context
    ) -> PreviewPublishResponse:
        return PreviewPublishResponse(preview=await self._previews.preview(request))
