"""The states of a listing: what each change needs, costs and does.

draft → active publishes, sold_out → active and expired → active renew; each costs a listing fee and runs four
months. active ↔ inactive costs nothing. Active again is no change.
"""

from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.errors import refuse
from stoflow_sandbox.marketplaces.etsy.shop_setup import (
    EUROPEAN_UNION,
    has_return_policy,
    has_shipping_profile,
)
from stoflow_sandbox.marketplaces.etsy.state import Listing, Seller
from stoflow_sandbox.marketplaces.etsy.taxonomy import properties_of
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

TERM_SECONDS = 120 * 24 * 3600


def change_state(seller: Seller, listing: Listing, state: str, context: Context) -> list[Effect] | Reply:
    """Bring a listing into the state, or refuse. The listing is the caller's copy."""
    if listing.state == state:
        return []
    if state == "inactive":
        return _deactivate(listing, context)
    if violations := activation_violations(seller, listing):
        return refuse(400, *violations)
    before = listing.state
    if before == "sold_out":
        # From the document: this updates the quantity to 1 and renews the listing.
        listing.products = [
            product | {"offerings": [one | {"quantity": int(number == 0)} for one in product["offerings"]]}
            for number, product in enumerate(listing.products)
        ]
    if before != "inactive":
        listing.fees += 1
        listing.ending_time = context.now + TERM_SECONDS
    if before == "draft":
        seller.count_created("listings", listing.sku or "")
    _enter(listing, "active", context)
    kinds = {"draft": "listing.activated", "inactive": "listing.reactivated"}
    return [Effect(kinds.get(before, "listing.renewed"), str(listing.listing_id), listing.sku)]


def _deactivate(listing: Listing, context: Context) -> list[Effect] | Reply:
    if listing.state == "draft":
        return refuse(409, "A draft listing cannot be made inactive.")
    _enter(listing, "inactive", context)
    return [Effect("listing.deactivated", str(listing.listing_id), listing.sku)]


def _enter(listing: Listing, state: str, context: Context) -> None:
    listing.state, listing.state_time = state, context.now


def activation_violations(seller: Seller, listing: Listing) -> list[str]:
    """Return everything that keeps a listing from being shown to buyers."""
    fields = listing.fields
    violations = []
    if not listing.image_ids:
        violations.append("An active listing must have at least one image.")
    if listing.quantity < 1 and listing.state != "sold_out":
        violations.append("An active listing must have a quantity greater than 0.")
    if fields["type"] != "download":
        if not has_shipping_profile(seller, fields.get("shipping_profile_id")):
            violations.append("A valid shipping profile is required to activate a physical listing.")
        needs_policy = seller.country not in EUROPEAN_UNION
        if needs_policy and not has_return_policy(seller, fields.get("return_policy_id")):
            violations.append("A return policy is required to activate a physical listing.")
        offerings = [one for product in listing.products for one in product["offerings"]]
        is_unknown = any(one["is_enabled"] and one["readiness_state_id"] is None for one in offerings)
        if is_unknown and fields.get("readiness_state_id") is None:
            violations.append("Every offering of a physical listing needs a readiness_state_id.")
    violations += [
        f"Property {one['name']} ({one['property_id']}) is required for this taxonomy."
        for one in properties_of(fields["taxonomy_id"])
        if one["is_required"] and not _has_property(listing, one["property_id"])
    ]
    return violations


def _has_property(listing: Listing, property_id: int) -> bool:
    varying = {value["property_id"] for product in listing.products for value in product["property_values"]}
    return str(property_id) in listing.properties or property_id in varying


def expire_listings(seller: Seller, now: float) -> bool:
    """End or renew what has run its four months; says whether anything changed."""
    due = [
        one
        for one in seller.listings.values()
        if one.state == "active" and one.ending_time is not None and one.ending_time <= now
    ]
    for listing in due:
        if listing.fields["should_auto_renew"]:
            listing.fees += 1
            listing.ending_time = now + TERM_SECONDS
        else:
            listing.state, listing.state_time = "expired", now
    return bool(due)
