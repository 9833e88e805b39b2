"""The images of a listing: uploaded one by one, in an order that cannot be trusted, at most twenty."""

import secrets
from typing import Any

from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.errors import not_found, refuse
from stoflow_sandbox.marketplaces.etsy.forms import BOOLEAN, ID, INTEGER, TEXT, Upload, read_fields
from stoflow_sandbox.marketplaces.etsy.pictures import Picture
from stoflow_sandbox.marketplaces.etsy.state import Image, Listing, Seller
from stoflow_sandbox.marketplaces.etsy.views import image_view, image_views
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

HIGHEST_COUNT = 20
ALT_TEXT_LENGTH = 500
RANK_MODES = ("obeyed", "front", "equal")
UPLOAD = {
    "listing_image_id": ID,
    "rank": INTEGER,
    "overwrite": BOOLEAN,
    "is_watermarked": BOOLEAN,
    "alt_text": TEXT,
}


def add_image(
    seller: Seller, listing: Listing, upload: Upload, picture: Picture | None, context: Context
) -> Reply:
    """Add an uploaded picture, or put an earlier one (back) at a rank. The same file again is a second image."""
    fields, violations = read_fields(upload.fields, UPLOAD)
    if fields.get("rank", 1) < 1:
        violations.append("Invalid value for rank: expected a positive integer.")
    if len(fields.get("alt_text", "")) > ALT_TEXT_LENGTH:
        violations.append(f"alt_text: at most {ALT_TEXT_LENGTH} characters are allowed.")
    known = seller.images.get(fields.get("listing_image_id") or 0)
    if picture is None and known is None:
        violations.append("image or a listing_image_id of this shop is required.")
    if violations:
        return refuse(400, *violations)
    is_new = picture is not None or (known is not None and known.image_id not in listing.image_ids)
    if is_new and not fields.get("overwrite") and len(listing.image_ids) >= HIGHEST_COUNT:
        return refuse(409, f"A listing may have at most {HIGHEST_COUNT} images.")
    image = _make(seller, listing, picture, fields, context) if picture is not None else known
    if image is None:
        raise ValueError("an image was neither uploaded nor known")
    _place(
        seller, listing, image.image_id, fields.get("rank", 1), is_overwriting=fields.get("overwrite", False)
    )
    image.listing_id = listing.listing_id
    listing.updated_time = context.now
    rank = listing.image_ids.index(image.image_id) + 1
    kind = "image.created" if picture is not None else "image.placed"
    effect = Effect(kind, str(image.image_id), listing.sku)
    return Reply(201, image_view(image, rank, context.base_url), effects=[effect])


def _make(
    seller: Seller, listing: Listing, picture: Picture, fields: dict[str, Any], context: Context
) -> Image:
    image = Image(
        image_id=context.ids.next("image"),
        listing_id=listing.listing_id,
        token=secrets.token_urlsafe(12),
        digest=picture.digest,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        created_time=context.now,
        alt_text=fields.get("alt_text", ""),
    )
    seller.images[image.image_id] = image
    seller.count_created("images", str(listing.listing_id))
    return image


def _place(seller: Seller, listing: Listing, image_id: int, rank: int, *, is_overwriting: bool) -> None:
    if image_id in listing.image_ids:
        listing.image_ids.remove(image_id)
    if seller.rank_mode == "front":
        listing.image_ids.insert(0, image_id)
        return
    position = min(rank - 1, len(listing.image_ids))
    if is_overwriting:
        del listing.image_ids[position : position + 1]
    listing.image_ids.insert(position, image_id)


def list_images(seller: Seller, listing: Listing, context: Context) -> Reply:
    views = image_views(seller, listing, context.base_url)
    return Reply(200, {"count": len(views), "results": views})


def get_image(seller: Seller, listing: Listing, image_id: int, context: Context) -> Reply:
    found = [
        view
        for view in image_views(seller, listing, context.base_url)
        if view["listing_image_id"] == image_id
    ]
    return Reply(200, found[0]) if found else not_found("listing image", image_id)


def remove_image(listing: Listing, image_id: int, context: Context) -> Reply:
    """Take an image off its listing; the file stays. An active listing keeps its last image."""
    if image_id not in listing.image_ids:
        return not_found("listing image", image_id)
    if listing.state == "active" and len(listing.image_ids) == 1:
        return refuse(400, "An active listing must keep at least one image.")
    listing.image_ids.remove(image_id)
    listing.updated_time = context.now
    return Reply(204, effects=[Effect("image.removed", str(image_id), listing.sku)])
