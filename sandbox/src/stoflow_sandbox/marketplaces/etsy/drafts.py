"""createDraftListing: what a draft needs. It is not idempotent: the same call again makes another draft."""

from typing import Any

from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.errors import refuse
from stoflow_sandbox.marketplaces.etsy.forms import (
    BOOLEAN,
    ID,
    IDS,
    INTEGER,
    NUMBER,
    TEXT,
    TEXTS,
    Kind,
    one_of,
    read_form,
)
from stoflow_sandbox.marketplaces.etsy.inventory import HIGHEST_QUANTITY, first_product, price_to_minor
from stoflow_sandbox.marketplaces.etsy.shop_setup import reference_violations
from stoflow_sandbox.marketplaces.etsy.state import Listing, Seller
from stoflow_sandbox.marketplaces.etsy.taxonomy import nodes_by_id
from stoflow_sandbox.marketplaces.etsy.texts import text_violations
from stoflow_sandbox.marketplaces.etsy.views import listing_view
from stoflow_sandbox.marketplaces.exchange import Call, Effect, Reply

WHO_MADE = ("i_did", "someone_else", "collective")
# The first decade's name changes every year; this is the official document's of February 2026.
WHEN_MADE = (
    "made_to_order", "2020_2026", "2010_2019", "2007_2009", "before_2007", "2000_2006", "1990s", "1980s", "1970s",
    "1960s", "1950s", "1940s", "1930s", "1920s", "1910s", "1900s", "1800s", "1700s", "before_1700",
)  # fmt: skip
REQUIRED = ("quantity", "title", "description", "price", "who_made", "when_made", "taxonomy_id")
REQUIRED_IF_PHYSICAL = ("shipping_profile_id", "readiness_state_id")
# Shared by creation and update.
DESCRIPTIVE: dict[str, Kind] = {
    "title": TEXT,
    "description": TEXT,
    "who_made": one_of(*WHO_MADE),
    "when_made": one_of(*WHEN_MADE),
    "taxonomy_id": ID,
    "shipping_profile_id": ID,
    "return_policy_id": ID,
    "shop_section_id": ID,
    "materials": TEXTS,
    "tags": TEXTS,
    "styles": TEXTS,
    "item_weight": NUMBER,
    "item_length": NUMBER,
    "item_width": NUMBER,
    "item_height": NUMBER,
    "item_weight_unit": one_of("oz", "lb", "g", "kg"),
    "item_dimensions_unit": one_of("in", "ft", "mm", "cm", "m", "yd", "inches"),
    "is_personalizable": BOOLEAN,
    "is_supply": BOOLEAN,
    "should_auto_renew": BOOLEAN,
    "is_taxable": BOOLEAN,
    "type": one_of("physical", "download", "both"),
}
DRAFT = DESCRIPTIVE | {
    "quantity": INTEGER,
    "price": NUMBER,
    "readiness_state_id": ID,
    "is_customizable": BOOLEAN,
    "image_ids": IDS,
}


def create_draft(seller: Seller, call: Call, context: Context) -> Reply:
    """Make a draft, or refuse with every violation at once."""
    fields, violations = read_form(call, DRAFT)
    violations += draft_violations(seller, fields)
    if violations:
        return refuse(400, *violations)
    product = first_product(
        context.ids,
        price_minor=price_to_minor(fields.pop("price")) or 0,
        quantity=fields.pop("quantity"),
        readiness_state_id=fields.get("readiness_state_id"),
    )
    image_ids = fields.pop("image_ids", None) or []
    listing = Listing(
        listing_id=context.ids.next("listing"),
        state="draft",
        created_time=context.now,
        updated_time=context.now,
        state_time=context.now,
        fields={"type": "physical", "should_auto_renew": False} | fields,
        products=[product],
        image_ids=image_ids,
    )
    seller.listings[listing.listing_id] = listing
    seller.count_created("drafts", fields["title"])
    effect = Effect("listing.created", str(listing.listing_id))
    return Reply(201, listing_view(seller, listing, context.base_url), effects=[effect])


def draft_violations(seller: Seller, fields: dict[str, Any]) -> list[str]:
    """Return everything that is missing or cannot be, apart from what could not be read."""
    required = [*REQUIRED]
    if fields.get("type", "physical") != "download":
        required += REQUIRED_IF_PHYSICAL
    violations = [f"{name} is required." for name in required if fields.get(name) is None]
    if "quantity" in fields and not 1 <= fields["quantity"] <= HIGHEST_QUANTITY:
        violations.append(f"Quantity must be between 1 and {HIGHEST_QUANTITY}.")
    if "price" in fields and price_to_minor(fields["price"]) is None:
        violations.append("Price must be between 0.20 and 50000.00, with at most two decimals.")
    violations += [
        f"Image {image_id} does not belong to this shop."
        for image_id in fields.get("image_ids") or []
        if image_id not in seller.images
    ]
    return violations + descriptive_violations(seller, fields)


def descriptive_violations(seller: Seller, fields: dict[str, Any]) -> list[str]:
    violations = text_violations(fields) + reference_violations(seller, fields)
    taxonomy_id = fields.get("taxonomy_id")
    if taxonomy_id is not None and taxonomy_id not in nodes_by_id():
        violations.append(f"Invalid taxonomy_id: {taxonomy_id} does not exist.")
    return violations
