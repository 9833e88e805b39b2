"""Keeps a draft's pictures as the seller arranged them: each once, none missing, in order."""

from collections.abc import Sequence

from stoflow_connector_etsy.clients.listings import ListingsClient
from stoflow_connector_etsy.clients.pictures import ListingPicture, PicturesClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.mapping import form_list
from stoflow_connector_sdk import CatalogueImages, RetryableError, TaskContext, effect_so_far


class PictureOrder:
    """Compares pictures with what they should be, and repairs them."""

    def __init__(
        self, catalogue: CatalogueImages, pictures: PicturesClient, listings: ListingsClient
    ) -> None:
        self._catalogue = catalogue
        self._pictures = pictures
        self._listings = listings

    async def count(self, seller: Seller, listing_id: int) -> int:
        """Returns how many pictures a listing has."""
        return len(await self._pictures.list_pictures(seller, listing_id))

    async def upload(self, seller: Seller, listing_id: int, task: TaskContext, index: int) -> int:
        """Copies one of the product's pictures to a listing; returns Etsy's id."""
        image = task.product.images[index]
        data = await self._catalogue.get_bytes(image.url, image.content_sha256)
        return await self._pictures.upload(
            seller, listing_id, data, image.content_type, index + 1, task.product.content.title
        )

    async def drop_others(self, seller: Seller, listing_id: int, kept: Sequence[int]) -> list[ListingPicture]:
        """Removes what is not among the kept ones: a picture whose upload was given up appeared all the same.

        Returns:
            What is left, the first one first.
        """
        found = await self._pictures.list_pictures(seller, listing_id)
        for picture in found:
            if picture.image_id not in kept:
                await self._pictures.delete(seller, listing_id, picture.image_id)
        return [picture for picture in found if picture.image_id in kept]

    async def arrange(
        self, seller: Seller, listing_id: int, task: TaskContext, wanted: Sequence[int]
    ) -> list[int]:
        """Makes the listing show exactly these pictures, in this order, and looks again whether it does.

        Returns:
            Etsy's ids as they are now: a picture that is gone was copied again.

        Raises:
            RetryableError: Etsy does not keep the order.
        """
        found = [picture.image_id for picture in await self.drop_others(seller, listing_id, wanted)]
        ids = [
            image_id if image_id in found else await self.upload(seller, listing_id, task, index)
            for index, image_id in enumerate(wanted)
        ]
        if found == ids:
            return ids
        await self._listings.update(seller, listing_id, {"image_ids": form_list(ids)})
        now = [picture.image_id for picture in await self._pictures.list_pictures(seller, listing_id)]
        if now != ids:
            raise RetryableError(
                f"Listing {listing_id} shows its images as {form_list(now)}, not as {form_list(ids)}.",
                effect=effect_so_far(),
                code="IMAGES_OUT_OF_ORDER",
            )
        return ids
