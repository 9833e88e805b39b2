"""Whether a file is a picture that can be used, by really decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from stoflow_service_kit.errors import InvalidArgumentError
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

MAX_BYTES = 12 * 1024 * 1024
MAX_PIXELS = 50_000_000
_CONTENT_TYPES = {
    "JPEG": "image/jpeg",
    # A JPEG that carries further pictures behind the first, as some telephones write it.
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """What decoding a picture told."""

    content_type: str
    width_pixels: int
    height_pixels: int


class ImageInvalidError(InvalidArgumentError):
    """IMAGE_INVALID: the bytes are no picture that can be used."""

    def __init__(self, message: str) -> None:
        super().__init__([], message=message, reason="IMAGE_INVALID")


def check_image(path: Path) -> CheckedImage:
    """Decodes a picture; the largest take about a second and some hundred MB.

    Raises:
        ImageInvalidError: It is of another format, damaged, animated or too large.
    """
    try:
        with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as image:
            # The header tells the size; decoding a bomb is what must not happen.
            if image.width * image.height > MAX_PIXELS:
                raise _too_many_pixels()
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                raise ImageInvalidError("The picture is animated; send a still one.")
            image.load()
            return CheckedImage(_CONTENT_TYPES[str(image.format)], image.width, image.height)
    except ImageInvalidError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise ImageInvalidError("The file is not a JPEG, PNG or WebP picture.") from error
    except Exception as error:
        log.info("image_undecodable", error=f"{type(error).__name__}: {error}"[:200])
        raise ImageInvalidError("The picture is damaged: it cannot be decoded to its end.") from error


def content_type_of(head: bytes) -> str | None:
    """Tells the content type of a stored image from its first 12 bytes; None for what is no image."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def _too_many_pixels() -> ImageInvalidError:
    return ImageInvalidError(f"The picture has more than {MAX_PIXELS // 1_000_000} megapixels.")
