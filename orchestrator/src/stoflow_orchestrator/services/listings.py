"""What is for sale where, of which product it is, and whether it follows that product."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from stoflow.catalog.v1 import listing_service_pb2 as rpc
from stoflow.catalog.v1.listing_pb2 import Listing, ListingState, UpdatePolicy

from stoflow_orchestrator.messages.listing import LISTING_STATE_PREFIX, listing_message, policy_message
from stoflow_orchestrator.paging import decode_token, encode_token, fit_page, page_size, time_and_id
from stoflow_orchestrator.repositories.account import AccountRepository
from stoflow_orchestrator.repositories.database import Database
from stoflow_orchestrator.repositories.listing import ListingFilter, ListingRepository
from stoflow_orchestrator.repositories.listing_update import ListingUpdateRepository
from stoflow_orchestrator.repositories.product import ProductRepository
from stoflow_orchestrator.services.accounts import account_not_found, get_account
from stoflow_orchestrator.services.idempotency import claim_mutation, describe_mutation
from stoflow_orchestrator.services.product_checks import product_not_found
from stoflow_orchestrator.services.tenants import TenantDirectory
from stoflow_orchestrator.storable import check_storable
from stoflow_service_kit.errors import (
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    PreconditionViolation,
)

DEFAULT_QUIET_SECONDS = 60


class ListingService:
    """Reads listings, links them to products, and says whether they follow."""

    def __init__(self, database: Database, tenants: TenantDirectory) -> None:
        self._database = database
        self._tenants = tenants

    async def list(self, request: rpc.ListListingsRequest) -> rpc.ListListingsResponse:
        """Returns a page of listings, the one changed last first.

        Raises:
            InvalidArgumentError: PAGE_TOKEN_INVALID, or a SKU that cannot exist.
            NotFoundError: TENANT_NOT_FOUND.
        """
        check_storable(request)
        before = decode_token(request, request.page_token, time_and_id)
        await self._tenants.require(request.tenant_id)
        size = page_size(request)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            rows = await ListingRepository(connection).list_page(_filter(request), before, size + 1)
        listings = fit_page((listing_message(request.tenant_id, row) for row in rows), size)
        token = ""
        if len(listings) < len(rows):
            last = rows[len(listings) - 1]
            token = encode_token(request, [last.update_time, last.listing_id])
        return rpc.ListListingsResponse(listings=listings, next_page_token=token)

    async def link(self, request: rpc.LinkListingRequest) -> Listing:
        """Says that a listing shows a product, as the product is now.

        Raises:
            NotFoundError: TENANT_NOT_FOUND, LISTING_NOT_FOUND or PRODUCT_NOT_FOUND.
            FailedPreconditionError: LISTING_LINKED.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        product_id = UUID(request.product_id)
        return await self._change_link(request, product_id)

    async def unlink(self, request: rpc.UnlinkListingRequest) -> Listing:
        """Says that a listing does not show the product that it is linked to.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or LISTING_NOT_FOUND.
            FailedPreconditionError: LISTING_LINKED.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        return await self._change_link(request, None)

    async def _change_link(
        self, request: rpc.LinkListingRequest | rpc.UnlinkListingRequest, product_id: UUID | None
    ) -> Listing:
        await self._tenants.require(request.tenant_id)
        listing_id = UUID(request.listing_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(listing_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is None:
                await _store_link(connection, listing_id, UUID(request.product_id), product_id)
            row = await _get_listing(connection, listing_id)
        return listing_message(request.tenant_id, row)

    async def get_policy(self, request: rpc.GetUpdatePolicyRequest) -> UpdatePolicy:
        """Returns whether an account's listings follow their products.

        Raises:
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
        """
        await self._tenants.require(request.tenant_id)
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            account = await get_account(connection, UUID(request.account_id))
        return policy_message(account.account_id, account.update_quiet_seconds)

    async def set_policy(self, request: rpc.SetUpdatePolicyRequest) -> UpdatePolicy:
        """Sets whether an account's listings follow their products.

        Raises:
            InvalidArgumentError: A period of parts of seconds.
            NotFoundError: TENANT_NOT_FOUND or ACCOUNT_NOT_FOUND.
            AlreadyExistsError: REQUEST_ID_REUSED.
        """
        quiet_seconds = _quiet_seconds(request)
        await self._tenants.require(request.tenant_id)
        account_id = UUID(request.account_id)
        mutation = describe_mutation(request.tenant_id, request.request_id, request, str(account_id))
        async with self._database.tenant_transaction(request.tenant_id) as connection:
            if await claim_mutation(connection, mutation) is None:
                if not await AccountRepository(connection).set_update_quiet_seconds(
                    account_id, quiet_seconds
                ):
                    raise account_not_found(account_id)
                updates = ListingUpdateRepository(connection)
                if quiet_seconds is None:
                    await updates.drop_account(account_id)
                else:
                    await updates.plan_stale(account_id)
            account = await get_account(connection, account_id)
        return policy_message(account_id, account.update_quiet_seconds)


def _filter(request: rpc.ListListingsRequest) -> ListingFilter:
    return ListingFilter(
        product_id=UUID(request.product_id) if request.product_id else None,
        account_id=UUID(request.account_id) if request.account_id else None,
        states=[ListingState.Name(state).removeprefix(LISTING_STATE_PREFIX) for state in request.states],
        marketplace=request.marketplace,
        sku=request.sku,
        only_unlinked=request.only_unlinked,
        only_stale=request.only_stale,
    )


async def _store_link(
    connection: AsyncConnection, listing_id: UUID, named: UUID, product_id: UUID | None
) -> None:
    listings = ListingRepository(connection)
    # The listing before the product, as results of tasks do.
    listing = await listings.lock(listing_id)
    if listing is None:
        raise _listing_not_found(listing_id)
    # Locked, so that a change of the product which is just happening counts as one before the link.
    version = 0 if product_id is None else await ProductRepository(connection).lock(product_id)
    if version is None:
        raise product_not_found(named)
    if listing.product_id not in (None, named):
        raise _linked(listing_id, listing.product_id)
    if product_id is None or listing.product_id is None:
        await listings.link(listing_id, product_id, version)
    elif listing.link == "SKU":
        await listings.confirm_link(listing_id)
    if product_id is not None:
        await listings.link_order_lines(listing.account_id, listing.remote_id, product_id)


async def _get_listing(connection: AsyncConnection, listing_id: UUID) -> Row[Any]:
    row = await ListingRepository(connection).find(listing_id)
    if row is None:
        raise _listing_not_found(listing_id)
    return row


def _listing_not_found(listing_id: UUID) -> NotFoundError:
    return NotFoundError(
        f"There is no listing {listing_id}.",
        reason="LISTING_NOT_FOUND",
        metadata={"listing_id": str(listing_id)},
    )


def _linked(listing_id: UUID, product_id: UUID) -> FailedPreconditionError:
    message = f"The listing is linked to product {product_id}; read it again, and unlink it first."
    return FailedPreconditionError(
        message,
        reason="LISTING_LINKED",
        metadata={"product_id": str(product_id)},
        preconditions=[PreconditionViolation("LISTING_LINKED", f"listings/{listing_id}", message)],
    )


def _quiet_seconds(request: rpc.SetUpdatePolicyRequest) -> int | None:
    if request.quiet_period.nanos:
        raise InvalidArgumentError([FieldViolation("quiet_period", "must be whole seconds")])
    if not request.is_automatic:
        return None
    return request.quiet_period.seconds if request.HasField("quiet_period") else DEFAULT_QUIET_SECONDS
