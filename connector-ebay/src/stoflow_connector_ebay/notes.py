"""What the connector notes of a listing, to know at the next update what it has applied and where the pictures are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from google.protobuf.struct_pb2 import Struct

from stoflow_connector_ebay.merging import digests
from stoflow_connector_sdk import ListingState, ProductListing
from stoflow_service_kit.structs import fill_struct


@dataclass(frozen=True, slots=True)
class ListingNotes:
    """Notes on one listing; empty ones say that nothing is known.

    Attributes:
        offer_id: The offer that became the listing.
        pictures: Addresses at eBay's picture server by the SHA-256 of the catalogue's pictures.
        item: Digest of each leaf of the inventory item that was applied last.
        offer: The same of the offer.
    """

    offer_id: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)
    item: Mapping[str, str] = field(default_factory=dict)
    offer: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, listing: ProductListing | None) -> Self:
        """Reads the notes on a listing."""
        notes: Mapping[str, Any] = {} if listing is None else listing.notes
        return cls(
            offer_id=str(notes.get("offerId", "")),
            pictures=dict(notes.get("pictures", {})),
            item=dict(notes.get("item", {})),
            offer=dict(notes.get("offer", {})),
        )

    @classmethod
    def applied(
        cls,
        offer_id: str,
        item: Mapping[str, Any],
        offer: Mapping[str, Any],
        pictures: Mapping[str, str],
    ) -> Self:
        """Notes what was applied."""
        return cls(offer_id, pictures, digests(item), digests(offer))

    def to_struct(self) -> Struct:
        """Returns the notes as a result carries them."""
        struct = Struct()
        fill_struct(
            struct,
            {
                "offerId": self.offer_id,
                "pictures": self.pictures,
                "item": self.item,
                "offer": self.offer,
            },
        )
        return struct


@dataclass(frozen=True, slots=True)
class KnownListings:
    """What is known of a product's listings when a job of one site begins.

    Attributes:
        newest: The live listing, on whatever site, that shows the newest product: it tells what the inventory item
            holds, which all sites share. None without a live one.
        here: The live listing on the job's site, else the last one there; None when there was none.
    """

    newest: ProductListing | None
    here: ProductListing | None

    @classmethod
    def on(cls, site: str, listings: Sequence[ProductListing]) -> Self:
        """Chooses among the listings of a product, of which the one with the newest product comes first."""
        live = [listing for listing in listings if listing.state == ListingState.LISTING_STATE_LIVE]
        here = [listing for listing in [*live, *listings] if listing.site == site]
        return cls(live[0] if live else None, here[0] if here else None)

    @property
    def is_live_here(self) -> bool:
        """Whether buyers find a listing on the job's site, as far as is known."""
        return self.here is not None and self.here.state == ListingState.LISTING_STATE_LIVE

    @property
    def is_live_elsewhere(self) -> bool:
        """Whether another site shows the same inventory item."""
        return self.newest is not None and self.here is not self.newest

    def shows_newer_here(self, product_version: int) -> bool:
        """Whether the live listing on the job's site shows a newer product."""
        return self.is_live_here and self.here is not None and self.here.product_version > product_version

    def is_newer_than(self, product_version: int) -> bool:
        """Whether the inventory item shows a newer product."""
        return self.newest is not None and self.newest.product_version > product_version
