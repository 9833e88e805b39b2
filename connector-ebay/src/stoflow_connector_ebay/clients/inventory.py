"""eBay's Inventory API v1: inventory items and offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from stoflow_connector_ebay.clients.caller import EbayCaller, malformed, read_object, read_text
from stoflow_connector_ebay.clients.offer import Offer, PublishedOffer
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_ebay.errors import (
    OFFER_NOT_FOUND,
    USER_ERROR,
    EbayAnswer,
    EbayRefusedError,
    error_of,
)
from stoflow_connector_sdk import MarketplaceHttpClient, effect_after

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

    async def find_inventory_item(self, seller: Seller, sku: str) -> Json | None:
        """Returns an inventory item as eBay shows it, or None when eBay says that there is none."""
        path = f"/inventory_item/{quote(sku, safe='')}"
        try:
            return await self._caller.get(seller, path, f"read inventory item {sku}", requires="locale")
        except EbayRefusedError as error:
            if says_absent(error):
                return None
            raise

    async def put_inventory_item(
        self, seller: Seller, sku: str, body: Json, *, language: str = ""
    ) -> Warnings:
        """Creates or replaces an inventory item, whole: what the body leaves out is lost.

        Args:
            seller: On whose behalf.
            sku: The seller's key.
            body: The whole item.
            language: Of its texts, such as `de-DE`; empty for the site's.
        """
        operation = f"write inventory item {sku}"
        path = f"/inventory_item/{quote(sku, safe='')}"
        response = await self._caller.write(seller, "PUT", path, operation, body, language=language)
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
            if says_absent(error):
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
            if says_absent(error):
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

    async def withdraw_offer(self, seller: Seller, offer_id: str) -> str:
        """Ends the listing of an offer, which stays, unpublished.

        Returns:
            The listing that was ended; empty when eBay names none, and then it was not ended.
        """
        operation = f"withdraw offer {offer_id}"
        path = f"/offer/{quote(offer_id, safe='')}/withdraw"
        response = await self._caller.write(seller, "POST", path, operation)
        return str(read_object(response, operation).get("listingId") or "")

    async def update_price_quantity(self, seller: Seller, change: Json) -> None:
        """Sets price and quantities of one SKU's published offers, and of the item: absolute values.

        The operation's own text allows one SKU a call, its schema 25; one is right by both.

        Args:
            seller: On whose behalf.
            change: One PriceQuantity: sku, shipToLocationAvailability, offers.

        Raises:
            ConnectorError: By the table of errors, for the first part of the answer that eBay refused: the answer as
                a whole is a success even then.
        """
        operation = f"update price and quantity of {change['sku']}"
        response = await self._caller.write(
            seller, "POST", "/bulk_update_price_quantity", operation, {"requests": [change]}
        )
        parts = read_object(response, operation).get("responses")
        if not isinstance(parts, list) or not parts:
            raise malformed(response, operation, "no responses")
        for part in parts:
            status = part.get("statusCode")
            if not isinstance(status, int):
                raise malformed(response, operation, "a part without statusCode")
            if status >= 300:
                body = orjson.dumps({"errors": part.get("errors") or []})
                raise error_of(EbayAnswer(status, body, effect_after(response.request)), operation)


def _warnings(content: Json) -> Warnings:
    found = content.get("warnings")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def says_absent(refusal: EbayRefusedError) -> bool:
    """Whether eBay says that there is no such thing, or nothing live of it."""
    # A proxy's or gateway's 404 says nothing of the offer: only eBay's own error does.
    return refusal.has(OFFER_NOT_FOUND)


def _existing_offer_id(refusal: EbayRefusedError) -> str:
    named = (fault.parameters.get("offerId", "") for fault in refusal.faults if fault.error_id == USER_ERROR)
    return next((offer_id for offer_id in named if offer_id), "")
