"""The demo product's pictures: drawn here, so that nothing is downloaded and nobody's photographs are used."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

# eBay wants 500 pixels on the longer side at least and recommends far more.
SIZE = 1200
# Drawn larger and reduced: Pillow's polygons have hard edges.
SCALE = 2
JPEG_QUALITY = 90
PICTURE_COUNT = 3

Colour = tuple[int, int, int]
Draw = Callable[[ImageDraw.ImageDraw], None]

LINEN: Colour = (206, 186, 150)
LINEN_DARK: Colour = (173, 150, 112)
LINEN_LIGHT: Colour = (226, 211, 182)
SAGE: Colour = (132, 152, 128)

# Outlines in hundredths of the picture's width.
_BODY = [(40, 20), (44, 18), (56, 18), (60, 20), (58, 44), (72, 88), (28, 88), (42, 44)]
_SLEEVES = [[(40, 20), (30, 34), (36, 38), (42, 30)], [(60, 20), (70, 34), (64, 38), (58, 30)]]
_BELT = [(41.6, 43), (58.4, 43), (59, 47), (41, 47)]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its name for people and the file's bytes."""

    name: str
    content: bytes


def draw_pictures() -> list[Picture]:
    """Returns three JPEG files: the dress from the front, from behind, and its cloth."""
    views: list[tuple[str, Colour, Colour, Draw]] = [
        ("front", (243, 238, 228), (216, 224, 222), _draw_front),
        ("back", (232, 226, 236), (212, 208, 224), _draw_back),
        ("cloth", LINEN_LIGHT, LINEN, _draw_cloth),
    ]
    return [Picture(name, _encode(_paint(top, bottom, draw))) for name, top, bottom, draw in views]


def _paint(top: Colour, bottom: Colour, draw: Draw) -> Image.Image:
    gradient = Image.linear_gradient("L").resize((SIZE * SCALE, SIZE * SCALE))
    canvas = Image.composite(
        Image.new("RGB", gradient.size, bottom), Image.new("RGB", gradient.size, top), gradient
    )
    draw(ImageDraw.Draw(canvas))
    return canvas.resize((SIZE, SIZE), Image.Resampling.LANCZOS).filter(ImageFilter.SMOOTH)


def _encode(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return file.getvalue()


def _at(x: float, y: float) -> tuple[float, float]:
    return x * SIZE * SCALE / 100, y * SIZE * SCALE / 100


def _polygon(draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], colour: Colour) -> None:
    draw.polygon([_at(x, y) for x, y in points], fill=colour)


def _draw_dress(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse([_at(22, 86), _at(78, 92)], fill=(190, 190, 190))
    for sleeve in _SLEEVES:
        _polygon(draw, sleeve, LINEN_DARK)
    _polygon(draw, _BODY, LINEN)
    for fold in (36, 43, 50, 57, 64):
        draw.line([_at(50 + (fold - 50) * 0.45, 48), _at(fold, 87)], fill=LINEN_DARK, width=5 * SCALE)


def _draw_front(draw: ImageDraw.ImageDraw) -> None:
    _draw_dress(draw)
    _polygon(draw, [(44, 18), (56, 18), (50, 29)], (232, 228, 220))
    _polygon(draw, _BELT, SAGE)
    for y in (33, 37, 41):
        draw.ellipse([_at(49.3, y - 0.7), _at(50.7, y + 0.7)], fill=(250, 247, 240))


def _draw_back(draw: ImageDraw.ImageDraw) -> None:
    _draw_dress(draw)
    draw.chord([_at(44, 14), _at(56, 22)], 0, 180, fill=(228, 223, 233))
    draw.line([_at(50, 22), _at(50, 43)], fill=LINEN_DARK, width=4 * SCALE)
    _polygon(draw, _BELT, SAGE)
    for knot in ([(50, 45), (45, 41), (44, 48)], [(50, 45), (55, 41), (56, 48)]):
        _polygon(draw, knot, SAGE)
    _polygon(draw, [(49.5, 45), (47, 58), (49, 58), (50.5, 45)], SAGE)


def _draw_cloth(draw: ImageDraw.ImageDraw) -> None:
    step = 20 * SCALE
    for row, y in enumerate(range(0, SIZE * SCALE, step)):
        for column, x in enumerate(range(0, SIZE * SCALE, step)):
            over = (row + column) % 2 == 0
            colour = LINEN_LIGHT if over else LINEN_DARK
            inset = 3 * SCALE if over else 5 * SCALE
            draw.rectangle([x + inset, y + inset, x + step - inset, y + step - inset], fill=colour)
