"""An offer and its inventory item in our words."""

from collections.abc import Mapping
from typing import Any

from stoflow_connector_ebay.clients.offer import Offer
from stoflow_connector_ebay.price import parse_price
from stoflow_connector_ebay.sites import EbaySite
from stoflow_connector_sdk import ListingChange, ListingState, Money

Json = Mapping[str, Any]

_MAX_TEXT = 500


def listing_change(site: EbaySite, offer: Offer, item: Json | None = None) -> ListingChange:
    """Returns what the orchestrator keeps of the listing of an offer that has one.

    Args:
        site: The offer's site.
        offer: The offer, published or once published.
        item: Its inventory item; None when it was not read.
    """
    change = ListingChange(
        remote_id=offer.listing_id,
        url=site.listing_url(offer.listing_id),
        state=listing_state(offer),
        sku=str(offer.content.get("sku") or ""),
        title=str(((item or {}).get("product") or {}).get("title") or "")[:_MAX_TEXT],
    )
    price = (offer.content.get("pricingSummary") or {}).get("price") or {}
    currency = str(price.get("currency") or "")
    minor = parse_price(str(price.get("value") or ""), currency)
    if minor is not None and currency:
        change.price.CopyFrom(Money(currency_code=currency, amount_minor=minor))
    return change


def ended_listing(remote_id: str) -> ListingChange:
    """Returns the end of a listing that eBay, asked for it, does not show any more."""
    return ListingChange(remote_id=remote_id, state=ListingState.LISTING_STATE_ENDED)


def listing_state(offer: Offer) -> ListingState.ValueType:
    """Returns where the listing of an offer stands; what is out of stock is not for sale, though it is there."""
    if offer.is_live and offer.listing_status != "OUT_OF_STOCK":
        return ListingState.LISTING_STATE_LIVE
    # Only pieces that eBay itself counts as sold make a listing sold.
    sold = (offer.content.get("listing") or {}).get("soldQuantity")
    has_sold = isinstance(sold, int) and sold > 0
    return ListingState.LISTING_STATE_SOLD if has_sold else ListingState.LISTING_STATE_ENDED
