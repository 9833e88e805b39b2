"""eBay's Media API v1_beta: pictures."""

from dataclasses import dataclass

from stoflow_connector_ebay.clients.caller import EbayCaller, read_object, read_text
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_sdk import MarketplaceHttpClient

_PATH = "/commerce/media/v1_beta"
_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


@dataclass(frozen=True, slots=True)
class UploadedImage:
    """A picture on eBay's picture server.

    Attributes:
        url: What listings refer to it by.
        expiration_date: When it is removed unless a listing shows it, as eBay writes it.
    """

    url: str
    expiration_date: str


class MediaClient:
    """Calls the Media API; it may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, media_url: str) -> None:
        self._caller = EbayCaller(http, f"{media_url}{_PATH}")

    async def create_image_from_file(self, seller: Seller, data: bytes, content_type: str) -> UploadedImage:
        """Uploads a picture; eBay allows each seller 50 in five seconds."""
        operation = "store an image"
        file = (f"image.{_SUFFIXES.get(content_type, 'bin')}", data, content_type)
        response = await self._caller.upload(
            seller, "/image/create_image_from_file", operation, {"image": file}
        )
        content = read_object(response, operation)
        return UploadedImage(
            url=read_text(content, "imageUrl", response, operation),
            expiration_date=str(content.get("expirationDate") or ""),
        )
