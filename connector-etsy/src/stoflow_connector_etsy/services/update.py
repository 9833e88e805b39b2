"""Brings a product's listing up to date, and leaves at Etsy whatever the product does not speak of."""

from stoflow_connector_etsy.clients.listing import EtsyListing
from stoflow_connector_etsy.clients.listings import ListingsClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.inventory import merged_inventory, writable
from stoflow_connector_etsy.listing_terms import ListingTerms, require_none
from stoflow_connector_etsy.mapping import listing_texts
from stoflow_connector_etsy.services.listing_finder import ListingFinder
from stoflow_connector_etsy.services.sellers import seller_of
from stoflow_connector_sdk import ListingChange, ListingState, TaskContext, TaskResult, Violation


class EtsyUpdateService:
    """The steps of update."""

    def __init__(self, listings: ListingsClient, finder: ListingFinder) -> None:
        self._listings = listings
        self._finder = finder

    async def put_inventory(self, task: TaskContext) -> TaskResult:
        """Reads the inventory, changes SKU, price and stock in it, and writes it back whole with its variations.

        An inventory without a single piece is refused by Etsy: what is sold out goes off the market instead.
        """
        terms = ListingTerms.from_task(task)
        if any(known.product_version > task.product.version for known in await task.get_listings()):
            # A job that was retried, or waited while a newer one ran: what it carries is over.
            return TaskResult({"dropped": "OLDER"})
        seller = seller_of(task, ending=not terms.is_available)
        listing = await self._finder.find(seller, task)
        if listing is None:
            text = f"Etsy has no listing of SKU {terms.content.sku} in this shop; publish the product first"
            require_none([Violation("product.content.sku", text)], "There is nothing to update")
            raise AssertionError("unreachable")
        if not terms.is_available:
            listing = await self._take_off(seller, listing)
        elif listing.state != "sold_out":
            # A sold out one comes back with publish only, for renewing it costs a fee.
            existing = await self._listings.get_inventory(seller, listing.listing_id)
            body = merged_inventory(existing, terms)
            if body != writable(existing):
                await self._listings.put_inventory(seller, listing.listing_id, body)
        return TaskResult({"listingId": listing.remote_id, "state": listing.state})

    async def update_listing(self, task: TaskContext) -> TaskResult:
        """Changes the texts and profiles that the product speaks of; its state stays."""
        if "dropped" in task.outputs["put_inventory"]:
            return TaskResult(task.outputs["put_inventory"])
        terms = ListingTerms.from_task(task)
        seller = seller_of(task)
        listing_id = int(str(task.outputs["put_inventory"]["listingId"]))
        if await self._listings.find(seller, listing_id) is None:
            # Somebody deleted it since the step before; the seller's list of listings should say so.
            gone = ListingChange(remote_id=str(listing_id), state=ListingState.LISTING_STATE_ENDED)
            return TaskResult({"listingId": str(listing_id), "isGone": True}, listing=gone)
        listing = await self._listings.update(seller, listing_id, listing_texts(terms))
        change = listing.change(price=terms.content.price, sku=terms.content.sku)
        return TaskResult({"listingId": listing.remote_id, "state": listing.state}, listing=change)

    async def _take_off(self, seller: Seller, listing: EtsyListing) -> EtsyListing:
        if listing.state != "active":
            return listing
        return await self._listings.update(seller, listing.listing_id, {"state": "inactive"})
