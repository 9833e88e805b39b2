"""Reading, changing, activating and deleting listings."""

from typing import Any

from stoflow_sandbox.marketplaces.etsy.activation import change_state
from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.drafts import DESCRIPTIVE, descriptive_violations
from stoflow_sandbox.marketplaces.etsy.errors import refuse
from stoflow_sandbox.marketplaces.etsy.forms import IDS, one_of, read_form
from stoflow_sandbox.marketplaces.etsy.images import HIGHEST_COUNT
from stoflow_sandbox.marketplaces.etsy.paging import Page
from stoflow_sandbox.marketplaces.etsy.state import Listing, Seller
from stoflow_sandbox.marketplaces.etsy.views import associated_view, listing_view
from stoflow_sandbox.marketplaces.exchange import Call, Effect, Reply

STATES = ("active", "inactive", "sold_out", "draft", "expired")
# Price, quantity and readiness_state_id are no part of it: the live API ignores them without a word.
UPDATE = DESCRIPTIVE | {"image_ids": IDS, "state": one_of("active", "inactive")}


def list_listings(seller: Seller, state: str, page: Page, includes: list[str], context: Context) -> Reply:
    """Return the shop's listings of one state, newest first."""
    if state not in STATES:
        return refuse(400, f"Invalid value for state: expected one of {', '.join(STATES)}.")
    found = [one for one in reversed(seller.listings.values()) if one.state == state]
    results = [associated_view(seller, one, includes, context.base_url) for one in page.cut(found)]
    return Reply(200, {"count": len(found), "results": results})


def update_listing(seller: Seller, listing: Listing, call: Call, context: Context) -> Reply:
    """Change fields, then the state; either all of it or nothing."""
    fields, violations = read_form(call, UPDATE)
    violations += descriptive_violations(seller, fields)
    image_ids = fields.pop("image_ids", None)
    if image_ids is not None:
        violations += _image_violations(seller, image_ids)
    if violations:
        return refuse(400, *violations)
    state = fields.pop("state", None)
    wanted = Listing(**{name: getattr(listing, name) for name in Listing.__slots__})
    wanted.fields = listing.fields | fields
    wanted.image_ids = listing.image_ids if image_ids is None else image_ids
    effects = [Effect("listing.updated", str(listing.listing_id), listing.sku)]
    if state is not None:
        changed = change_state(seller, wanted, state, context)
        if isinstance(changed, Reply):
            return changed
        effects += changed
    wanted.updated_time = context.now
    _adopt(listing, wanted)
    return Reply(200, listing_view(seller, listing, context.base_url), effects=effects)


def _adopt(listing: Listing, wanted: Listing) -> None:
    for name in Listing.__slots__:
        setattr(listing, name, getattr(wanted, name))


def _image_violations(seller: Seller, image_ids: list[int]) -> list[str]:
    violations = [
        f"Image {image_id} does not belong to this shop."
        for image_id in image_ids
        if image_id not in seller.images
    ]
    if len(image_ids) > HIGHEST_COUNT or len(set(image_ids)) < len(image_ids):
        violations.append(f"image_ids: at most {HIGHEST_COUNT} are allowed, each once.")
    return violations


def delete_listing(seller: Seller, listing: Listing) -> Reply:
    del seller.listings[listing.listing_id]
    return Reply(204, effects=[Effect("listing.deleted", str(listing.listing_id), listing.sku)])


def batch_view(found: list[tuple[Seller, Listing]], includes: list[str], context: Context) -> dict[str, Any]:
    results = [associated_view(seller, one, includes, context.base_url) for seller, one in found]
    return {"count": len(results), "results": results}
