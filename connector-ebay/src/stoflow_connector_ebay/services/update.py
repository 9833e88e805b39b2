"""Brings a live listing up to date: no more is written than the catalogue has changed.

Price and quantity go by the call that takes them alone. Anything else is read, merged and written, since eBay replaces
whole records. Which of the two, and whether at all, the first step decides by what was applied last.
"""

from collections.abc import Mapping
from typing import Any, Final

from stoflow_connector_ebay.clients.inventory import InventoryClient, says_absent
from stoflow_connector_ebay.clients.offer import Offer
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import USER_ERROR, EbayRefusedError
from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.mapping import (
    inventory_item,
    language_of,
    offer_terms,
    writable_item,
    writable_offer,
)
from stoflow_connector_ebay.merging import changed, digests, merge
from stoflow_connector_ebay.notes import KnownListings, ListingNotes
from stoflow_connector_ebay.services.pictures import PictureUploads, picture_urls, pictures_of
from stoflow_connector_ebay.services.results import Warnings, ended, live, seller_of, with_warnings
from stoflow_connector_sdk import (
    EffectOutcome,
    FollowUp,
    PermanentError,
    TaskContext,
    TaskResult,
    Violation,
)

_ITEM_QUANTITY: Final = "/availability/shipToLocationAvailability/quantity"
_OFFER_QUANTITY: Final = "/availableQuantity"
_PRICE: Final = frozenset({"/pricingSummary/price/currency", "/pricingSummary/price/value"})
_QUANTITIES: Final = frozenset({_ITEM_QUANTITY, _OFFER_QUANTITY})


class EbayUpdateService:
    """The steps of update."""

    def __init__(self, pictures: PictureUploads, inventory: InventoryClient) -> None:
        self._pictures = pictures
        self._inventory = inventory

    async def plan_update(self, task: TaskContext) -> TaskResult:
        """Compares the product with what was applied last, and appends the steps that it takes."""
        terms = ListingTerms.from_task(task)
        listings = await task.get_listings()
        known = KnownListings.on(task.site, listings)
        if known.shows_newer_here(task.product.version):
            return _dropped()
        if not known.is_live_here:
            raise _not_listed(terms, known)
        assert known.here is not None and known.newest is not None  # noqa: S101, PT018 - is_live_here says so
        here, newest = ListingNotes.of(known.here), ListingNotes.of(known.newest)
        pictures = newest.pictures
        # What is not there yet differs from everything that was applied.
        urls = [pictures.get(image.content_sha256, "") for image in task.product.images]
        # The item is all sites': a job of another site may have brought a newer product to it.
        is_item_newer = known.is_newer_than(task.product.version)
        in_item = set() if is_item_newer else changed(inventory_item(terms, urls), newest.item)
        in_offer = changed(offer_terms(terms), here.offer)
        if not here.offer or task.options.get("overwrite"):
            in_item, in_offer = ({"/"} if not is_item_newer else set()), {"/"}
        if not in_item | in_offer:
            return live(terms, known.here.remote_id, None, {"changed": []})
        if in_item | in_offer <= _PRICE | _QUANTITIES and here.offer_id:
            changes = {
                "price": bool(in_offer & _PRICE),
                "quantity": bool((in_item | in_offer) & _QUANTITIES),
            }
            steps = [FollowUp("update_price_quantity", changes)]
        else:
            missing = [index for index, url in enumerate(urls) if not url] if in_item else []
            steps = [FollowUp("upload_image", item_index=index) for index in missing]
            steps += [FollowUp("merge_inventory_item")] if in_item else []
            steps.append(FollowUp("merge_offer"))
        return TaskResult({"changed": sorted(in_item | in_offer)}, follow_ups=steps)

    async def upload_image(self, task: TaskContext) -> TaskResult:
        """Copies a picture that the listing does not show yet to eBay's picture server."""
        return await self._pictures.upload(task, seller_of(ListingTerms.from_task(task), task), {})

    async def update_price_quantity(self, task: TaskContext) -> TaskResult:
        """Sets what has changed of price and quantity: absolute values, so it may be repeated."""
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        known = KnownListings.on(task.site, await task.get_listings())
        if known.shows_newer_here(task.product.version):
            return _dropped()
        offer_id = ListingNotes.of(known.here).offer_id
        offer: dict[str, Any] = {"offerId": offer_id}
        change: dict[str, Any] = {"sku": terms.content.sku, "offers": [offer]}
        # What the catalogue has not changed is left out: a price that the seller set at eBay stays, and a piece that
        # was sold just now does not come back.
        if task.input.get("price"):
            offer["price"] = offer_terms(terms)["pricingSummary"]["price"]
        if task.input.get("quantity"):
            quantity = terms.content.stock_quantity
            offer["availableQuantity"] = quantity
            # What buyers can buy is the smaller of the item's and the offer's; the item's is all sites', and one of
            # them may have brought a newer count to it.
            if not known.is_newer_than(task.product.version):
                change["shipToLocationAvailability"] = {"quantity": quantity}
        try:
            await self._inventory.update_price_quantity(seller, change)
        except EbayRefusedError as error:
            if not (says_absent(error) or error.has({USER_ERROR})):
                raise
            found = await self._inventory.find_offer_by_id(seller, offer_id)
            if found is not None and found.is_live:
                raise
            return self._gone(known)
        return await self._updated(task, terms, seller, offer_id)

    async def merge_inventory_item(self, task: TaskContext) -> TaskResult:
        """Reads the article, puts in what the catalogue has changed, and writes it back whole."""
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        known = KnownListings.on(task.site, await task.get_listings())
        if known.is_newer_than(task.product.version):
            return _dropped()
        notes = ListingNotes.of(known.newest)
        existing = await self._inventory.find_inventory_item(seller, terms.content.sku)
        if existing is None:
            # Its listings went with it; the next step says so.
            return TaskResult({"sku": terms.content.sku, "gone": True})
        current = writable_item(existing)
        wanted = inventory_item(terms, picture_urls(task, notes.pictures))
        merged = merge(current, wanted, notes.item, overwrite=bool(task.options.get("overwrite")))
        warnings: Warnings = ()
        if merged != current:
            warnings = await self._inventory.put_inventory_item(
                seller, terms.content.sku, merged, language=language_of(existing)
            )
        return TaskResult(with_warnings({"sku": terms.content.sku}, warnings))

    async def merge_offer(self, task: TaskContext) -> TaskResult:
        """Does the same with the offer of the job's site, and says what became of the listing."""
        terms = ListingTerms.from_task(task)
        seller = seller_of(terms, task)
        known = KnownListings.on(task.site, await task.get_listings())
        if known.shows_newer_here(task.product.version):
            return _dropped()
        notes = ListingNotes.of(known.here)
        offer = await self._find_offer(seller, terms, notes.offer_id)
        if offer is None or not offer.is_live:
            return self._gone(known)
        current = writable_offer(offer.content)
        merged = merge(
            current, offer_terms(terms), notes.offer, overwrite=bool(task.options.get("overwrite"))
        )
        warnings: Warnings = ()
        if merged != current:
            warnings = await self._inventory.update_offer(seller, offer.offer_id, merged)
        return await self._updated(task, terms, seller, offer.offer_id, warnings)

    async def _find_offer(self, seller: Seller, terms: ListingTerms, offer_id: str) -> Offer | None:
        offer = await self._inventory.find_offer_by_id(seller, offer_id) if offer_id else None
        return offer or await self._inventory.find_offer(seller, terms.content.sku)

    async def _updated(
        self,
        task: TaskContext,
        terms: ListingTerms,
        seller: Seller,
        offer_id: str,
        warnings: Warnings = (),
    ) -> TaskResult:
        known = KnownListings.on(task.site, await task.get_listings())
        listing_id = "" if known.here is None else known.here.remote_id
        if terms.content.stock_quantity == 0:
            # Without stock eBay hides the listing or ends it, as the seller has chosen there.
            offer = await self._inventory.find_offer_by_id(seller, offer_id)
            if offer is None or offer.listing_status != "ACTIVE":
                return self._gone(known, "" if offer is None else offer.listing_status)
        notes = _notes(task, terms, known, offer_id)
        return live(terms, listing_id, notes, warnings=warnings)

    @staticmethod
    def _gone(known: KnownListings, status: str = "") -> TaskResult:
        """The listing is not for sale any more, which nobody had told us: whether to list again is a person's."""
        output: Mapping[str, Any] = {"notLive": status or "GONE"}
        return ended("" if known.here is None else known.here.remote_id, output)


def _dropped() -> TaskResult:
    """What the job carries is over: it was retried, or waited while a newer one ran.

    Each step that writes asks for itself, since a retried job goes on behind the steps that were done before.
    """
    return TaskResult({"dropped": "OLDER"})


def _notes(task: TaskContext, terms: ListingTerms, known: KnownListings, offer_id: str) -> ListingNotes:
    newest = ListingNotes.of(known.newest)
    if known.is_newer_than(task.product.version):
        # The item was left alone, with what a job of another site brought to it.
        return ListingNotes(offer_id, newest.pictures, newest.item, digests(offer_terms(terms)))
    urls = picture_urls(task, newest.pictures)
    return ListingNotes.applied(
        offer_id, inventory_item(terms, urls), offer_terms(terms), pictures_of(task, urls)
    )


def _not_listed(terms: ListingTerms, known: KnownListings) -> PermanentError:
    where = f"SKU {terms.content.sku} on {terms.site.marketplace_id}"
    text = f"there is no listing of {where}" if known.here is None else f"the listing of {where} is over"
    return PermanentError(
        f"Nothing to update: {text}. Publish the product there.",
        violations=[Violation("site", text)],
        effect=EffectOutcome.NOT_SENT,
        code="NOT_LISTED",
    )
