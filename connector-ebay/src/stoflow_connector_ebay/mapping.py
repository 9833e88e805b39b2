"""A product in eBay's words: pure functions to inventory item and offer."""

import copy
import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stoflow.catalog.v1 import product_pb2

from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.merging import Json, merge
from stoflow_connector_ebay.price import format_price

# What PUT /offer/{offerId} takes (EbayOfferDetailsWithId); GET returns more, which is no part of a write.
_UPDATABLE: Final = frozenset(
    {
        "availableQuantity",
        "categoryId",
        "charity",
        "extendedProducerResponsibility",
        "hideBuyerDetails",
        "includeCatalogProductDetails",
        "listingDescription",
        "listingDuration",
        "listingPolicies",
        "listingStartDate",
        "lotSize",
        "merchantLocationKey",
        "pricingSummary",
        "quantityLimitPerBuyer",
        "regulatory",
        "secondaryCategoryId",
        "storeCategoryNames",
        "tax",
    }
)

# What PUT /inventory_item/{sku} takes (InventoryItem).
_ITEM_FIELDS: Final = frozenset(
    {
        "availability",
        "condition",
        "conditionDescription",
        "conditionDescriptors",
        "packageWeightAndSize",
        "product",
    }
)


def inventory_item(terms: ListingTerms, image_urls: Sequence[str]) -> Json:
    """Returns the body of PUT /inventory_item/{sku}: everything eBay shows of the article itself."""
    content = terms.content
    product: Json = {
        "title": content.title,
        "description": content.description,
        "imageUrls": list(image_urls),
    }
    aspects = aspects_of(content)
    if aspects:
        product["aspects"] = aspects
    if content.brand:
        product["brand"] = content.brand
    return {
        "availability": {"shipToLocationAvailability": {"quantity": content.stock_quantity}},
        "condition": terms.condition,
        "product": product,
    }


def new_offer(terms: ListingTerms) -> Json:
    """Returns the body of POST /offer."""
    return {
        "sku": terms.content.sku,
        "marketplaceId": terms.site.marketplace_id,
        "format": "FIXED_PRICE",
        **offer_terms(terms),
    }


def updated_offer(existing: Mapping[str, Any], terms: ListingTerms) -> Json | None:
    """Returns the body of PUT /offer/{offerId} that makes an offer ours, or None when it is so already.

    PUT replaces the whole offer, so what the seller set at eBay and we do not speak of is sent back.
    """
    kept = writable_offer(existing)
    merged = merge(kept, offer_terms(terms), {})
    return None if merged == kept else merged


def writable_offer(existing: Mapping[str, Any]) -> Json:
    """Returns the part of an offer as GET returns it that PUT takes."""
    return {name: value for name, value in existing.items() if name in _UPDATABLE}


def writable_item(existing: Mapping[str, Any]) -> Json:
    """Returns the part of an inventory item as GET returns it that PUT takes."""
    item = {name: copy.deepcopy(value) for name, value in existing.items() if name in _ITEM_FIELDS}
    shipped = item.get("availability", {}).get("shipToLocationAvailability", {})
    # What its published offers take of the stock: eBay's own count.
    shipped.pop("allocationByFormat", None)
    return item


def language_of(existing: Mapping[str, Any]) -> str:
    """Returns the language of an inventory item's texts, as Content-Language: `de-DE`; empty when eBay names none."""
    return str(existing.get("locale") or "").replace("_", "-")


def offer_terms(terms: ListingTerms) -> Json:
    """Returns what the catalogue says of an offer, whichever it becomes."""
    content = terms.content
    return {
        "availableQuantity": content.stock_quantity,
        "categoryId": terms.category_id,
        # True, the default, lets eBay's catalogue overwrite the seller's title and images.
        "includeCatalogProductDetails": False,
        "listingDescription": _as_html(content.description),
        "listingDuration": "GTC",
        "listingPolicies": {
            "fulfillmentPolicyId": terms.fulfillment_policy_id,
            "paymentPolicyId": terms.payment_policy_id,
            "returnPolicyId": terms.return_policy_id,
        },
        "merchantLocationKey": terms.merchant_location_key,
        "pricingSummary": {
            "price": {
                "currency": content.price.currency_code,
                "value": format_price(content.price.amount_minor, content.price.currency_code),
            }
        },
    }


def aspects_of(content: product_pb2.ProductContent) -> dict[str, list[str]]:
    """Returns the item specifics of a product."""
    # Sorted: a map has no order of its own, and equal products should make equal requests.
    aspects = {name: list(content.attributes[name].values) for name in sorted(content.attributes)}
    if content.brand:
        aspects.setdefault("Brand", [content.brand])
    return aspects


def _as_html(text: str) -> str:
    # eBay renders descriptions as HTML; the catalogue's are plain text.
    return "<br>".join(html.escape(line, quote=False) for line in text.splitlines())
