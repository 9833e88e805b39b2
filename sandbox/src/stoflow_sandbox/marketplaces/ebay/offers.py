"""Offers: create, read, replace, delete, publish, withdraw."""

import copy
from dataclasses import replace
from typing import Any

from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.items import sku_problem
from stoflow_sandbox.marketplaces.ebay.listings import (
    end_listing,
    revise_listing,
    revision_problems,
    start_listing,
)
from stoflow_sandbox.marketplaces.ebay.orders import sold_quantity
from stoflow_sandbox.marketplaces.ebay.publication import publication_problems
from stoflow_sandbox.marketplaces.ebay.shapes import OFFER, OFFER_UPDATE, conform
from stoflow_sandbox.marketplaces.ebay.state import Offer, Seller
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

MISSING_OFFER = "This offer does not exist"


def create_offer(seller: Seller, body: Any, locale: str, context: Context) -> Reply:
    """Stage an offer; one may exist for each SKU, site and format, and a second is told which."""
    fields, problems = conform(body, OFFER)
    if not problems:
        problems = _creation_problems(seller, fields)
    if problems:
        return refuse(400, *problems)
    sku, marketplace_id, form = fields.pop("sku"), fields.pop("marketplaceId"), fields.pop("format")
    existing = seller.offer_ids.get((sku, marketplace_id, form))
    if existing is not None:
        return refuse(400, ebay_error(25002, "Offer entity already exists.", offerId=existing))
    offer = Offer(context.ids.next("offer"), sku, marketplace_id, form, fields)
    _adopt_description(seller, offer)
    seller.add_offer(offer)
    seller.count_created("offers", sku)
    headers = {"Content-Language": locale.replace("_", "-")}
    return Reply(201, {"offerId": offer.offer_id}, headers, [Effect("offer.created", offer.offer_id, sku)])


def _creation_problems(seller: Seller, fields: dict[str, Any]) -> list[EbayError]:
    problems = [
        ebay_error(25709, name, name=name)
        for name in ("sku", "marketplaceId", "format")
        if not fields.get(name)
    ]
    sku = fields.get("sku")
    if sku is not None:
        if wrong := sku_problem(sku):
            problems.append(wrong)
        elif sku not in seller.items:
            problems.append(ebay_error(25702, sku, sku=sku))
    if fields.get("format") == "AUCTION":
        if "listingDuration" not in fields:
            problems.append(ebay_error(25755))
        if "auctionStartPrice" not in fields.get("pricingSummary", {}):
            problems.append(ebay_error(25757))
    elif {"auctionStartPrice", "auctionReservePrice"} & fields.get("pricingSummary", {}).keys():
        problems.append(ebay_error(25758))
    if fields.get("availableQuantity", 0) < 0:
        problems.append(ebay_error(25709, "availableQuantity", name="availableQuantity"))
    return problems


def _adopt_description(seller: Seller, offer: Offer) -> None:
    """An offer without a description takes the item's, as the API documents."""
    description = seller.items[offer.sku].fields.get("product", {}).get("description")
    if description and not offer.fields.get("listingDescription"):
        offer.fields["listingDescription"] = description


def get_offer(seller: Seller, offer_id: str) -> Reply:
    offer = seller.offers.get(offer_id)
    return missing_offer(offer_id) if offer is None else Reply(200, offer_view(seller, offer))


def missing_offer(offer_id: str) -> Reply:
    return refuse(404, ebay_error(25713, MISSING_OFFER, offerId=offer_id))


def offer_view(seller: Seller, offer: Offer) -> dict[str, Any]:
    """Return an offer with the defaults that the API fills in."""
    view: dict[str, Any] = {
        "offerId": offer.offer_id,
        "sku": offer.sku,
        "marketplaceId": offer.marketplace_id,
        "format": offer.format,
        "hideBuyerDetails": False,
        "includeCatalogProductDetails": True,
        "listingDuration": "GTC",
        "listingPolicies": {},
        "pricingSummary": {},
    }
    view |= copy.deepcopy(offer.fields)
    view["status"] = "PUBLISHED" if offer.is_published else "UNPUBLISHED"
    if offer.listing_id is not None:
        listing = seller.listings[offer.listing_id]
        view["listing"] = {
            "listingId": listing.listing_id,
            "listingStatus": listing.status,
            "listingOnHold": False,
            "soldQuantity": sold_quantity(seller, listing.listing_id),
        }
    return view


def find_offers(
    seller: Seller, sku: str, marketplace_id: str | None, form: str | None
) -> Reply | list[Offer]:
    """Return the offers of a SKU; when there is none the API answers 404 and not an empty list."""
    if problem := sku_problem(sku):
        return refuse(400, problem)
    if sku not in seller.items:
        return refuse(404, ebay_error(25702, sku, sku=sku))
    found = [
        offer
        for offer in seller.offers_of(sku)
        if marketplace_id in (None, offer.marketplace_id) and form in (None, offer.format)
    ]
    return found or refuse(404, ebay_error(25713, "This SKU has no offer", sku=sku))


def list_offers(seller: Seller, found: list[Offer], limit: int, page: int, links: dict[str, str]) -> Reply:
    chosen = [offer_view(seller, offer) for offer in found[page * limit : (page + 1) * limit]]
    content = {**links, "limit": limit, "size": len(chosen), "total": len(found), "offers": chosen}
    return Reply(200, content)


def update_offer(seller: Seller, offer_id: str, body: Any, locale: str, context: Context) -> Reply:
    """Replace the offer whole, but for SKU, site and format; whatever the body leaves out is lost."""
    offer = seller.offers.get(offer_id)
    if offer is None:
        return missing_offer(offer_id)
    fields, problems = conform(body, OFFER_UPDATE)
    if problems:
        return refuse(400, *problems)
    if offer.is_published and not fields.get("listingDescription"):
        problems.append(
            ebay_error(25016, "listingDescription", listingDescription="Required for published offers.")
        )
    item = seller.items[offer.sku]
    problems += revision_problems(seller, item, replace(offer, fields=fields), context)
    if problems:
        return refuse(400, *problems)
    offer.fields = fields
    effects = [Effect("offer.replaced", offer_id, offer.sku), *revise_listing(seller, item, offer, context)]
    return Reply(200, {"offerId": offer_id}, {"Content-Language": locale.replace("_", "-")}, effects)


def delete_offer(seller: Seller, offer_id: str, context: Context) -> Reply:
    """Delete an offer, ending its listing first."""
    offer = seller.offers.get(offer_id)
    if offer is None:
        return missing_offer(offer_id)
    effects = [end_listing(seller, offer, context)] if offer.is_published else []
    seller.remove_offer(offer)
    return Reply(204, effects=[*effects, Effect("offer.deleted", offer_id, offer.sku)])


def publish_offer(seller: Seller, offer_id: str, context: Context) -> Reply:
    """Make the offer a live listing. An offer that is published already keeps its listing and answers its
    number.
    """
    offer = seller.offers.get(offer_id)
    if offer is None:
        return missing_offer(offer_id)
    if offer.listing_id is not None:
        return Reply(200, {"listingId": offer.listing_id})
    item = seller.items[offer.sku]
    if problems := publication_problems(seller, item, offer, context.now):
        return refuse(400, *problems)
    started = start_listing(seller, item, offer, context)
    return Reply(200, {"listingId": started.id}, effects=[started])


def withdraw_offer(seller: Seller, offer_id: str, context: Context) -> Reply:
    """End the listing and keep the offer. One that is not published has nothing to withdraw: 25713."""
    offer = seller.offers.get(offer_id)
    if offer is None:
        return missing_offer(offer_id)
    if not offer.is_published:
        return refuse(400, ebay_error(25713, "It is not published", offerId=offer_id))
    ended = end_listing(seller, offer, context)
    return Reply(200, {"listingId": ended.id}, effects=[ended])
