"""Pictures on the picture server: created from a file or an address, read, expired."""

import secrets
from datetime import UTC, datetime

from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.errors import ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.pictures import Picture
from stoflow_sandbox.marketplaces.ebay.state import Image, Seller
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

UNUSED_LIFETIME_SECONDS = 30 * 24 * 3600
RATE_WINDOW_SECONDS = 5
MEDIA_PATH = "/commerce/media/v1_beta/image"


def create_image(seller: Seller, picture: Picture, context: Context) -> Reply:
    """Store a picture. The same file again is another picture: eBay does not compare."""
    image = Image(
        image_id=secrets.token_urlsafe(16),
        token=secrets.token_urlsafe(12),
        digest=picture.digest,
        media_type=picture.media_type,
        expires_time=context.now + UNUSED_LIFETIME_SECONDS,
        longest_side=max(picture.width, picture.height),
    )
    seller.add_image(image)
    location = f"{context.base_url}{MEDIA_PATH}/{image.image_id}"
    return Reply(
        201,
        image_view(image, context.base_url),
        {"Location": location},
        [Effect("image.created", image.image_id)],
    )


def is_over_media_rate(seller: Seller, now: float) -> bool:
    """Count a POST against the seller's short-time limit, when one is set."""
    if seller.media_posts_per_5_seconds is None:
        return False
    recent = [moment for moment in seller.media_post_times if moment > now - RATE_WINDOW_SECONDS]
    is_over = len(recent) >= seller.media_posts_per_5_seconds
    seller.media_post_times = recent if is_over else [*recent, now]
    return is_over


def get_image(seller: Seller, image_id: str, context: Context) -> Reply:
    image = seller.images.get(image_id)
    if image is None or is_expired(seller, image, context.now):
        return refuse(404, ebay_error(190200, image_id=image_id))
    return Reply(200, image_view(image, context.base_url))


def is_expired(seller: Seller, image: Image, now: float) -> bool:
    """A picture past its date is gone, unless a listing that has not ended shows it."""
    if image.expires_time > now:
        return False
    return not any(
        listing.status != "ENDED" and any(f"/{image.token}/" in url for url in listing.shown["imageUrls"])
        for listing in seller.listings.values()
    )


def image_url(image: Image, base_url: str, pixels: int) -> str:
    extension = {"image/jpeg": "jpg", "image/tiff": "tif"}.get(
        image.media_type, image.media_type.split("/")[1]
    )
    return f"{base_url}/images/g/{image.token}/s-l{pixels}.{extension}"


def image_view(image: Image, base_url: str) -> dict[str, str]:
    expires = datetime.fromtimestamp(image.expires_time, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "imageUrl": image_url(image, base_url, 500),
        "maxDimensionImageUrl": image_url(image, base_url, 1600),
        "expirationDate": expires,
    }
