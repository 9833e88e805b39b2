"""Inventory items: create or replace, read, list, delete."""

import copy
import re
from dataclasses import replace
from typing import Any

from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.listings import end_listing, revise_listing, revision_problems
from stoflow_sandbox.marketplaces.ebay.publication import available_quantity
from stoflow_sandbox.marketplaces.ebay.shapes import ITEM, conform
from stoflow_sandbox.marketplaces.ebay.state import Item, Seller
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

# The catalogue says alphanumeric; sellers' dashes, underscores and dots are known to pass.
_SKU = re.compile(r"[A-Za-z0-9._-]{1,50}")


def sku_problem(sku: Any) -> EbayError | None:
    return None if isinstance(sku, str) and _SKU.fullmatch(sku) else ebay_error(25707, sku=str(sku))


def put_item(seller: Seller, sku: str, body: Any, locale: str, context: Context) -> Reply:
    """Create the item or replace it whole; whatever the body leaves out is lost. Live listings follow."""
    if problem := sku_problem(sku):
        return refuse(400, problem)
    fields, problems = conform(body, ITEM)
    if problems:
        return refuse(400, *problems)
    item = Item(locale, fields)
    for offer in seller.offers_of(sku):
        problems += revision_problems(seller, item, offer, context)
    if problems:
        return refuse(400, *problems)
    is_new = sku not in seller.items
    seller.items[sku] = item
    effects = [Effect("item.created" if is_new else "item.replaced", sku, sku)]
    for offer in seller.offers_of(sku):
        effects += revise_listing(seller, item, offer, context)
    headers = {"Content-Language": locale.replace("_", "-")}
    return Reply(201, {}, headers, effects) if is_new else Reply(204, None, headers, effects)


def get_item(seller: Seller, sku: str) -> Reply:
    if problem := sku_problem(sku):
        return refuse(400, problem)
    item = seller.items.get(sku)
    if item is None:
        return refuse(404, ebay_error(25710, sku=sku))
    return Reply(200, item_view(seller, sku, item))


def item_view(seller: Seller, sku: str, item: Item) -> dict[str, Any]:
    """Return an item as the API shows it, with what its published offers allocate."""
    view: dict[str, Any] = {"sku": sku, "locale": item.locale} | copy.deepcopy(item.fields)
    shipped = view.get("availability", {}).get("shipToLocationAvailability")
    published = [offer for offer in seller.offers_of(sku) if offer.is_published]
    if shipped is not None:
        allocated = max(
            (available_quantity(item, offer) for offer in published), default=shipped.get("quantity", 0)
        )
        shipped["allocationByFormat"] = {"auction": 0, "fixedPrice": allocated}
    return view


def list_items(seller: Seller, limit: int, page: int, links: dict[str, str]) -> Reply:
    """Answer one page, in order of creation. `size` is the number of pages, as the API defines it."""
    chosen = list(seller.items.items())[page * limit : (page + 1) * limit]
    total = len(seller.items)
    content: dict[str, Any] = {
        **links,
        "limit": limit,
        "size": -(-total // limit),
        "total": total,
        "inventoryItems": [item_view(seller, sku, item) for sku, item in chosen],
    }
    return Reply(200, content)


def delete_item(seller: Seller, sku: str, context: Context) -> Reply:
    """Delete the item, its offers and their listings."""
    if problem := sku_problem(sku):
        return refuse(400, problem)
    if sku not in seller.items:
        return refuse(404, ebay_error(25710, sku=sku))
    effects = []
    for offer in list(seller.offers_of(sku)):
        if offer.is_published:
            effects.append(end_listing(seller, offer, context))
        seller.remove_offer(offer)
        effects.append(Effect("offer.deleted", offer.offer_id, sku))
    del seller.items[sku]
    return Reply(204, effects=[*effects, Effect("item.deleted", sku, sku)])


def with_quantity(item: Item, ship_to_location: dict[str, Any]) -> Item:
    """Return the item with another ship-to-home availability."""
    fields = copy.deepcopy(item.fields)
    availability = fields.setdefault("availability", {})
    availability["shipToLocationAvailability"] = (
        availability.get("shipToLocationAvailability", {}) | ship_to_location
    )
    return replace(item, fields=fields)
