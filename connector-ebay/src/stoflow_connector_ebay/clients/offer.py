"""An offer as eBay returns it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

# The seller or eBay took the listing down; OUT_OF_STOCK and INACTIVE ones are still there.
_ENDED = frozenset({"ENDED", "EBAY_ENDED"})


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer.

    Attributes:
        offer_id: eBay's id.
        marketplace_id: The site it is for.
        format: FIXED_PRICE or AUCTION.
        is_published: Whether eBay calls it published.
        listing_id: The listing it became; empty without one.
        listing_status: A value of eBay's ListingStatusEnum; empty without a listing.
        content: Everything eBay returned.
    """

    offer_id: str
    marketplace_id: str
    format: str
    is_published: bool
    listing_id: str
    listing_status: str
    content: Mapping[str, Any]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Reads EbayOfferDetailsWithAll."""
        listing = content.get("listing") or {}
        return cls(
            offer_id=str(content["offerId"]),
            marketplace_id=str(content.get("marketplaceId") or ""),
            format=str(content.get("format") or ""),
            is_published=content.get("status") == "PUBLISHED",
            listing_id=str(listing.get("listingId") or ""),
            listing_status=str(listing.get("listingStatus") or ""),
            content=content,
        )

    @property
    def has_ended_listing(self) -> bool:
        """Whether the listing is over, although eBay still calls the offer published."""
        return self.is_published and self.listing_status in _ENDED

    @property
    def is_live(self) -> bool:
        """Whether buyers find the listing."""
        return self.is_published and bool(self.listing_id) and not self.has_ended_listing


@dataclass(frozen=True, slots=True)
class PublishedOffer:
    """What publishing gave.

    Attributes:
        listing_id: The listing.
        warnings: What eBay remarked, in its own shape.
    """

    listing_id: str
    warnings: list[Mapping[str, Any]]
