"""Brings the catalogue's pictures to eBay's picture server, one a task."""

from collections.abc import Mapping, Sequence

from stoflow_connector_ebay.clients.media import MediaClient
from stoflow_connector_ebay.clients.seller import Seller
from stoflow_connector_sdk import (
    CatalogueImages,
    EffectOutcome,
    PermanentError,
    TaskContext,
    TaskResult,
    Violation,
)


class PictureUploads:
    """Uploads pictures."""

    def __init__(self, images: CatalogueImages, media: MediaClient) -> None:
        self._images = images
        self._media = media

    async def upload(self, task: TaskContext, seller: Seller, known: Mapping[str, str]) -> TaskResult:
        """Copies the task's picture; a repeat leaves an orphan that expires by itself.

        Args:
            task: Names the picture.
            seller: On whose behalf.
            known: Addresses at eBay of pictures that need no upload, by SHA-256.
        """
        image = task.image
        digest = image.content_sha256
        if digest in known:
            return TaskResult({"imageUrl": known[digest], "contentSha256": digest, "reused": True})
        data = await self._images.get_bytes(image.url, digest)
        uploaded = await self._media.create_image_from_file(seller, data, image.content_type)
        return TaskResult(
            {
                "imageUrl": uploaded.url,
                "contentSha256": digest,
                "expirationDate": uploaded.expiration_date,
            }
        )


def picture_urls(task: TaskContext, known: Mapping[str, str] | None = None) -> list[str]:
    """Returns the addresses at eBay of all of the product's pictures, in the seller's order.

    Args:
        task: A task after the uploads.
        known: Addresses that needed no upload.

    Raises:
        PermanentError: One is missing: the listing must never lack it silently.
    """
    images = task.product.images
    at_ebay = dict(known or {})
    for index, output in enumerate(task.outputs.list("upload_image")):
        # Jobs that were planned by the first manifest have one output a picture, without its digest.
        digest = output.get("contentSha256") or images[index].content_sha256
        at_ebay[str(digest)] = str(output.get("imageUrl") or "")
    missing = [index for index, image in enumerate(images) if not at_ebay.get(image.content_sha256)]
    if missing:
        text = f"{len(images) - len(missing)} of {len(images)} images are at eBay"
        raise PermanentError(
            f"The listing would lack pictures: {text}.",
            violations=[Violation(f"product.images[{index}]", text) for index in missing],
            effect=EffectOutcome.NOT_SENT,
            code="IMAGES_MISSING",
        )
    return [at_ebay[image.content_sha256] for image in images]


def pictures_of(task: TaskContext, urls: Sequence[str]) -> dict[str, str]:
    """Returns the same addresses by SHA-256."""
    digests = (image.content_sha256 for image in task.product.images)
    return dict(zip(digests, urls, strict=True))
