"""Puts a product into the seller's wardrobe; every step may be repeated after a crash at any moment."""

from stoflow_connector_sdk import (
    Absent,
    EffectOutcome,
    Found,
    ListingChange,
    ListingState,
    NeedsHumanError,
    PermanentError,
    TaskContext,
    TaskResult,
    Unclear,
    Violation,
)
from stoflow_connector_vinted.clients.vinted import Photo, VintedClient, WardrobeItem
from stoflow_connector_vinted.mapping import found_listing, item_listing, new_item, upload_uuid
from stoflow_connector_vinted.services.wardrobe import Wardrobe

_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


class VintedPublicationService:
    """The steps of publish."""

    def __init__(self, vinted: VintedClient, wardrobe: Wardrobe, site_url: str) -> None:
        self._vinted = vinted
        self._wardrobe = wardrobe
        self._site_url = site_url

    async def check_product(self, task: TaskContext) -> TaskResult:
        """Says everything that is wrong before the first photo is sent."""
        new_item(task, [])
        return TaskResult()

    async def upload_photo(self, task: TaskContext) -> TaskResult:
        """Lets the browser upload one photo."""
        image = task.image
        photo = Photo(
            image.url,
            image.content_sha256,
            image.content_type,
            f"photo-{(task.item_index or 0) + 1}.{_SUFFIXES.get(image.content_type, 'jpg')}",
            upload_uuid(task),
        )
        return TaskResult({"photoId": await self._vinted.upload_photo(task, photo)})

    async def create_item(self, task: TaskContext) -> TaskResult:
        """Creates the item with all its photos in the seller's order."""
        item = await self._vinted.create_item(task, new_item(task, _photo_ids(task)))
        return _live(item_listing(item, self._site_url))

    async def probe_item(self, task: TaskContext) -> Found | Absent | Unclear:
        """Looks whether an earlier attempt made the item: in what the browser kept, then in the wardrobe.

        A photo is shown by one item only, so an item with one of this job's photos is this job's. A sold or ended
        publication of before has other photos.
        """
        kept = await self._vinted.find_created_item(task)
        if kept is not None:
            return Found(_live(item_listing(kept, self._site_url)))
        ours = set(_photo_ids(task))
        title = task.product.content.title
        unclear: WardrobeItem | None = None
        async for item in self._wardrobe.items(task):
            if ours & item.photo_ids:
                return Found(_live(found_listing(item)))
            if item.title == title and not item.photo_ids and not item.is_closed:
                unclear = item
        if unclear is not None:
            return Unclear(
                f"Item {unclear.item_id} of the wardrobe has this title and shows no photos: it may be this product's."
            )
        return Absent()

    async def adopt_item(self, task: TaskContext) -> TaskResult:
        """Takes the item that a person named."""
        item_id = "" if task.effect is None else task.effect.remote_id
        item = await self._vinted.find_item(task, item_id)
        if item is None:
            raise NeedsHumanError(
                f"The wardrobe has no item {item_id}.", effect=EffectOutcome.UNKNOWN, code="ITEM_UNKNOWN"
            )
        return _live(item_listing(item, self._site_url))


def _photo_ids(task: TaskContext) -> list[str]:
    ids = [str(output.get("photoId") or "") for output in task.outputs.list("upload_photo")]
    expected = len(task.product.images)
    if len(ids) != expected or not all(ids):
        text = f"{len([one for one in ids if one])} of {expected} photos are at Vinted"
        raise PermanentError(
            f"The item would lack photos: {text}.",
            violations=[Violation("product.images", text)],
            effect=EffectOutcome.NOT_SENT,
            code="IMAGES_MISSING",
        )
    return ids


def _live(listing: ListingChange) -> TaskResult:
    if listing.state == ListingState.LISTING_STATE_DRAFT:
        listing.state = ListingState.LISTING_STATE_LIVE
    return TaskResult(
        {"itemId": listing.remote_id, "url": listing.url}, remote_id=listing.remote_id, listing=listing
    )
