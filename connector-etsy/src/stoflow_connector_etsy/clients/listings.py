"""Listings and their inventory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoflow_connector_etsy.clients.caller import EtsyCaller, Json
from stoflow_connector_etsy.clients.listing import EtsyListing
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.errors import EtsyRefusedError

PAGE_SIZE = 100
# Without it Etsy hides processing profiles (readiness states) and does not take them.
_WITH_READINESS = {"legacy": "false"}


@dataclass(frozen=True, slots=True)
class ListingPage:
    """A page of a shop's listings.

    Attributes:
        count: How many there are in all, in this state.
        listings: Those of the page.
    """

    count: int
    listings: list[EtsyListing]


class ListingsClient:
    """Calls the listing operations; every method may also raise what EtsyCaller does."""

    def __init__(self, caller: EtsyCaller) -> None:
        self._caller = caller

    async def create_draft(self, seller: Seller, form: Mapping[str, str]) -> EtsyListing:
        """Creates a draft; asked twice Etsy creates two."""
        content = await self._caller.write(
            seller,
            "POST",
            f"/shops/{seller.shop_id}/listings",
            "create a draft",
            requires="listing_id",
            params=_WITH_READINESS,
            data=form,
        )
        return EtsyListing.from_json(content)

    async def find(
        self, seller: Seller, listing_id: int, *, with_inventory: bool = False
    ) -> EtsyListing | None:
        """Returns a listing of the shop in whatever state; None when Etsy says that there is none."""
        params = {**_WITH_READINESS, **({"includes": "Inventory"} if with_inventory else {})}
        operation = f"read listing {listing_id}"
        try:
            content = await self._caller.get(
                seller, f"/listings/{listing_id}", operation, requires="state", params=params
            )
        except EtsyRefusedError as error:
            if error.is_absent:
                return None
            raise
        listing = EtsyListing.from_json(content)
        # Etsy shows everybody every shop's public listings.
        return listing if listing.shop_id == seller.shop_id else None

    async def page(
        self, seller: Seller, state: str, offset: int, *, with_inventory: bool = False
    ) -> ListingPage:
        """Returns a page of the shop's listings in one state, the newest first."""
        params = {
            "state": state,
            "limit": str(PAGE_SIZE),
            "offset": str(offset),
            **_WITH_READINESS,
            **({"includes": "Inventory"} if with_inventory else {}),
        }
        content = await self._caller.get(
            seller,
            f"/shops/{seller.shop_id}/listings",
            f"list the {state} listings",
            requires="results",
            params=params,
        )
        listings = [EtsyListing.from_json(entry) for entry in content["results"]]
        return ListingPage(int(content.get("count") or 0), listings)

    async def batch(self, seller: Seller, listing_ids: Sequence[int]) -> list[EtsyListing]:
        """Returns those of at most 100 listings that Etsy shows; one that it leaves out may exist all the same."""
        content = await self._caller.get(
            seller,
            "/listings/batch",
            f"read {len(listing_ids)} listings",
            requires="results",
            params={"listing_ids": ",".join(str(one) for one in listing_ids), **_WITH_READINESS},
        )
        listings = [EtsyListing.from_json(entry) for entry in content["results"]]
        return [listing for listing in listings if listing.shop_id == seller.shop_id]

    async def update(self, seller: Seller, listing_id: int, form: Mapping[str, str]) -> EtsyListing:
        """Changes what the form names and leaves the rest; price and quantity it would ignore."""
        content = await self._caller.write(
            seller,
            "PATCH",
            f"/shops/{seller.shop_id}/listings/{listing_id}",
            f"update listing {listing_id}",
            requires="state",
            params=_WITH_READINESS,
            data=form,
        )
        return EtsyListing.from_json(content)

    async def delete(self, seller: Seller, listing_id: int) -> None:
        """Deletes a listing for good; one that Etsy says is not there is deleted already."""
        try:
            await self._caller.send(
                seller, "DELETE", f"/listings/{listing_id}", f"delete listing {listing_id}"
            )
        except EtsyRefusedError as error:
            if not error.is_absent:
                raise

    async def get_inventory(self, seller: Seller, listing_id: int) -> Json:
        """Returns a listing's inventory; empty when it has no record yet."""
        try:
            return await self._caller.get(
                seller,
                f"/listings/{listing_id}/inventory",
                f"read the inventory of listing {listing_id}",
                requires="products",
                params=_WITH_READINESS,
            )
        except EtsyRefusedError as error:
            if error.is_absent:
                return {}
            raise

    async def put_inventory(self, seller: Seller, listing_id: int, body: Mapping[str, Any]) -> Json:
        """Replaces a listing's inventory, whole: what the body leaves out is lost."""
        return await self._caller.write(
            seller,
            "PUT",
            f"/listings/{listing_id}/inventory",
            f"write the inventory of listing {listing_id}",
            requires="products",
            params=_WITH_READINESS,
            json=body,
        )

    async def put_property(
        self, seller: Seller, listing_id: int, property_id: int, form: Mapping[str, str]
    ) -> None:
        """Sets one property of a listing."""
        await self._caller.write(
            seller,
            "PUT",
            f"/shops/{seller.shop_id}/listings/{listing_id}/properties/{property_id}",
            f"set property {property_id} of listing {listing_id}",
            requires="property_id",
            data=form,
        )
