"""The pictures of a listing."""

from dataclasses import dataclass

from stoflow_connector_etsy.clients.caller import EtsyCaller
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.errors import EtsyRefusedError

_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_MAX_ALT_TEXT_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class ListingPicture:
    """One picture of a listing.

    Attributes:
        image_id: Etsy's id.
        rank: Its place, from 1; Etsy does not always keep the one it was given.
    """

    image_id: int
    rank: int


class PicturesClient:
    """Calls the image operations; every method may also raise what EtsyCaller does."""

    def __init__(self, caller: EtsyCaller) -> None:
        self._caller = caller

    async def list_pictures(self, seller: Seller, listing_id: int) -> list[ListingPicture]:
        """Returns a listing's pictures as buyers see them, the first one first."""
        content = await self._caller.get(
            seller,
            f"/listings/{listing_id}/images",
            f"list the images of listing {listing_id}",
            requires="results",
        )
        found = [
            ListingPicture(int(entry["listing_image_id"]), int(entry.get("rank") or 0))
            for entry in content["results"]
        ]
        # Two may have the same rank; sorting keeps Etsy's own order among them.
        return sorted(found, key=lambda picture: picture.rank)

    async def upload(
        self, seller: Seller, listing_id: int, data: bytes, content_type: str, rank: int, alt_text: str
    ) -> int:
        """Adds a picture and returns its id; asked twice Etsy adds two."""
        name = f"image-{rank}.{_SUFFIXES.get(content_type, 'bin')}"
        content = await self._caller.write(
            seller,
            "POST",
            f"/shops/{seller.shop_id}/listings/{listing_id}/images",
            f"add image {rank} to listing {listing_id}",
            requires="listing_image_id",
            data={"rank": str(rank), "alt_text": alt_text[:_MAX_ALT_TEXT_CHARACTERS]},
            files={"image": (name, data, content_type)},
        )
        return int(content["listing_image_id"])

    async def delete(self, seller: Seller, listing_id: int, image_id: int) -> None:
        """Takes a picture off a listing; one that is not there is off already."""
        try:
            await self._caller.send(
                seller,
                "DELETE",
                f"/shops/{seller.shop_id}/listings/{listing_id}/images/{image_id}",
                f"remove image {image_id} of listing {listing_id}",
            )
        except EtsyRefusedError as error:
            if not error.is_absent:
                raise
