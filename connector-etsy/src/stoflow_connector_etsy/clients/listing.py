"""A listing as Etsy returns it."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from stoflow_connector_etsy.inventory import skus
from stoflow_connector_etsy.price import read_money
from stoflow_connector_sdk import ListingChange, ListingState, Money

LISTING_STATES: Final[Mapping[str, ListingState.ValueType]] = {
    "active": ListingState.LISTING_STATE_LIVE,
    "draft": ListingState.LISTING_STATE_DRAFT,
    "inactive": ListingState.LISTING_STATE_ENDED,
    "expired": ListingState.LISTING_STATE_ENDED,
    "sold_out": ListingState.LISTING_STATE_SOLD,
}
"""Every state that a shop's listings can be listed by, and what it is called here."""

_MAX_TITLE_CHARACTERS = 500
_MAX_SKU_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class EtsyListing:
    """One listing.

    Attributes:
        listing_id: Etsy's id.
        shop_id: The shop that sells it.
        state: A key of LISTING_STATES; another one of Etsy's is kept as it is.
        url: Its public address.
        title: Its title.
        description: Its description, as the seller wrote it.
        price: The lowest price it carries; None when it is not known.
        inventory: Its inventory; None when it was not asked for, or there is no record.
    """

    listing_id: int
    shop_id: int
    state: str
    url: str
    title: str
    description: str
    price: Money | None
    inventory: Mapping[str, Any] | None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Reads ShopListing or ShopListingWithAssociations."""
        inventory = content.get("inventory")
        return cls(
            listing_id=int(content["listing_id"]),
            shop_id=int(content.get("shop_id") or 0),
            state=str(content.get("state") or ""),
            url=str(content.get("url") or ""),
            # Etsy writes quotation marks and ampersands of texts as HTML entities.
            title=html.unescape(str(content.get("title") or "")),
            description=html.unescape(str(content.get("description") or "")),
            price=read_money(content.get("price")),
            inventory=inventory if isinstance(inventory, Mapping) else None,
        )

    @property
    def remote_id(self) -> str:
        """The id as the rest of StoFlow keeps it."""
        return str(self.listing_id)

    @property
    def skus(self) -> list[str]:
        """Its SKUs, each once; empty when the inventory was not asked for."""
        return skus(self.inventory)

    def change(
        self, *, state: ListingState.ValueType | None = None, price: Money | None = None, sku: str = ""
    ) -> ListingChange:
        """Returns what is reported of the listing.

        Args:
            state: In place of its own.
            price: In place of its own.
            sku: In place of its own; of several, one for each variation, none is the listing's.
        """
        own = self.skus
        known = sku or (own[0] if len(own) == 1 else "")
        return ListingChange(
            remote_id=self.remote_id,
            url=self.url[:2000],
            state=LISTING_STATES[self.state] if state is None else state,
            price=price or self.price,
            sku=known if len(known) <= _MAX_SKU_CHARACTERS else "",
            title=self.title[:_MAX_TITLE_CHARACTERS],
        )
