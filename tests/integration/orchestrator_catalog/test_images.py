"""Pictures of products: uploads, hostile files, concurrency."""

from __future__ import annotations

import asyncio
import hashlib
import io
import struct
import zlib
from pathlib import Path

import grpc
import pytest
from PIL import Image
from stoflow.catalog.v1.product_pb2 import ProductImage
from stoflow.catalog.v1.product_service_pb2 import AddProductImageRequest, GetProductRequest

from tests.integration.orchestrator_catalog.catalog_api import (
    CatalogApi,
    image_messages,
    new_id,
    picture,
    refusal,
    until,
)


def stored_files(api: CatalogApi, tenant_id: int) -> list[Path]:
    root = api.store.path(tenant_id, "0" * 64).parent.parent
    return [path for path in root.rglob("*") if path.is_file()]


def red_of(api: CatalogApi, tenant_id: int, image: ProductImage) -> int:
    """Tells the red of a stored picture of one color."""
    with Image.open(api.store.path(tenant_id, image.content_sha256)) as opened:
        color = opened.convert("RGB").getpixel((0, 0))
        assert isinstance(color, tuple)
        return int(color[0])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_image_is_appended_and_stored_by_content(api: CatalogApi, kind: str) -> None:
    """A picture sent in many chunks is described by its content and lies in the store under its SHA-256; the same
    picture again lies there once.
    """
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    data = picture(kind, (640, 480))
    messages = image_messages(tenant_id, product_id, data, new_id(), chunk_bytes=100)
    product = (await api.products.AddProductImage(messages)).product
    (image,) = product.images
    assert image.content_type == f"image/{kind.lower()}"
    assert (image.width_pixels, image.height_pixels) == (640, 480)
    assert (product.version, image.url) == (2, "")
    assert product.update_time.ToNanoseconds() > product.create_time.ToNanoseconds()
    stored = api.store.path(tenant_id, image.content_sha256).read_bytes()
    assert (hashlib.sha256(stored).hexdigest(), len(stored)) == (image.content_sha256, image.size_bytes)
    with Image.open(io.BytesIO(stored)) as opened:
        assert (opened.format, opened.size) == (kind, (640, 480))
    assert (
        await api.products.GetProduct(GetProductRequest(tenant_id=tenant_id, product_id=product_id))
    ).product == (product)
    again = (await api.add_image(tenant_id, product_id, data)).images[-1]
    assert again.content_sha256 == image.content_sha256
    assert len(stored_files(api, tenant_id)) == 1


async def test_images_keep_their_order(api: CatalogApi) -> None:
    """Images come back in the order in which they were added, the same picture twice included."""
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    shades = (200, 1, 90, 200)
    pictures = [picture("PNG", color=(shade, 0, 0)) for shade in shades]
    product = [await api.add_image(tenant_id, product_id, data) for data in pictures][-1]
    assert tuple(red_of(api, tenant_id, image) for image in product.images) == shades
    assert len({image.image_id for image in product.images}) == 4
    assert product.version == 5


async def test_concurrent_appends_lose_nothing(api: CatalogApi) -> None:
    """Six pictures added to one product at once are all there, each with its own version."""
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    pictures = [picture("PNG", color=(shade, 0, 0)) for shade in range(0, 240, 40)]
    answers = await asyncio.gather(*(api.add_image(tenant_id, product_id, data) for data in pictures))
    assert sorted(answer.version for answer in answers) == [2, 3, 4, 5, 6, 7]
    final = max(answers, key=lambda answer: answer.version)
    assert {red_of(api, tenant_id, image) for image in final.images} == set(range(0, 240, 40))
    positions = await api.sql(f"SELECT position FROM user_{tenant_id}.product_images ORDER BY position")
    assert [position for (position,) in positions] == [0, 1, 2, 3, 4, 5]


async def test_repeated_upload_adds_one_image(api: CatalogApi) -> None:
    """Concurrent and later repeats of one upload add one image; another file under its id is refused."""
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    request_id, data = new_id(), picture()
    answers = await asyncio.gather(
        *(api.add_image(tenant_id, product_id, data, request_id) for _ in range(4))
    )
    answers.append(await api.add_image(tenant_id, product_id, data, request_id))
    assert [len(answer.images) for answer in answers] == [1] * 5
    error = await refusal(api.add_image(tenant_id, product_id, picture(color=(9, 9, 9)), request_id))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_more_than_24_images_are_refused(api: CatalogApi) -> None:
    """The 25th picture is TOO_MANY_IMAGES, changes nothing and leaves no file; a repeat of the 24th is answered."""
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    request_id, data = new_id(), picture()
    for _ in range(23):
        await api.add_image(tenant_id, product_id, data)
    await api.add_image(tenant_id, product_id, data, request_id)
    other = picture(color=(7, 7, 7))
    error = await refusal(api.add_image(tenant_id, product_id, other))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOO_MANY_IMAGES")
    assert error.preconditions[0].subject == f"products/{product_id}"
    assert len(stored_files(api, tenant_id)) == 1
    assert (await api.add_image(tenant_id, product_id, data, request_id)).version == 25


async def test_unknown_product_is_refused_while_its_bytes_come(api: CatalogApi) -> None:
    """An upload for an unknown product or tenant is refused as such, though the client is still sending."""
    owner, other = await api.new_tenant(), await api.new_tenant()
    product_id = (await api.new_product(owner)).product_id
    for tenant_id, reason in ((other, "PRODUCT_NOT_FOUND"), (999, "TENANT_NOT_FOUND")):
        for _ in range(5):
            error = await refusal(api.add_image(tenant_id, product_id, bytes(20 << 20)))
            assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, reason)


async def test_stream_must_begin_with_one_header(api: CatalogApi) -> None:
    """No message, a chunk first, a second header and a broken header are INVALID_ARGUMENT."""
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    header, chunk = list(image_messages(tenant_id, product_id, picture(), new_id()))
    broken = AddProductImageRequest(header=AddProductImageRequest.Header(request_id="x", tenant_id=0))
    for stream in (
        [],
        [chunk],
        [header, header],
        [header, chunk, header],
        [broken],
        [AddProductImageRequest()],
    ):
        error = await refusal(api.products.AddProductImage(iter(stream)))
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
        assert error.violations
    assert await api.sql(f"SELECT count(*) FROM user_{tenant_id}.product_images") == [(0,)]


def png_with_header(width: int, height: int) -> bytes:
    """Makes a PNG of a few hundred bytes that claims a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png_with_text() -> bytes:
    """Makes a small PNG whose comment would unpack to 64 MiB."""
    text = b"Comment\0\0" + zlib.compress(bytes(64 << 20))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    whole = picture("PNG")
    # Behind the header chunk.
    return whole[:33] + chunk + whole[33:]


def animation() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (1, 200)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def hostile_files() -> dict[str, tuple[bytes, str]]:
    big_jpeg = picture("JPEG", (2000, 1500))
    buffer = io.BytesIO()
    Image.effect_noise((300, 300), 90).save(buffer, "PNG")
    noise = buffer.getvalue()
    return {
        "empty": (b"", "empty"),
        "text": (b"hello", "not a JPEG"),
        "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "not a JPEG"),
        "html": (b"<!doctype html><script>alert(1)</script>", "not a JPEG"),
        "gif": (picture("GIF"), "not a JPEG"),
        "tiff": (picture("TIFF"), "not a JPEG"),
        "truncated jpeg": (big_jpeg[: len(big_jpeg) // 2], "damaged"),
        "truncated png": (noise[: len(noise) // 2], "damaged"),
        "truncated webp": (picture("WEBP", (500, 500))[:-40], "damaged"),
        "flipped png": (noise[:5000] + bytes([noise[5000] ^ 0xFF]) + noise[5001:], "damaged"),
        "jpeg header only": (b"\xff\xd8\xff\xe0" + bytes(200), "not a JPEG"),
        "51 megapixels": (png_with_header(10_200, 5_000), "megapixels"),
        "100 megapixels": (png_with_header(10_000, 10_000), "megapixels"),
        "4 gigapixels": (png_with_header(65_000, 65_000), "megapixels"),
        "text bomb": (png_with_text(), "damaged"),
        "animation": (animation(), "animated"),
    }


@pytest.mark.parametrize("name", hostile_files())
async def test_hostile_file_is_refused(api: CatalogApi, tmp_path: Path, name: str) -> None:
    """A file that is no usable picture is IMAGE_INVALID with the reason, and nothing of it is kept."""
    data, reason = hostile_files()[name]
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    error = await refusal(api.add_image(tenant_id, product_id, data))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_INVALID")
    assert reason in error.message
    assert [path for path in (tmp_path / "images").rglob("*") if path.is_file()] == []
    product = await api.products.GetProduct(GetProductRequest(tenant_id=tenant_id, product_id=product_id))
    assert product.product.version == 1


async def test_file_over_12_mib_is_refused(api: CatalogApi, tmp_path: Path) -> None:
    """A picture of exactly 12 MiB is taken; one byte more is IMAGE_INVALID."""
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    # Bytes behind a JPEG's end belong to the file but not to the picture.
    data = picture().ljust(12 << 20, b"\0")
    assert (await api.add_image(tenant_id, product_id, data)).images[0].size_bytes < 10_000
    error = await refusal(api.add_image(tenant_id, product_id, data + b"\0"))
    assert (error.reason, "12 MiB" in error.message) == ("IMAGE_INVALID", True)
    assert list((tmp_path / "images" / "incoming").iterdir()) == []


async def test_abandoned_upload_leaves_no_file(api: CatalogApi, tmp_path: Path) -> None:
    """A client that goes away in the middle leaves neither a file nor an image."""
    tenant_id = await api.new_tenant()
    product_id = (await api.new_product(tenant_id)).product_id
    messages = list(
        image_messages(tenant_id, product_id, picture(size=(900, 900)), new_id(), chunk_bytes=1000)
    )
    call = api.products.AddProductImage()
    incoming = tmp_path / "images" / "incoming"
    for message in messages[:3]:
        await call.write(message)
    await until(lambda: list(incoming.iterdir()) != [])
    call.cancel()
    await until(lambda: list(incoming.iterdir()) == [])
    assert await api.sql(f"SELECT count(*) FROM user_{tenant_id}.product_images") == [(0,)]
