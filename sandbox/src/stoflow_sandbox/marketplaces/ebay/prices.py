"""bulk_update_price_quantity: absolute prices and quantities of published offers and their items."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.items import with_quantity
from stoflow_sandbox.marketplaces.ebay.listings import revise_listing, revision_problems
from stoflow_sandbox.marketplaces.ebay.shapes import PRICE_QUANTITY, conform
from stoflow_sandbox.marketplaces.ebay.state import Item, Offer, Seller
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

BULK_LIMIT = 25


def update_prices(seller: Seller, body: Any, context: Context) -> Reply:
    """Answer 200 when every part succeeded, else 207; each part has its own status code."""
    fields, problems = conform(body, PRICE_QUANTITY)
    requests = fields.get("requests", [])
    if not problems and not 1 <= len(requests) <= BULK_LIMIT:
        problems.append(ebay_error(25709, f"requests. 1 to {BULK_LIMIT} are allowed", name="requests"))
    problems += [
        ebay_error(25709, f"requests[{position}].sku", name="sku")
        for position, request in enumerate(requests)
        if not request.get("sku")
    ]
    if problems:
        return refuse(400, *problems)
    responses: list[dict[str, Any]] = []
    effects: list[Effect] = []
    for request in requests:
        parts, happened = _update_sku(seller, request, context)
        responses += parts
        effects += happened
    all_well = all(part["statusCode"] == 200 for part in responses)
    return Reply(200 if all_well else 207, {"responses": responses}, effects=effects)


def _update_sku(
    seller: Seller, request: dict[str, Any], context: Context
) -> tuple[list[dict[str, Any]], list[Effect]]:
    sku = request["sku"]
    changes = request.get("offers", [])
    item = seller.items.get(sku)
    if item is None:
        return [_failed(sku, None, 404, [ebay_error(25702, sku, sku=sku)])], []
    named = [change.get("offerId") for change in changes]
    if len(set(named)) != len(named):
        return [_failed(sku, None, 400, [ebay_error(25002, "Duplicate offerId values.", sku=sku)])], []
    effects: list[Effect] = []
    parts: list[dict[str, Any]] = []
    if "shipToLocationAvailability" in request:
        item = with_quantity(item, request["shipToLocationAvailability"])
        others = [offer for offer in seller.offers_of(sku) if offer.offer_id not in named]
        problems = _quantity_problems(item)
        for offer in others:
            problems += revision_problems(seller, item, offer, context)
        if problems:
            return [_failed(sku, None, 400, problems)], []
        seller.items[sku] = item
        effects.append(Effect("item.replaced", sku, sku))
        for offer in others:
            effects += revise_listing(seller, item, offer, context)
        if not changes:
            parts.append({"sku": sku, "statusCode": 200})
    for change in changes:
        part, happened = _update_offer(seller, item, change, context)
        parts.append(part)
        effects += happened
    return parts or [{"sku": sku, "statusCode": 200}], effects


def _update_offer(
    seller: Seller, item: Item, change: dict[str, Any], context: Context
) -> tuple[dict[str, Any], list[Effect]]:
    offer = seller.offers.get(change.get("offerId") or "")
    if offer is None or seller.items.get(offer.sku) is not item:
        wrong = ebay_error(25713, "This SKU has no such offer", offerId=str(change.get("offerId")))
        return _failed(offer.sku if offer else "", change.get("offerId"), 404, [wrong]), []
    if not offer.is_published:
        reason = ebay_error(25002, "The offer is not published.", offerId=offer.offer_id)
        return _failed(offer.sku, offer.offer_id, 400, [reason]), []
    changed = _changed(offer, change)
    problems = revision_problems(seller, item, changed, context)
    if "price" not in change and "availableQuantity" not in change:
        problems.append(
            ebay_error(25002, "Either availableQuantity or price is required.", offerId=offer.offer_id)
        )
    if problems:
        return _failed(offer.sku, offer.offer_id, 400, problems), []
    offer.fields = changed.fields
    effects = [
        Effect("offer.replaced", offer.offer_id, offer.sku),
        *revise_listing(seller, item, offer, context),
    ]
    return {"offerId": offer.offer_id, "sku": offer.sku, "statusCode": 200}, effects


def _changed(offer: Offer, change: dict[str, Any]) -> Offer:
    fields = deepcopy(offer.fields)
    if "price" in change:
        fields.setdefault("pricingSummary", {})["price"] = change["price"]
    if "availableQuantity" in change:
        fields["availableQuantity"] = change["availableQuantity"]
    return replace(offer, fields=fields)


def _quantity_problems(item: Item) -> list[EbayError]:
    quantity = item.fields["availability"]["shipToLocationAvailability"].get("quantity", 0)
    return [] if quantity >= 0 else [ebay_error(25709, "quantity", name="quantity")]


def _failed(sku: str, offer_id: str | None, status: int, errors: list[EbayError]) -> dict[str, Any]:
    part: dict[str, Any] = {"sku": sku, "statusCode": status, "errors": errors}
    return part if offer_id is None else part | {"offerId": offer_id}
