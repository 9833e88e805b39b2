"""Takes a product off one eBay site; what is gone already is success."""

from collections.abc import Mapping, Sequence
from typing import Any

from stoflow_connector_ebay.clients.inventory import InventoryClient, says_absent
from stoflow_connector_ebay.clients.offer import Offer
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import EbayRefusedError
from stoflow_connector_ebay.notes import KnownListings, ListingNotes
from stoflow_connector_ebay.services.results import ended
from stoflow_connector_ebay.sites import SITES, find_site
from stoflow_connector_sdk import (
    EffectOutcome,
    PermanentError,
    RetryableError,
    TaskContext,
    TaskResult,
    Violation,
)

WITHDRAW = "WITHDRAW"
OUT_OF_STOCK = "OUT_OF_STOCK"
METHODS: Sequence[str] = (WITHDRAW, OUT_OF_STOCK)


class EbayDeletionService:
    """The step of delete."""

    def __init__(self, inventory: InventoryClient) -> None:
        self._inventory = inventory

    async def end_listing(self, task: TaskContext) -> TaskResult:
        """Ends the listing, or sets its quantity to nothing, by the option `method`; may be repeated."""
        method = str(task.options.get("method") or WITHDRAW)
        seller = _seller(task)
        known = KnownListings.on(task.site, await task.get_listings())
        listing_id = "" if known.here is None else known.here.remote_id
        noted = ListingNotes.of(known.here).offer_id
        if method == WITHDRAW and noted and (withdrawn := await self._withdraw(seller, noted)):
            return ended(withdrawn, {"method": method})
        # What was noted is gone, or nothing was: another offer of the SKU may be live all the same.
        offer = await self._inventory.find_offer(seller, task.product.content.sku)
        if offer is None or not offer.is_live:
            return ended(listing_id, {"method": method, "wasGone": True})
        if method == OUT_OF_STOCK:
            return await self._empty(task, seller, offer)
        withdrawn = await self._withdraw(seller, offer.offer_id)
        return ended(withdrawn or offer.listing_id, {"method": method})

    async def _withdraw(self, seller: Seller, offer_id: str) -> str:
        """Returns the listing that ended; empty when there was none."""
        try:
            listing_id = await self._inventory.withdraw_offer(seller, offer_id)
        except EbayRefusedError as error:
            if says_absent(error):
                return ""
            raise
        if not listing_id:
            # The document of withdrawOffer: the field is absent when the listing was not ended.
            raise RetryableError(
                f"eBay did not end the listing of offer {offer_id}.",
                effect=EffectOutcome.UNKNOWN,
                code="NOT_ENDED",
            )
        return listing_id

    async def _empty(self, task: TaskContext, seller: Seller, offer: Offer) -> TaskResult:
        # Only this site's offer: the item's stock is what the other sites sell.
        change: Mapping[str, Any] = {
            "sku": task.product.content.sku,
            "offers": [{"offerId": offer.offer_id, "availableQuantity": 0}],
        }
        if offer.listing_status != "OUT_OF_STOCK":
            try:
                await self._inventory.update_price_quantity(seller, change)
            except EbayRefusedError:
                # Perhaps it ended since it was read: the offer itself tells.
                found = await self._inventory.find_offer_by_id(seller, offer.offer_id)
                if found is not None and found.is_live:
                    raise
        now = await self._inventory.find_offer_by_id(seller, offer.offer_id)
        # eBay hides it, or ends it when the seller has not joined OUT_OF_STOCK_CONTROL: not for sale either way.
        status = now.listing_status if now is not None and now.is_published else "ENDED"
        return ended(offer.listing_id, {"method": OUT_OF_STOCK, "listingStatus": status})


def _seller(task: TaskContext) -> Seller:
    # Not by the terms of a listing: what is to be ended needs no policies, which may be gone by now.
    site = find_site(task.site)
    if site is None:
        text = f"{task.site!r} is not a site of eBay; known are {', '.join(sorted(SITES))}"
        raise PermanentError(
            f"There is nothing to end: {text}.",
            violations=[Violation("site", text)],
            effect=EffectOutcome.NOT_SENT,
            code="SITE_UNKNOWN",
        )
    return Seller(site, task.get_access_token)
