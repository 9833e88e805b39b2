"""How listings, images and inventories look in answers."""

from typing import Any

from stoflow_sandbox.marketplaces.etsy.state import Image, Listing, Seller
from stoflow_sandbox.marketplaces.etsy.taxonomy import SCALES

ASSOCIATIONS = (
    "Shipping", "Images", "Shop", "User", "Translations", "Inventory", "Videos", "Personalization",
)  # fmt: skip
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif"}


def money(seller: Seller, minor: int) -> dict[str, Any]:
    return {"amount": minor, "divisor": 100, "currency_code": seller.currency}


def listing_view(seller: Seller, listing: Listing, base_url: str) -> dict[str, Any]:
    """Return a listing without its associations."""
    fields = listing.fields
    nullable = (
        "shop_section_id", "shipping_profile_id", "return_policy_id", "is_supply", "item_weight",
        "item_weight_unit", "item_length", "item_width", "item_height", "item_dimensions_unit", "who_made",
        "when_made", "taxonomy_id",
    )  # fmt: skip
    view: dict[str, Any] = {name: fields.get(name) for name in nullable}
    return (
        view
        | _times(listing)
        | _defaults(fields)
        | {
            "listing_id": listing.listing_id,
            "user_id": seller.user_id,
            "shop_id": seller.shop_id,
            "title": fields["title"],
            "description": fields["description"],
            "state": listing.state,
            "quantity": listing.quantity,
            "url": f"{base_url}/listing/{listing.listing_id}",
            "listing_type": fields["type"],
            "tags": fields.get("tags") or [],
            "materials": fields.get("materials") or [],
            "style": fields.get("styles") or [],
            "has_variations": any(product["property_values"] for product in listing.products),
            "should_auto_renew": fields["should_auto_renew"],
            "price": money(seller, listing.price_minor),
            "readiness_state_id": listing.products[0]["offerings"][0]["readiness_state_id"],
        }
    )


def _times(listing: Listing) -> dict[str, Any]:
    created, updated = int(listing.created_time), int(listing.updated_time)
    times = {
        "creation_timestamp": created,
        "created_timestamp": created,
        "original_creation_timestamp": created,
        "last_modified_timestamp": updated,
        "updated_timestamp": updated,
        "state_timestamp": int(listing.state_time),
    }
    if listing.ending_time is not None:
        times["ending_timestamp"] = int(listing.ending_time)
    return times


def _defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what a listing shows whether or not its seller said anything of it."""
    return {
        "featured_rank": -1,
        "num_favorers": 0,
        "non_taxable": not fields.get("is_taxable", True),
        "is_taxable": fields.get("is_taxable", True),
        "is_customizable": fields.get("is_customizable", False),
        "is_personalizable": fields.get("is_personalizable", False),
        "processing_min": None,
        "processing_max": None,
        "is_private": False,
        "file_data": None,
        "language": "en-US",
    }


def associated_view(seller: Seller, listing: Listing, includes: list[str], base_url: str) -> dict[str, Any]:
    """Return a listing with the associations that were asked for."""
    view = listing_view(seller, listing, base_url) | {"skus": skus(listing)}
    if "Images" in includes:
        view["images"] = image_views(seller, listing, base_url)
    if "Inventory" in includes:
        view["inventory"] = inventory_view(seller, listing)
    if "Shipping" in includes:
        wanted = listing.fields.get("shipping_profile_id")
        profiles = (one for one in seller.shipping_profiles if one["shipping_profile_id"] == wanted)
        view["shipping_profile"] = next(profiles, None)
    if "Videos" in includes:
        view["videos"] = []
    return view


def skus(listing: Listing) -> list[str]:
    return sorted({product["sku"] for product in listing.products if product["sku"]})


def inventory_view(seller: Seller, listing: Listing) -> dict[str, Any]:
    products = [
        {
            "product_id": product["product_id"],
            "sku": product["sku"],
            "is_deleted": False,
            "offerings": [
                {
                    "offering_id": one["offering_id"],
                    "quantity": one["quantity"],
                    "is_enabled": one["is_enabled"],
                    "is_deleted": False,
                    "price": money(seller, one["price_minor"]),
                    "readiness_state_id": one["readiness_state_id"],
                }
                for one in product["offerings"]
            ],
            "property_values": [property_view(value) for value in product["property_values"]],
        }
        for product in listing.products
    ]
    return {"products": products, **listing.on_property}


def property_view(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"scale_name": SCALES.get(value["scale_id"])}


def image_views(seller: Seller, listing: Listing, base_url: str) -> list[dict[str, Any]]:
    """Return a listing's images in order; in rank mode "equal" all of them claim the first rank."""
    return [
        image_view(seller.images[image_id], 1 if seller.rank_mode == "equal" else rank, base_url)
        for rank, image_id in enumerate(listing.image_ids, start=1)
    ]


def image_view(image: Image, rank: int, base_url: str) -> dict[str, Any]:
    def url(size: str) -> str:
        name = f"il_{size}.{image.image_id}.{_EXTENSIONS[image.media_type]}"
        return f"{base_url}/il/{image.token}/{name}"

    # Colors and size come later on the live site; they are null right after an upload.
    unknown = ("hex_code", "red", "green", "blue", "hue", "saturation", "brightness", "is_black_and_white")
    return {
        **dict.fromkeys(unknown, None),
        "listing_id": image.listing_id,
        "listing_image_id": image.image_id,
        "creation_tsz": int(image.created_time),
        "created_timestamp": int(image.created_time),
        "rank": rank,
        "url_75x75": url("75x75"),
        "url_170x135": url("170x135"),
        "url_570xN": url("570xN"),
        "url_fullxfull": url("fullxfull"),
        "full_height": image.height,
        "full_width": image.width,
        "alt_text": image.alt_text or None,
    }
