"""Pictures are turned upright and freed of everything but pixels and colors."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from stoflow_orchestrator.services.image_check import CleanedImage, ImageInvalidError, clean_image, strip_webp

CANARY = b"48.8584N-canary"
KINDS = ["JPEG", "PNG", "WEBP"]
WIDTH, HEIGHT = 64, 32


def half_red(mode: str = "RGB") -> Image.Image:
    """A picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (0, 0, 250))
    image.paste((250, 0, 0), (0, 0, WIDTH // 2, HEIGHT))
    return image.convert(mode)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.Base.Artist] = CANARY.decode()
    return tags


def clean(tmp_path: Path, data: bytes) -> tuple[CleanedImage, bytes]:
    received, cleaned = tmp_path / "received", tmp_path / "cleaned"
    received.write_bytes(data)
    described = clean_image(received, cleaned)
    body = cleaned.read_bytes()
    assert (hashlib.sha256(body).hexdigest(), len(body)) == (described.content_sha256, described.size_bytes)
    return described, body


def color(body: bytes, x: int, y: int) -> tuple[int, ...]:
    with Image.open(io.BytesIO(body)) as image:
        found = image.convert("RGB").getpixel((x, y))
        assert isinstance(found, tuple)
        return found


def is_red(rgb: tuple[int, ...]) -> bool:
    return rgb[0] > 200 and rgb[2] < 60


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_is_removed(tmp_path: Path, kind: str) -> None:
    """Camera data, comments, XMP and bytes behind the picture's end do not come along; the pixels do."""
    options: dict[str, Any] = {"exif": exif(), "xmp": CANARY}
    if kind == "PNG":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Comment", CANARY.decode())
        notes.add_itxt("XML:com.adobe.xmp", CANARY.decode())
        options = {"exif": exif(), "pnginfo": notes}
    if kind == "JPEG":
        options["comment"] = CANARY
    data = encode(half_red(), kind, **options) + CANARY
    assert data.count(CANARY) >= 3
    described, body = clean(tmp_path, data)
    assert CANARY not in body
    with Image.open(io.BytesIO(body)) as image:
        assert (image.format, image.size, dict(image.getexif())) == (kind, (WIDTH, HEIGHT), {})
    assert (described.content_type, described.width_pixels) == (f"image/{kind.lower()}", WIDTH)
    assert is_red(color(body, 5, 5))
    assert not is_red(color(body, WIDTH - 5, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("orientation", "red_corner"),
    [(3, (WIDTH - 5, 5)), (6, (5, 5)), (8, (5, WIDTH - 5)), (2, (WIDTH - 5, 5))],
)
def test_picture_is_turned_upright(
    tmp_path: Path, kind: str, orientation: int, red_corner: tuple[int, int]
) -> None:
    """A picture that only its metadata turns is turned for good, sides swapped where they must be."""
    described, body = clean(tmp_path, encode(half_red(), kind, exif=exif(orientation)))
    sides = (HEIGHT, WIDTH) if orientation in {6, 8} else (WIDTH, HEIGHT)
    assert (described.width_pixels, described.height_pixels) == sides
    assert is_red(color(body, *red_corner))
    with Image.open(io.BytesIO(body)) as image:
        assert (image.size, dict(image.getexif())) == (sides, {})


@pytest.mark.parametrize("kind", KINDS)
def test_cleaning_again_changes_nothing_more(tmp_path: Path, kind: str) -> None:
    """The same bytes give the same bytes, and what is clean keeps its content type and size."""
    data = encode(half_red(), kind, exif=exif(6))
    first = clean(tmp_path, data)
    assert clean(tmp_path, data) == first
    again, body = clean(tmp_path, first[1])
    assert (again.content_type, again.width_pixels) == (first[0].content_type, first[0].width_pixels)
    assert is_red(color(body, 5, 5)) == is_red(color(first[1], 5, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_color_profile_stays(tmp_path: Path, kind: str) -> None:
    """A color profile of usual size is kept, since colors are wrong without it; a huge one goes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _, body = clean(tmp_path, encode(half_red(), kind, icc_profile=profile))
    with Image.open(io.BytesIO(body)) as image:
        assert image.info["icc_profile"] == profile
    _, body = clean(tmp_path, encode(half_red(), kind, icc_profile=profile.ljust(70_000, b"\0")))
    with Image.open(io.BytesIO(body)) as image:
        assert not image.info.get("icc_profile")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_taken(tmp_path: Path, mode: str) -> None:
    """PNGs of each color type keep their mode, transparency included."""
    source = Image.new("I;16", (9, 9), 700) if mode == "I;16" else half_red("L" if mode == "I;16" else mode)
    options = {"transparency": 0} if mode in {"P", "L"} else {}
    _, body = clean(tmp_path, encode(source, "PNG", **options))
    with Image.open(io.BytesIO(body)) as image:
        assert image.mode == source.mode
        assert ("transparency" in image.info) == bool(options)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_is_taken(tmp_path: Path, mode: str) -> None:
    """JPEGs for print are turned into colors of screens, the others keep their mode and tables."""
    _, body = clean(tmp_path, encode(half_red(mode), "JPEG", quality=35, exif=exif(6)))
    with Image.open(io.BytesIO(body)) as image:
        assert image.mode == ("RGB" if mode == "CMYK" else mode)
    data = encode(half_red(), "JPEG", quality=35)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(clean(tmp_path, data)[1])) as after:
        assert getattr(before, "quantization", 1) == getattr(after, "quantization", 2)


def test_transparent_and_lossless_webp_stay(tmp_path: Path) -> None:
    """A WebP's transparency and its exact pixels survive, and it is not written anew."""
    source = half_red("RGBA")
    source.putalpha(77)
    data = encode(source, "WEBP", lossless=True, exif=exif(), icc_profile=b"\0" * 70_001)
    _, body = clean(tmp_path, data)
    with Image.open(io.BytesIO(body)) as image:
        assert image.convert("RGBA").tobytes() == source.tobytes()
    assert strip_webp(body) == body


# Pillow warns of it, too.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_metadata_refuses_no_picture(tmp_path: Path) -> None:
    """Camera data that cannot be read is dropped like any other."""
    data = encode(half_red(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + CANARY)
    _, body = clean(tmp_path, data)
    assert CANARY not in body


def test_damaged_picture_is_refused(tmp_path: Path) -> None:
    """Half a picture is an ImageInvalidError, and nothing is written."""
    data = encode(half_red().resize((900, 900)), "JPEG")
    with pytest.raises(ImageInvalidError, match="damaged"):
        clean(tmp_path, data[: len(data) // 2])
    assert not (tmp_path / "cleaned").exists()


def test_jpeg_of_endless_scans_is_refused(tmp_path: Path) -> None:
    """A small file that makes a decoder pass over the whole picture thousands of times is refused before it does."""
    data = encode(half_red(), "JPEG", progressive=True)
    clean(tmp_path, data)
    last = data.rindex(b"\xff\xda")
    many = data[:-2] + data[last:-2] * 1_000 + data[-2:]
    with pytest.raises(ImageInvalidError, match="scans"):
        clean(tmp_path, many)


SAMPLES = [
    encode(half_red(), "JPEG", exif=exif(6)),
    encode(half_red(), "JPEG", progressive=True),
    encode(half_red("P"), "PNG", exif=exif(3)),
    encode(half_red("RGBA"), "WEBP", exif=exif(8)),
    encode(half_red(), "WEBP", lossless=True, exif=exif()),
]
mutations = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), min_size=1, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SAMPLES), mutations, st.booleans())
def test_damaged_files_are_refused_or_become_pictures(
    tmp_path: Path, data: bytes, changes: list[tuple[float, bytes]], is_cut: bool
) -> None:
    """Whatever is changed in a file, it is refused in words, or what is stored can be decoded."""
    damaged = bytearray(data)
    for place, patch in changes:
        at = int(place * len(damaged))
        damaged[at : at + len(patch)] = patch
    if is_cut:
        del damaged[int(changes[0][0] * len(damaged)) :]
    try:
        described, body = clean(tmp_path, bytes(damaged))
    except ImageInvalidError:
        return
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        assert image.size == (described.width_pixels, described.height_pixels)
