"""Turns a file into a picture that can be shown anywhere, by really decoding it and writing it anew."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from stoflow_service_kit.errors import InvalidArgumentError
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

MAX_BYTES = 12 * 1024 * 1024
MAX_PIXELS = 50_000_000
# Colors are wrong without it; the largest that cameras and programs embed for screens take a few KiB.
MAX_PROFILE_BYTES = 64 * 1024
_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1
_CONTENT_TYPES = {
    "JPEG": "image/jpeg",
    # A JPEG that carries further pictures behind the first, as some telephones write it.
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}
_JPEG_MODES = {"L", "RGB"}
# Each pass over a JPEG of the greatest size takes a tenth of a second and may be a hundred bytes; progressive ones
# have about ten.
MAX_JPEG_SCANS = 100
_SCAN_MARKER = b"\xff\xda"
_JPEG_QUALITY = 92
# With more effort a picture of the greatest size takes half a minute.
_WEBP_OPTIONS = {"quality": 90, "method": 0}
# Chunks that are not EXIF, XMP or unknown, and in the header the bits of a profile and of transparency.
_WEBP_PICTURE = {b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"}
_WEBP_PROFILE = 0x20
_WEBP_KEPT_FLAGS = _WEBP_PROFILE | 0x10


@dataclass(frozen=True, slots=True)
class CleanedImage:
    """A picture that was written anew."""

    content_type: str
    content_sha256: str
    size_bytes: int
    width_pixels: int
    height_pixels: int


class ImageInvalidError(InvalidArgumentError):
    """IMAGE_INVALID: the bytes are no picture that can be used."""

    def __init__(self, message: str) -> None:
        super().__init__([], message=message, reason="IMAGE_INVALID")


def clean_image(received: Path, cleaned: Path) -> CleanedImage:
    """Decodes a picture, turns it upright and writes nothing but its pixels and colors to another file.

    The same bytes always give the same bytes. The largest pictures take a few seconds and some hundred MB.

    Raises:
        ImageInvalidError: It is of another format, damaged, animated or too large.
    """
    try:
        with Image.open(received, formats=("JPEG", "PNG", "WEBP")) as image:
            # The header tells the size; decoding a bomb is what must not happen.
            if image.width * image.height > MAX_PIXELS:
                raise _too_many_pixels()
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                raise ImageInvalidError("The picture is animated; send a still one.")
            if _CONTENT_TYPES[str(image.format)] == "image/jpeg":
                _check_scans(received)
            image.load()
            return _write(image, received, cleaned)
    except ImageInvalidError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise ImageInvalidError("The file is not a JPEG, PNG or WebP picture.") from error
    except Exception as error:
        log.info("image_undecodable", error=f"{type(error).__name__}: {error}"[:200])
        raise ImageInvalidError("The picture is damaged: it cannot be decoded to its end.") from error


def _check_scans(received: Path) -> None:
    # Among pixels the marker cannot occur; previews in metadata have one each.
    if received.read_bytes().count(_SCAN_MARKER) > MAX_JPEG_SCANS:
        raise ImageInvalidError(f"The picture is made of more than {MAX_JPEG_SCANS} scans.")


def _write(image: Image.Image, received: Path, cleaned: Path) -> CleanedImage:
    file_format = "JPEG" if image.format == "MPO" else str(image.format)
    options = _options(image, file_format)
    transparency = image.info.get("transparency")
    upright = _upright(image)
    if file_format == "WEBP" and upright is image:
        return _describe(upright, file_format, cleaned, strip_webp(received.read_bytes()))
    if file_format == "JPEG" and upright.mode not in _JPEG_MODES:
        upright = upright.convert("RGB")
        options = {"quality": _JPEG_QUALITY}
    # What Pillow would copy from the original: comments, EXIF, XMP, resolution.
    upright.info = {} if transparency is None else {"transparency": transparency}
    buffer = io.BytesIO()
    upright.save(buffer, file_format, **options)
    return _describe(upright, file_format, cleaned, buffer.getvalue())


def _describe(image: Image.Image, file_format: str, cleaned: Path, body: bytes) -> CleanedImage:
    cleaned.write_bytes(body)
    return CleanedImage(
        content_type=_CONTENT_TYPES[file_format],
        content_sha256=hashlib.sha256(body).hexdigest(),
        size_bytes=len(body),
        width_pixels=image.width,
        height_pixels=image.height,
    )


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, _UPRIGHT)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error) as error:
        # Broken metadata is no reason to refuse the picture: without it, it stays as its pixels are.
        log.info("image_metadata_unreadable", error=type(error).__name__)
        return image
    return image if orientation == _UPRIGHT else ImageOps.exif_transpose(image)


def _options(image: Image.Image, file_format: str) -> dict[str, Any]:
    """Chooses how to write a picture so that hardly anything of it is lost."""
    options: dict[str, Any] = {}
    profile = image.info.get("icc_profile")
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        options["icc_profile"] = profile
    if file_format == "JPEG":
        options |= _jpeg_options(image)
    elif file_format == "WEBP":
        options |= _WEBP_OPTIONS
    return options


def _jpeg_options(image: Image.Image) -> dict[str, Any]:
    # With its own tables a JPEG is written as it was, but for rounding.
    tables = getattr(image, "quantization", {})
    is_usable = tables and all(0 < value < 256 for table in tables.values() for value in table)
    if not is_usable or not isinstance(image, JpegImagePlugin.JpegImageFile):
        return {"quality": _JPEG_QUALITY}
    options: dict[str, Any] = {"qtables": tables, "progressive": bool(image.info.get("progressive"))}
    if (sampling := JpegImagePlugin.get_sampling(image)) >= 0:
        options["subsampling"] = sampling
    return options


def strip_webp(body: bytes) -> bytes:
    """Keeps of a WebP the chunks that make the picture: writing it anew would cost time and quality.

    Args:
        body: A file that could be decoded.
    """
    kept = [(name, data) for name, data in _webp_chunks(body) if name in _WEBP_PICTURE]
    kept = [(name, data) for name, data in kept if name != b"ICCP" or len(data) <= MAX_PROFILE_BYTES]
    flags = (
        _WEBP_KEPT_FLAGS if any(name == b"ICCP" for name, _ in kept) else _WEBP_KEPT_FLAGS & ~_WEBP_PROFILE
    )
    parts = [b"WEBP"]
    for name, data in kept:
        stored = bytes([data[0] & flags, *data[1:]]) if name == b"VP8X" else data
        parts += [name, len(stored).to_bytes(4, "little"), stored, b"\0" * (len(stored) % 2)]
    riff = b"".join(parts)
    return b"RIFF" + len(riff).to_bytes(4, "little") + riff


def _webp_chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    end = min(len(body), int.from_bytes(body[4:8], "little") + 8)
    while at + 8 <= end:
        length = int.from_bytes(body[at + 4 : at + 8], "little")
        yield body[at : at + 4], body[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


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
