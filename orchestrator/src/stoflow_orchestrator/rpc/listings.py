"""stoflow.catalog.v1.ListingService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from stoflow.catalog.v1 import listing_service_pb2 as rpc
from stoflow.catalog.v1.listing_service_pb2_grpc import ListingServiceServicer

from stoflow_orchestrator.services.listings import ListingService

_Context = grpc.aio.ServicerContext[Any, Any]


class ListingServicer(ListingServiceServicer):
    """Serves ListingService."""

    def __init__(self, listings: ListingService) -> None:
        self._listings = listings

    async def ListListings(
        self, request: rpc.ListListingsRequest, context: _Context
    ) -> rpc.ListListingsResponse:
        return await self._listings.list(request)

    async def LinkListing(
        self, request: rpc.LinkListingRequest, context: _Context
    ) -> rpc.LinkListingResponse:
        return rpc.LinkListingResponse(listing=await self._listings.link(request))

    async def UnlinkListing(
        self, request: rpc.UnlinkListingRequest, context: _Context
    ) -> rpc.UnlinkListingResponse:
        return rpc.UnlinkListingResponse(listing=await self._listings.unlink(request))

    async def GetUpdatePolicy(
        self, request: rpc.GetUpdatePolicyRequest, context: _Context
    ) -> rpc.GetUpdatePolicyResponse:
        return rpc.GetUpdatePolicyResponse(policy=await self._listings.get_policy(request))

    async def SetUpdatePolicy(
        self, request: rpc.SetUpdatePolicyRequest, context: _Context
    ) -> rpc.SetUpdatePolicyResponse:
        return rpc.SetUpdatePolicyResponse(policy=await self._listings.set_policy(request))
