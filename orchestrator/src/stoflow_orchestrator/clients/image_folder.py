"""Images in a folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from stoflow_orchestrator.clients.image_store import StoredImage, image_key

ABANDONED_AFTER_SECONDS = 3_600
CHUNK_BYTES = 256 * 1024


class ImageFolder:
    """A folder that all orchestrators share."""

    def __init__(self, root: Path) -> None:
        """Creates the folder where it is missing and removes uploads that a crash left behind.

        Args:
            root: Where images lie; only files of the store may be in it.
        """
        self._root = root
        # Inside the root, since a rename is atomic only within one file system.
        self._incoming = open_incoming(root)

    @property
    def incoming(self) -> Path:
        """A folder beside the images."""
        return self._incoming

    def path(self, tenant_id: int, sha256: str) -> Path:
        """Returns where an image lies, or would lie.

        Raises:
            ValueError: sha256 is not 64 lower-case hexadecimal digits.
        """
        return self._root / image_key(tenant_id, sha256)

    async def keep(self, tenant_id: int, sha256: str, file: Path) -> None:
        """Moves a file to its place, safe against a power loss."""
        await asyncio.to_thread(_move, file, self.path(tenant_id, sha256))

    async def find(self, tenant_id: int, sha256: str) -> StoredImage | None:
        """Returns an image of a tenant."""
        path = self.path(tenant_id, sha256)
        try:
            size_bytes = (await asyncio.to_thread(path.stat)).st_size
        except FileNotFoundError:
            return None
        return StoredImage(size_bytes, _read(path))


def open_incoming(root: Path) -> Path:
    """Makes the folder for files on their way in; what a crash left there an hour ago is removed."""
    incoming = root / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    # An hour: another orchestrator may be receiving this very file.
    oldest = time.time() - ABANDONED_AFTER_SECONDS
    for path in incoming.iterdir():
        try:
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path)
        except FileNotFoundError:
            # Another orchestrator was faster.
            continue
    return incoming


async def _read(path: Path) -> AsyncGenerator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
    finally:
        file.close()


def _move(file: Path, target: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    # Replacing a file that is there already puts the same bytes in its place.
    file.replace(target)
    # Without it the rename itself may be lost by a power loss after the database has committed.
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
