"""The folder of images, and files on their way into it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import pytest

from stoflow_orchestrator.clients.image_folder import ABANDONED_AFTER_SECONDS, ImageFolder
from stoflow_orchestrator.services.image_check import content_type_of
from stoflow_orchestrator.services.image_upload import ImageUpload


async def keep(store: ImageFolder, tenant_id: int, data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    file = store.incoming / "file"
    file.write_bytes(data)
    await store.keep(tenant_id, sha256, file)
    return sha256


async def read(store: ImageFolder, tenant_id: int, sha256: str) -> bytes | None:
    found = await store.find(tenant_id, sha256)
    if found is None:
        return None
    body = b"".join([chunk async for chunk in found.chunks])
    assert len(body) == found.size_bytes
    return body


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_same_bytes_are_kept_once_a_tenant(tmp_path: Path) -> None:
    """Keeping the same bytes twice leaves one file; another tenant has its own."""
    store = ImageFolder(tmp_path)
    sha256 = await keep(store, 1, b"picture")
    assert await keep(store, 1, b"picture") == sha256
    assert files(tmp_path) == [store.path(1, sha256)]
    assert await read(store, 2, sha256) is None
    await keep(store, 2, b"picture")
    assert len(files(tmp_path)) == 2
    assert await read(store, 1, sha256) == b"picture"


async def test_large_files_are_read_whole(tmp_path: Path) -> None:
    """A file of several chunks comes back byte by byte."""
    store = ImageFolder(tmp_path)
    data = os.urandom(1_000_001)
    assert await read(store, 1, await keep(store, 1, data)) == data


def test_upload_leaves_nothing_behind(tmp_path: Path) -> None:
    """Leaving an upload, by an error too, removes its bytes; its digest is that of what came."""
    with ImageUpload(tmp_path) as upload:
        upload.append(b"pic")
        upload.append(b"ture")
        upload.finish()
        assert upload.received.read_bytes() == b"picture"
        assert (upload.sha256, upload.size_bytes) == (hashlib.sha256(b"picture").digest(), 7)
        upload.cleaned.write_bytes(b"other")
    assert list(tmp_path.iterdir()) == []
    with contextlib.suppress(RuntimeError), ImageUpload(tmp_path) as upload:
        upload.append(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


async def test_only_digests_name_files(tmp_path: Path) -> None:
    """No other text is turned into a path."""
    store = ImageFolder(tmp_path)
    for name in ("../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", ""):
        with pytest.raises(ValueError, match="SHA-256"):
            await store.find(1, name)
        with pytest.raises(ValueError, match="SHA-256"):
            await store.keep(1, name, tmp_path / "file")


async def test_start_removes_abandoned_uploads_only(tmp_path: Path) -> None:
    """A new start removes what a crash left an hour ago, and not what another process is just receiving."""
    store = ImageFolder(tmp_path)
    sha256 = await keep(store, 1, b"picture")
    old, fresh = tmp_path / "incoming" / "old", tmp_path / "incoming" / "fresh"
    for folder in (old, fresh):
        folder.mkdir()
        (folder / "received").write_bytes(b"half")
    long_ago = time.time() - ABANDONED_AFTER_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    os.utime(store.path(1, sha256), (long_ago, long_ago))
    ImageFolder(tmp_path)
    assert set(files(tmp_path)) == {fresh / "received", store.path(1, sha256)}


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\xff\xd8\xff\xe0....JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"RIFF....WEBP", "image/webp"),
        (b"RIFF....WAVE", None),
        (b"<svg xmlns=", None),
        (b"", None),
    ],
)
def test_content_type_comes_from_the_bytes(head: bytes, content_type: str | None) -> None:
    """A stored file is served as what its first bytes say, and as nothing else."""
    assert content_type_of(head) == content_type
