"""Brings a product's listing up to date, and leaves at Etsy whatever the product does not speak of."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stoflow_connector_etsy.clients.listing import EtsyListing
from stoflow_connector_etsy.clients.listings import ListingsClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.inventory import merged_inventory, writable
from stoflow_connector_etsy.listing_terms import ListingTerms, refusal
from stoflow_connector_etsy.mapping import listing_texts
from stoflow_connector_etsy.notes import noted_pictures, picture_notes, with_notes
from stoflow_connector_etsy.services.listing_finder import ListingFinder
from stoflow_connector_etsy.services.picture_update import PictureUpdate
from stoflow_connector_etsy.services.sellers import seller_of
from stoflow_connector_sdk import (
    FollowUp,
    ListingChange,
    ListingState,
    ProductListing,
    TaskContext,
    TaskResult,
    Violation,
)

_DROPPED: Final[Mapping[str, str]] = {"dropped": "OLDER"}


class EtsyUpdateService:
    """The steps of update."""

    def __init__(self, listings: ListingsClient, finder: ListingFinder, pictures: PictureUpdate) -> None:
        self._listings = listings
        self._finder = finder
        self._pictures = pictures

    async def put_inventory(self, task: TaskContext) -> TaskResult:
        """Reads the inventory, changes SKU, price and stock in it, and writes it back whole with its variations.

        An inventory without a single piece is refused by Etsy: what is sold out goes off the market instead.
        """
        terms = ListingTerms.from_task(task)
        known_listings = await task.get_listings()
        if _shows_newer(known_listings, task):
            return TaskResult(_DROPPED)
        seller = seller_of(task, ending=not terms.is_available)
        listing = await self._finder.find(seller, task)
        if listing is None:
            text = f"Etsy has no listing of SKU {terms.content.sku} in this shop; publish the product first"
            raise refusal([Violation("product.content.sku", text)], "There is nothing to update")
        if not terms.is_available:
            listing = await self._take_off(seller, listing)
        elif listing.state != "sold_out":
            # A sold out one comes back with publish only, for renewing it costs a fee.
            existing = await self._listings.get_inventory(seller, listing.listing_id)
            body = merged_inventory(existing, terms)
            if body != writable(existing):
                await self._listings.put_inventory(seller, listing.listing_id, body)
        output = {"listingId": listing.remote_id, "state": listing.state}
        notes = next((one.notes for one in known_listings if one.remote_id == listing.remote_id), {})
        return TaskResult(output, follow_ups=await self._plan_pictures(seller, task, listing, notes))

    async def update_pictures(self, task: TaskContext) -> TaskResult:
        """Shows the product's pictures as they are now; what was there before, and is not ours, stays behind them."""
        if _shows_newer(await task.get_listings(), task):
            return TaskResult(_DROPPED)
        given = task.input
        foreign = [int(image_id) for image_id in given["foreign"]]
        ids = await self._pictures.replace(
            seller_of(task), int(given["listingId"]), task, noted_pictures(given), foreign
        )
        return TaskResult(picture_notes(task.product.images, ids))

    async def update_listing(self, task: TaskContext) -> TaskResult:
        """Changes the texts and profiles that the product speaks of; its state stays."""
        if "dropped" in task.outputs["put_inventory"]:
            return TaskResult(task.outputs["put_inventory"])
        if _shows_newer(await task.get_listings(), task):
            return TaskResult(_DROPPED)
        terms = ListingTerms.from_task(task)
        seller = seller_of(task)
        listing_id = int(str(task.outputs["put_inventory"]["listingId"]))
        if await self._listings.find(seller, listing_id) is None:
            # Somebody deleted it since the step before; the seller's list of listings should say so.
            gone = ListingChange(remote_id=str(listing_id), state=ListingState.LISTING_STATE_ENDED)
            return TaskResult({"listingId": str(listing_id), "isGone": True}, listing=gone)
        listing = await self._listings.update(seller, listing_id, listing_texts(terms))
        change = listing.change(price=terms.content.price, sku=terms.content.sku)
        notes = next(iter(task.outputs.list("update_pictures")), {})
        return TaskResult(
            {"listingId": listing.remote_id, "state": listing.state}, listing=with_notes(change, notes)
        )

    async def _plan_pictures(
        self, seller: Seller, task: TaskContext, listing: EtsyListing, notes: Mapping[str, Any]
    ) -> list[FollowUp]:
        noted = noted_pictures(notes)
        wanted = [image.content_sha256 for image in task.product.images]
        # What nobody noted the seller made at Etsy; and no listing of Etsy's is without a picture.
        if not noted or not wanted or list(noted) == wanted:
            return []
        # Fixed before the first upload, so that one whose answer is lost is not taken for the seller's.
        foreign = await self._pictures.list_foreign(seller, listing.listing_id, list(noted.values()))
        given = {"listingId": listing.remote_id, "foreign": [str(image_id) for image_id in foreign]}
        return [FollowUp("update_pictures", {**given, **notes})]

    async def _take_off(self, seller: Seller, listing: EtsyListing) -> EtsyListing:
        if listing.state != "active":
            return listing
        return await self._listings.update(seller, listing.listing_id, {"state": "inactive"})


def _shows_newer(known: Sequence[ProductListing], task: TaskContext) -> bool:
    """Whether the job carries an older product than is shown: it was retried, or waited while a newer one ran.

    Each step asks for itself, since a retried job goes on behind the steps that were done before.
    """
    return any(listing.product_version > task.product.version for listing in known)
