"""Brings the pictures of a listing that buyers know up to date, and leaves the seller's own beside them."""

from collections.abc import Sequence

from stoflow_connector_etsy.clients.listings import ListingsClient
from stoflow_connector_etsy.clients.pictures import PicturesClient
from stoflow_connector_etsy.clients.seller import Seller
from stoflow_connector_etsy.mapping import form_list
from stoflow_connector_etsy.services.picture_order import PictureOrder
from stoflow_connector_sdk import RetryableError, TaskContext, effect_so_far

MAX_PICTURES = 20


class PictureUpdate:
    """Compares what a listing shows with what it was given last."""

    def __init__(self, order: PictureOrder, pictures: PicturesClient, listings: ListingsClient) -> None:
        self._order = order
        self._pictures = pictures
        self._listings = listings

    async def list_foreign(self, seller: Seller, listing_id: int, noted: Sequence[int]) -> list[int]:
        """Returns the pictures that we did not put there; they are kept, behind ours."""
        found = await self._pictures.list_pictures(seller, listing_id)
        return [picture.image_id for picture in found if picture.image_id not in noted]

    async def replace(
        self,
        seller: Seller,
        listing_id: int,
        task: TaskContext,
        noted: dict[str, int],
        foreign: Sequence[int],
    ) -> list[int]:
        """Shows the product's pictures in their order, and what is foreign behind them.

        Args:
            seller: The seller.
            listing_id: The listing.
            task: Carries the product.
            noted: What was put there before, by SHA-256.
            foreign: What was there and is not ours. Anything else that is there now an attempt before left.

        Returns:
            Etsy's ids of the product's pictures.

        Raises:
            RetryableError: Etsy does not keep the order.
        """
        wanted = [image.content_sha256 for image in task.product.images]
        kept = [noted[digest] for digest in wanted if digest in noted]
        found = await self._order.drop_others(seller, listing_id, [*noted.values(), *foreign])
        there = [picture.image_id for picture in found]
        ours = [image_id for image_id in kept if image_id in there]
        if len(there) + len(wanted) - len(ours) > MAX_PICTURES and (ours or foreign):
            # Room for the new ones: Etsy shows no more than twenty, not even for a moment.
            room = max(MAX_PICTURES - len(wanted), 0)
            await self._show(seller, listing_id, [*ours, *foreign[:room]])
        ids = []
        for index, digest in enumerate(wanted):
            known = noted.get(digest, 0)
            ids.append(known if known in ours else await self._order.upload(seller, listing_id, task, index))
        shown = [*ids, *foreign][:MAX_PICTURES]
        await self._show(seller, listing_id, shown)
        now = [picture.image_id for picture in await self._pictures.list_pictures(seller, listing_id)]
        if now != shown:
            raise RetryableError(
                f"Listing {listing_id} shows its images as {form_list(now)}, not as {form_list(shown)}.",
                effect=effect_so_far(),
                code="IMAGES_OUT_OF_ORDER",
            )
        return ids

    async def _show(self, seller: Seller, listing_id: int, image_ids: Sequence[int]) -> None:
        await self._listings.update(seller, listing_id, {"image_ids": form_list(image_ids)})
