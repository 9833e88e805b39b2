"""The demo's pictures."""

from __future__ import annotations

import io

from PIL import Image

from stoflow_sandbox.demo.pictures import PICTURE_COUNT, draw_pictures


def test_pictures_are_distinct_jpeg_files_that_marketplaces_take() -> None:
    """There are three different JPEG files, each above eBay's least size and drawn alike every time."""
    pictures = draw_pictures()
    assert len(pictures) == PICTURE_COUNT == 3
    assert len({picture.content for picture in pictures}) == PICTURE_COUNT
    for picture in pictures:
        image = Image.open(io.BytesIO(picture.content))
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert min(image.size) >= 500
        # Not one plain colour.
        assert len(set(image.convert("L").histogram()) - {0}) > 20
    assert [picture.content for picture in draw_pictures()] == [picture.content for picture in pictures]
