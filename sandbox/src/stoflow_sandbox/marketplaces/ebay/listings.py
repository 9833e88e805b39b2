"""The life of a listing: started by publishing, revised with its item and offer, ended."""

from datetime import UTC, datetime

from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error
from stoflow_sandbox.marketplaces.ebay.publication import (
    available_quantity,
    publication_problems,
    shown_to_buyers,
)
from stoflow_sandbox.marketplaces.ebay.state import Item, Listing, Offer, Seller
from stoflow_sandbox.marketplaces.exchange import Effect

REVISIONS_PER_DAY = 250


def start_listing(seller: Seller, item: Item, offer: Offer, context: Context) -> Effect:
    """Make a new listing of an offer that may be published; a relisting gets a new number too."""
    if not offer.fields.get("listingDescription"):
        offer.fields["listingDescription"] = item.fields["product"]["description"]
    listing = Listing(
        listing_id=context.ids.next("listing"),
        offer_id=offer.offer_id,
        sku=offer.sku,
        marketplace_id=offer.marketplace_id,
        status="ACTIVE",
        start_time=context.now,
        shown=shown_to_buyers(item, offer),
    )
    seller.listings[listing.listing_id] = listing
    offer.listing_id = listing.listing_id
    seller.count_created("listings", offer.sku)
    return Effect("listing.created", listing.listing_id, offer.sku)


def revision_problems(seller: Seller, item: Item, offer: Offer, context: Context) -> list[EbayError]:
    """Return every reason for which a published offer cannot become this."""
    if offer.listing_id is None:
        return []
    problems = publication_problems(seller, item, offer, context.now)
    if seller.listings[offer.listing_id].revisions.get(_day(context), 0) >= REVISIONS_PER_DAY:
        problems.append(ebay_error(25019, f"{REVISIONS_PER_DAY} revisions a day are allowed."))
    return problems


def revise_listing(seller: Seller, item: Item, offer: Offer, context: Context) -> list[Effect]:
    """Bring the listing of a published offer up to date; without stock it is hidden or ends."""
    if offer.listing_id is None:
        return []
    listing = seller.listings[offer.listing_id]
    shown = shown_to_buyers(item, offer)
    in_stock = available_quantity(item, offer) > 0
    if not in_stock and "OUT_OF_STOCK_CONTROL" not in seller.programs:
        listing.shown = shown
        return [end_listing(seller, offer, context)]
    status = "ACTIVE" if in_stock else "OUT_OF_STOCK"
    if shown == listing.shown and status == listing.status:
        return []
    listing.shown, listing.status = shown, status
    # Only today's count matters, so only today's is kept.
    listing.revisions = {_day(context): listing.revisions.get(_day(context), 0) + 1}
    return [Effect("listing.revised", listing.listing_id, offer.sku)]


def end_listing(seller: Seller, offer: Offer, context: Context) -> Effect:
    """End the listing of a published offer; the offer stays, unpublished."""
    if offer.listing_id is None:
        raise ValueError(f"offer {offer.offer_id} is not published")
    listing = seller.listings[offer.listing_id]
    listing.status, listing.end_time = "ENDED", context.now
    offer.listing_id = None
    return Effect("listing.ended", listing.listing_id, offer.sku)


def _day(context: Context) -> str:
    return datetime.fromtimestamp(context.now, UTC).date().isoformat()
