"""stoflow.catalog.v1.ListingService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from stoflow.catalog.v1.listing_service_pb2 import ListListingsRequest, ListListingsResponse
from stoflow.catalog.v1.listing_service_pb2_grpc import ListingServiceServicer

from stoflow_orchestrator.services.listings import ListingService

_Context = grpc.aio.ServicerContext[Any, Any]


class ListingServicer(ListingServiceServicer):
    """Serves ListingService."""

    def __init__(self, listings: ListingService) -> None:
        self._listings = listings

    async def ListListings(self, request: ListListingsRequest, context: _Context) -> ListListingsResponse:
        return await self._listings.list(request)
