"""Takes a product's listing off the market, for a while or for good; ending twice is as good as once."""

from stoflow_connector_etsy.clients.listing import EtsyListing
from stoflow_connector_etsy.clients.listings import ListingsClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.errors import EtsyRefusedError
from stoflow_connector_etsy.services.listing_finder import ListingFinder
from stoflow_connector_etsy.services.sellers import seller_of
from stoflow_connector_sdk import ListingChange, ListingState, TaskContext, TaskResult

ENDED = ListingState.LISTING_STATE_ENDED


class EtsyDeletionService:
    """The step of delete."""

    def __init__(self, listings: ListingsClient, finder: ListingFinder) -> None:
        self._listings = listings
        self._finder = finder

    async def end_listing(self, task: TaskContext) -> TaskResult:
        """Deactivates or deletes the listing; one that is not there is ended already."""
        seller = seller_of(task, ending=True)
        listing = await self._finder.find(seller, task)
        if listing is None:
            known = next((one.remote_id for one in await task.get_listings()), "")
            gone = ListingChange(remote_id=known, state=ENDED) if known else None
            return TaskResult({"listingId": known, "isGone": True}, listing=gone)
        if task.options.get("method") == "DELETE":
            await self._delete(seller, listing)
            return TaskResult({"listingId": listing.remote_id}, listing=listing.change(state=ENDED))
        # A draft, and what is inactive, expired or sold out, no buyer sees.
        if listing.state == "active":
            listing = await self._deactivate(seller, listing)
        state = ENDED if listing.state == "draft" else None
        return TaskResult(
            {"listingId": listing.remote_id, "state": listing.state}, listing=listing.change(state=state)
        )

    async def _deactivate(self, seller: Seller, listing: EtsyListing) -> EtsyListing:
        try:
            return await self._listings.update(seller, listing.listing_id, {"state": "inactive"})
        except EtsyRefusedError as error:
            # It may have been sold, expired or deleted since it was read.
            now = await self._listings.find(seller, listing.listing_id)
            if now is not None and now.state == "active":
                raise
            if now is None and not error.is_absent:
                raise
        return listing if now is None else now

    async def _delete(self, seller: Seller, listing: EtsyListing) -> None:
        try:
            await self._listings.delete(seller, listing.listing_id)
        except EtsyRefusedError as error:
            if not error.is_conflict:
                raise
            # Etsy deletes only in some states, of which inactive is one.
            await self._deactivate(seller, listing)
            await self._listings.delete(seller, listing.listing_id)
