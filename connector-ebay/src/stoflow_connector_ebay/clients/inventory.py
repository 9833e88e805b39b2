"""eBay's Inventory API v1: inventory items and offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from stoflow_connector_ebay.clients.caller import EbayCaller, read_object, read_text
from stoflow_connector_ebay.clients.offer import Offer, PublishedOffer
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import OFFER_NOT_FOUND, USER_ERROR, EbayRefusedError
from stoflow_connector_sdk import MarketplaceHttpClient

Json = Mapping[str, Any]
Warnings = list[Json]

_PATH = "/sell/inventory/v1"


class OfferExistsError(EbayRefusedError):
    """eBay keeps one offer for each SKU, site and format, and names the one there is.

    Attributes:
        offer_id: The offer that exists.
    """

    def __init__(self, refusal: EbayRefusedError, offer_id: str) -> None:
        super().__init__(
            refusal.message,
            faults=refusal.faults,
            effect=refusal.effect,
            code=refusal.code,
            http_status=refusal.http_status,
            raw_body=refusal.raw_body,
        )
        self.offer_id = offer_id


@dataclass(frozen=True, slots=True)
class CreatedOffer:
    """What creating an offer gave.

    Attributes:
        offer_id: eBay's id.
        warnings: What eBay remarked, in its own shape.
    """

    offer_id: str
    warnings: Warnings


class InventoryClient:
    """Calls the Inventory API; every method may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, api_url: str) -> None:
        self._caller = EbayCaller(http, f"{api_url}{_PATH}")

    async def put_inventory_item(self, seller: Seller, sku: str, body: Json) -> Warnings:
        """Creates or replaces an inventory item, whole: what the body leaves out is lost."""
        operation = f"write inventory item {sku}"
        path = f"/inventory_item/{quote(sku, safe='')}"
        response = await self._caller.write(seller, "PUT", path, operation, body)
        return _warnings(read_object(response, operation))

    async def find_offer(self, seller: Seller, sku: str) -> Offer | None:
        """Returns the fixed-price offer of a SKU on the seller's site, or None."""
        wanted = {"marketplace_id": seller.site.marketplace_id, "format": "FIXED_PRICE"}
        try:
            content = await self._caller.get(
                seller,
                "/offer",
                f"list the offers of {sku}",
                requires="offers",
                params={"sku": sku, **wanted},
            )
        except EbayRefusedError as error:
            if _says_absent(error):
                return None
            raise
        offers = [Offer.from_json(entry) for entry in content.get("offers") or []]
        # The document says that marketplace_id has no practical use as a filter, so it is applied here too.
        matching = (
            offer
            for offer in offers
            if offer.marketplace_id == wanted["marketplace_id"] and offer.format == wanted["format"]
        )
        return next(matching, None)

    async def find_offer_by_id(self, seller: Seller, offer_id: str) -> Offer | None:
        """Returns an offer, or None when eBay says that there is none."""
        try:
            return await self.get_offer(seller, offer_id)
        except EbayRefusedError as error:
            if _says_absent(error):
                return None
            raise

    async def get_offer(self, seller: Seller, offer_id: str) -> Offer:
        """Returns an offer."""
        path = f"/offer/{quote(offer_id, safe='')}"
        content = await self._caller.get(seller, path, f"read offer {offer_id}", requires="offerId")
        return Offer.from_json(content)

    async def create_offer(self, seller: Seller, body: Json) -> CreatedOffer:
        """Creates an offer.

        Raises:
            OfferExistsError: There is one already, and eBay says which.
        """
        operation = f"create the offer of {body['sku']}"
        try:
            response = await self._caller.write(seller, "POST", "/offer", operation, body)
        except EbayRefusedError as error:
            if offer_id := _existing_offer_id(error):
                raise OfferExistsError(error, offer_id) from error
            raise
        content = read_object(response, operation)
        return CreatedOffer(read_text(content, "offerId", response, operation), _warnings(content))

    async def update_offer(self, seller: Seller, offer_id: str, body: Json) -> Warnings:
        """Replaces an offer, whole: what the body leaves out is lost; a published one changes its listing."""
        operation = f"update offer {offer_id}"
        path = f"/offer/{quote(offer_id, safe='')}"
        response = await self._caller.write(seller, "PUT", path, operation, body)
        return _warnings(read_object(response, operation))

    async def publish_offer(self, seller: Seller, offer_id: str) -> PublishedOffer:
        """Makes an offer a live listing."""
        operation = f"publish offer {offer_id}"
        path = f"/offer/{quote(offer_id, safe='')}/publish"
        response = await self._caller.write(seller, "POST", path, operation)
        content = read_object(response, operation)
        return PublishedOffer(read_text(content, "listingId", response, operation), _warnings(content))


def _warnings(content: Json) -> Warnings:
    found = content.get("warnings")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _says_absent(refusal: EbayRefusedError) -> bool:
    # A proxy's or gateway's 404 says nothing of the offer: only eBay's own error does.
    return refusal.has(OFFER_NOT_FOUND)


def _existing_offer_id(refusal: EbayRefusedError) -> str:
    named = (fault.parameters.get("offerId", "") for fault in refusal.faults if fault.error_id == USER_ERROR)
    return next((offer_id for offer_id in named if offer_id), "")
