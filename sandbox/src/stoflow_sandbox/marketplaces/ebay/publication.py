"""What must hold before a listing is live, and what a live listing shows.

The same rules guard publishing and every change to something already published.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from stoflow_sandbox.marketplaces.ebay.catalogue import PRODUCTS, SITES, Category, find_leaf
from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error
from stoflow_sandbox.marketplaces.ebay.state import Item, Offer, Seller

TITLE_LIMIT = 80
SUBTITLE_LIMIT = 55
PRODUCT_DESCRIPTION_LIMIT = 4_000
LISTING_DESCRIPTION_LIMIT = 500_000
PICTURE_LIMIT = 24
# eBay's picture policy.
LONGEST_SIDE_PIXELS = 500
_PICTURE_PATH = re.compile(r"https?://[^/]+/images/g/([A-Za-z0-9_-]+)/s-l\d+\.[a-z]+")
_POLICY_ERRORS = {"fulfillment": 25007, "payment": 25008, "return": 25009}


def publication_problems(seller: Seller, item: Item, offer: Offer, now: float) -> list[EbayError]:
    """Return every reason for which this offer of this item cannot be live."""
    category = find_leaf(offer.fields.get("categoryId"))
    return [
        *_account_problems(seller, item, offer),
        *_text_problems(item, offer),
        *_picture_problems(seller, item, offer, now),
        *_quantity_problems(item, offer),
        *_category_problems(item, offer, category),
        *_policy_problems(seller, offer),
        *_location_problems(seller, offer),
        *_price_problems(offer),
    ]


def available_quantity(item: Item, offer: Offer) -> int:
    """Return what buyers can buy: the smaller of the item's and the offer's quantity."""
    total = _ship_to_home(item) or 0
    own = offer.fields.get("availableQuantity")
    return total if own is None else min(total, own)


def shown_to_buyers(item: Item, offer: Offer) -> dict[str, Any]:
    """Return the content of the listing page."""
    product = item.fields.get("product", {})
    title = product.get("title")
    if offer.fields.get("includeCatalogProductDetails", True):
        match = next((PRODUCTS[ean] for ean in product.get("ean", ()) if ean in PRODUCTS), None)
        title = match["title"] if match else title
    return {
        "title": title,
        "subtitle": product.get("subtitle"),
        "description": offer.fields.get("listingDescription") or product.get("description"),
        "imageUrls": list(product.get("imageUrls", ())),
        "aspects": product.get("aspects", {}),
        "condition": item.fields.get("condition"),
        "conditionDescription": item.fields.get("conditionDescription"),
        "categoryId": offer.fields.get("categoryId"),
        "price": offer.fields.get("pricingSummary", {}).get("price"),
        "quantity": available_quantity(item, offer),
        "listingPolicies": offer.fields.get("listingPolicies"),
        "merchantLocationKey": offer.fields.get("merchantLocationKey"),
    }


def picture_token(url: str) -> str | None:
    """Return the picture server's token in a URL, whatever address the server had when it was given out."""
    match = _PICTURE_PATH.fullmatch(url)
    return match[1] if match else None


def price_amount(amount: Any) -> Decimal | None:
    """Return a price above zero with at most two decimals, else None."""
    text = amount.get("value") if isinstance(amount, dict) else None
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,12}(\.\d{1,2})?", text):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value > 0 else None


def _ship_to_home(item: Item) -> int | None:
    quantity: int | None = (
        item.fields.get("availability", {}).get("shipToLocationAvailability", {}).get("quantity")
    )
    return quantity


def _account_problems(seller: Seller, item: Item, offer: Offer) -> list[EbayError]:
    if not seller.registration_completed:
        return [ebay_error(25018, "The seller's registration is not completed.")]
    limit = seller.selling_limit
    if limit is None:
        return []
    others = [
        listing
        for listing in seller.listings.values()
        if listing.status == "ACTIVE" and listing.listing_id != offer.listing_id
    ]
    quantity = sum(listing.shown["quantity"] for listing in others) + available_quantity(item, offer)
    if "quantity" in limit and quantity > limit["quantity"]:
        return [ebay_error(25026, f"You can list up to {limit['quantity']} items this month.")]
    price = price_amount(offer.fields.get("pricingSummary", {}).get("price")) or Decimal(0)
    worth = sum((Decimal(one.shown["price"]["value"]) * one.shown["quantity"] for one in others), Decimal(0))
    worth += price * available_quantity(item, offer)
    if "amount" in limit and worth > Decimal(limit["amount"]["value"]):
        return [ebay_error(25026, f"You can list up to {limit['amount']['value']} this month.")]
    return []


def _text_problems(item: Item, offer: Offer) -> list[EbayError]:
    product = item.fields.get("product", {})
    problems = []
    title = product.get("title", "")
    if not title.strip():
        problems.append(ebay_error(25016, "title", title="A title is required."))
    elif len(title) > TITLE_LIMIT:
        problems.append(
            ebay_error(25016, "title", title=f"At most {TITLE_LIMIT} characters, got {len(title)}.")
        )
    if len(product.get("subtitle", "")) > SUBTITLE_LIMIT:
        problems.append(ebay_error(25016, "subtitle", subtitle=f"At most {SUBTITLE_LIMIT} characters."))
    if len(product.get("description", "")) > PRODUCT_DESCRIPTION_LIMIT:
        problems.append(ebay_error(25016, "description", description=f"At most {PRODUCT_DESCRIPTION_LIMIT}."))
    shown = offer.fields.get("listingDescription") or product.get("description", "")
    if not shown.strip() or len(shown) > LISTING_DESCRIPTION_LIMIT:
        problems.append(ebay_error(25016, "description", description="A description is required."))
    return problems


def _picture_problems(seller: Seller, item: Item, offer: Offer, now: float) -> list[EbayError]:
    urls = item.fields.get("product", {}).get("imageUrls", [])
    if not urls:
        return [ebay_error(25014, "Add at least 1 photo.")]
    if len(urls) > PICTURE_LIMIT:
        return [ebay_error(25014, f"You can add up to {PICTURE_LIMIT} photos, got {len(urls)}.")]
    too_small = [url for url in urls if _longest_side(seller, url) < LONGEST_SIDE_PIXELS]
    if too_small:
        reason = f"Photos must be at least {LONGEST_SIDE_PIXELS} pixels on the longest side."
        return [ebay_error(25014, reason, imageUrl=too_small[0])]
    return [
        ebay_error(25015, "The picture does not exist or has expired.", imageUrl=url)
        for url in urls
        if not _picture_exists(seller, url, offer.is_published, now)
    ]


def _picture_exists(seller: Seller, url: str, is_published: bool, now: float) -> bool:
    image_id = seller.image_tokens.get(picture_token(url) or "")
    if image_id is None:
        return False
    # A picture in use by a live listing is kept past its expiry date.
    return is_published or seller.images[image_id].expires_time > now or _is_shown(seller, url)


def _longest_side(seller: Seller, url: str) -> int:
    image_id = seller.image_tokens.get(picture_token(url) or "")
    return LONGEST_SIDE_PIXELS if image_id is None else seller.images[image_id].longest_side


def _is_shown(seller: Seller, url: str) -> bool:
    return any(one.status != "ENDED" and url in one.shown["imageUrls"] for one in seller.listings.values())


def _quantity_problems(item: Item, offer: Offer) -> list[EbayError]:
    total, own = _ship_to_home(item), offer.fields.get("availableQuantity")
    if total is None or total < 0 or (own is not None and own < 0):
        return [ebay_error(25004, "A quantity of zero or more is required.")]
    # A live listing may run down to zero; a new one may not start there.
    if available_quantity(item, offer) == 0 and not offer.is_published:
        return [ebay_error(25004, "The available quantity must be 1 or more.")]
    return []


def _category_problems(item: Item, offer: Offer, category: Category | None) -> list[EbayError]:
    condition = item.fields.get("condition")
    if category is None:
        wrong = offer.fields.get("categoryId", "")
        problems = [ebay_error(25005, "The category must be a leaf of the site's tree.", categoryId=wrong)]
        return problems if condition else [*problems, ebay_error(25021, "Condition is required.")]
    problems = []
    if condition is None:
        problems.append(ebay_error(25021, "Condition is required for this category."))
    elif condition not in category.conditions:
        problems.append(
            ebay_error(25021, f"{condition} is not allowed in category {category.name}.", condition=condition)
        )
    return problems + _aspect_problems(item.fields.get("product", {}), category)


def _aspect_problems(product: dict[str, Any], category: Category) -> list[EbayError]:
    given: dict[str, list[str]] = dict(product.get("aspects", {}))
    # eBay reads the brand field into the aspect of the same meaning.
    if "brand" in product:
        given.setdefault("Brand", [product["brand"]])
    problems = []
    for aspect in category.aspects:
        values = [value for value in given.get(aspect.name, ()) if value.strip()]
        if aspect.is_required and not values:
            problems.append(ebay_error(25029, aspect.name, field=aspect.name))
        if not aspect.is_multiple and len(values) > 1:
            problems.append(ebay_error(25022, f"{aspect.name} takes one value.", field=aspect.name))
        if aspect.is_selection_only and (wrong := [value for value in values if value not in aspect.values]):
            problems.append(ebay_error(25022, f"{aspect.name} does not allow {wrong[0]}.", field=aspect.name))
        if any(len(value) > aspect.max_length for value in values):
            problems.append(ebay_error(25022, f"{aspect.name} is too long.", field=aspect.name))
    return problems


def _policy_problems(seller: Seller, offer: Offer) -> list[EbayError]:
    named = offer.fields.get("listingPolicies", {})
    problems = []
    for kind, error_id in _POLICY_ERRORS.items():
        policy_id = named.get(f"{kind}PolicyId")
        policy = seller.policies.get(policy_id or "")
        if policy_id is None:
            problems.append(ebay_error(error_id, f"A {kind} policy is required."))
        elif "SELLING_POLICY_MANAGEMENT" not in seller.programs:
            problems.append(ebay_error(error_id, "The seller is not opted in to business policies."))
        elif policy is None or policy["kind"] != kind or policy["marketplaceId"] != offer.marketplace_id:
            reason = f"No such {kind} policy on {offer.marketplace_id}."
            problems.append(ebay_error(error_id, reason, **{f"{kind}PolicyId": policy_id}))
    return problems


def _location_problems(seller: Seller, offer: Offer) -> list[EbayError]:
    key = offer.fields.get("merchantLocationKey")
    location = seller.locations.get(key or "")
    if key is None:
        return [ebay_error(25012, "merchantLocationKey is required.")]
    if location is None:
        return [ebay_error(25012, "Location information not found.", merchantLocationKey=key)]
    if location["merchantLocationStatus"] != "ENABLED":
        return [ebay_error(25012, "The location is disabled.", merchantLocationKey=key)]
    return []


def _price_problems(offer: Offer) -> list[EbayError]:
    problems = []
    if offer.format != "FIXED_PRICE":
        return [ebay_error(25006, "The sandbox lists fixed prices only.", format=offer.format)]
    duration = offer.fields.get("listingDuration")
    if duration != "GTC":
        problems.append(ebay_error(25006, "listingDuration must be GTC.", listingDuration=duration or ""))
    price = offer.fields.get("pricingSummary", {}).get("price", {})
    site = SITES.get(offer.marketplace_id)
    if price_amount(price) is None:
        wrong = str(price.get("value", ""))
        problems.append(
            ebay_error(25003, "The price must be above zero with at most two decimals.", value=wrong)
        )
    elif site is None or price.get("currency") != site[1]:
        wanted = site[1] if site else "another site"
        problems.append(
            ebay_error(
                25003, f"{offer.marketplace_id} takes {wanted}.", currency=str(price.get("currency", ""))
            )
        )
    return problems
