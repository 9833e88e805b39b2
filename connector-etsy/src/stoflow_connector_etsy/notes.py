"""What the connector notes of a listing: which of its pictures show which of the product's, by content."""

from collections.abc import Mapping, Sequence
from typing import Any

from stoflow.catalog.v1.product_pb2 import ProductImage

from stoflow_connector_sdk import ListingChange

_PICTURES = "pictures"


def noted_pictures(notes: Mapping[str, Any]) -> dict[str, int]:
    """Returns Etsy's ids by SHA-256, in the order in which they were shown; empty when nothing was noted."""
    entries = notes.get(_PICTURES)
    pairs = entries if isinstance(entries, list) else []
    return {str(one["sha256"]): int(one["imageId"]) for one in pairs}


def picture_notes(images: Sequence[ProductImage], image_ids: Sequence[int]) -> dict[str, Any]:
    """Returns what to note; nothing when the pictures are not all the product's own."""
    if len(images) != len(image_ids):
        return {}
    pairs = zip(images, image_ids, strict=True)
    # Texts, since a number in a note becomes a float.
    return {_PICTURES: [{"sha256": image.content_sha256, "imageId": str(number)} for image, number in pairs]}


def with_notes(change: ListingChange, notes: Mapping[str, Any]) -> ListingChange:
    """Adds notes to what is reported; without any, what was noted before stays."""
    if notes:
        change.notes.update(notes)
    return change
