"""What of a seller's catalogue is listed where."""

from __future__ import annotations

from uuid import UUID

from stoflow.catalog.v1.listing_service_pb2 import ListListingsRequest, ListListingsResponse

from stoflow_orchestrator.messages.listing import listing_message
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, time_and_id
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.listing import ListingRepository
from stoflow_orchestrator.services.tenants import TenantDirectory


class ListingService:
    """Reads listings."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants

    async def list(self, request: ListListingsRequest) -> ListListingsResponse:
        """Returns a page of listings, the one changed last first.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID.
            NotFoundError: TENANT_NOT_FOUND.
        """
        before = decode_token(request, request.page_token, time_and_id)
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            rows = await ListingRepository(connection).list_page(
                UUID(request.product_id) if request.product_id else None,
                UUID(request.account_id) if request.account_id else None,
                before,
                size + 1,
            )
        listings = fit_page((listing_message(request.tenant_id, row) for row in rows), size)
        token = ""
        if len(listings) < len(rows):
            last = rows[len(listings) - 1]
            token = encode_token(request, [last.update_time, last.listing_id])
        return ListListingsResponse(listings=listings, next_page_token=token)
