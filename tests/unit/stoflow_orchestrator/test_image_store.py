"""The folder of images."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import pytest

from stoflow_orchestrator.services.image_check import content_type_of
from stoflow_orchestrator.services.image_store import ABANDONED_AFTER_SECONDS, ImageStore


def keep(store: ImageStore, tenant_id: int, data: bytes) -> str:
    with store.upload(tenant_id) as upload:
        upload.append(data[:3])
        upload.append(data[3:])
        assert upload.sha256 == hashlib.sha256(data).digest()
        return upload.keep()


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_same_bytes_are_kept_once_a_tenant(tmp_path: Path) -> None:
    """Keeping the same bytes twice leaves one file; another tenant has its own."""
    store = ImageStore(tmp_path)
    sha256 = keep(store, 1, b"picture")
    assert keep(store, 1, b"picture") == sha256
    assert files(tmp_path) == [store.path(1, sha256)]
    keep(store, 2, b"picture")
    assert len(files(tmp_path)) == 2
    assert store.path(1, sha256).read_bytes() == b"picture"


def test_upload_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    """Leaving an upload without keeping it, by an error too, removes its bytes."""
    store = ImageStore(tmp_path)
    with store.upload(1) as upload:
        upload.append(b"half")
    assert files(tmp_path) == []
    with contextlib.suppress(RuntimeError), store.upload(1) as upload:
        upload.append(b"half")
        raise RuntimeError
    assert files(tmp_path) == []


def test_only_digests_name_files(tmp_path: Path) -> None:
    """No other text is turned into a path."""
    store = ImageStore(tmp_path)
    for name in ("../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", ""):
        with pytest.raises(ValueError, match="SHA-256"):
            store.path(1, name)


def test_start_removes_abandoned_uploads_only(tmp_path: Path) -> None:
    """A new start removes what a crash left an hour ago, and not what another process is just receiving."""
    store = ImageStore(tmp_path)
    sha256 = keep(store, 1, b"picture")
    old, fresh = tmp_path / "incoming" / "old", tmp_path / "incoming" / "fresh"
    for path in (old, fresh):
        path.write_bytes(b"half")
    long_ago = time.time() - ABANDONED_AFTER_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    os.utime(store.path(1, sha256), (long_ago, long_ago))
    ImageStore(tmp_path)
    assert set(files(tmp_path)) == {fresh, store.path(1, sha256)}


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
