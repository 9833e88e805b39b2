"""A product in Etsy's words: pure functions to the forms of createDraftListing and updateListing."""

from collections.abc import Iterable

from stoflow_connector_etsy.listing_terms import ListingTerms
from stoflow_connector_etsy.price import format_price

Form = dict[str, str]

MARKER_START = "[StoFlow draft "


def draft_marker(reference: str) -> str:
    """Returns what is found again in a draft's description; buyers never see it, since drafts are not public."""
    return f"{MARKER_START}{reference}]"


def new_draft(terms: ListingTerms, reference: str) -> Form:
    """Returns the form of createDraftListing, the reference inside the description."""
    content = terms.content
    return {
        # A form without anything to sell is refused; how many there are is in the inventory anyway.
        "quantity": str(max(content.stock_quantity, 1)),
        "price": format_price(content.price),
        "type": "physical",
        "readiness_state_id": str(terms.shop.readiness_state_id),
        **listing_texts(terms),
        "description": f"{content.description}\n\n{draft_marker(reference)}",
    }


def listing_texts(terms: ListingTerms) -> Form:
    """Returns the form of updateListing that brings a listing up to date, but for price, stock and state.

    updateListing ignores price and quantity without a word: those go through the inventory.
    """
    content = terms.content
    form = {
        "title": content.title,
        "description": content.description,
        "who_made": terms.who_made,
        "when_made": terms.when_made,
        "is_supply": form_value(content.origin.is_supply),
        "taxonomy_id": str(terms.taxonomy_id),
        "shipping_profile_id": str(terms.shop.shipping_profile_id),
    }
    if terms.shop.return_policy_id:
        form["return_policy_id"] = str(terms.shop.return_policy_id)
    if terms.shop.shop_section_id:
        form["shop_section_id"] = str(terms.shop.shop_section_id)
    # An absent one stays as the seller set it at Etsy.
    if terms.tags:
        form["tags"] = form_list(terms.tags)
    if terms.materials:
        form["materials"] = form_list(terms.materials)
    return {**form, **_measures(terms)}


def form_list(values: Iterable[object]) -> str:
    """Writes a list as Etsy reads it in a form: separated by commas."""
    return ",".join(str(value) for value in values)


def form_value(value: bool) -> str:
    """Writes a truth value as Etsy reads it in a form."""
    return "true" if value else "false"


def _measures(terms: ListingTerms) -> Form:
    content = terms.content
    measures: Form = {}
    if content.weight_grams:
        measures |= {"item_weight": str(content.weight_grams), "item_weight_unit": "g"}
    if content.HasField("package_size"):
        size = content.package_size
        measures |= {
            "item_length": str(size.length_mm),
            "item_width": str(size.width_mm),
            "item_height": str(size.height_mm),
            "item_dimensions_unit": "mm",
        }
    return measures
