"""The bytes of images, each stored once per tenant under its SHA-256, in a folder."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from stoflow_orchestrator.migrations.runner import tenant_schema

SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
ABANDONED_AFTER_SECONDS = 3_600


class ImageUpload:
    """A file on its way into the store; leaving its context without `keep` removes it."""

    def __init__(self, store: ImageStore, tenant_id: int, folder: Path) -> None:
        self._store = store
        self._tenant_id = tenant_id
        descriptor, name = tempfile.mkstemp(dir=folder)
        self._file = os.fdopen(descriptor, "wb")
        self.path = Path(name)
        self.size_bytes = 0
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> bytes:
        """Digest of what was appended so far."""
        return self._digest.digest()

    def append(self, chunk: bytes) -> None:
        """Adds bytes at the end."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    def finish(self) -> None:
        """Makes all appended bytes readable at `path`."""
        self._file.flush()

    def keep(self) -> str:
        """Moves the file to its place, safe against a power loss, and returns its SHA-256 in hexadecimal."""
        self._file.flush()
        os.fsync(self._file.fileno())
        sha256 = self._digest.hexdigest()
        target = self._store.path(self._tenant_id, sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Replacing a file that is there already puts the same bytes in its place.
        self.path.replace(target)
        _sync_folder(target.parent)
        return sha256

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


class ImageStore:
    """A folder that all orchestrators share.

    Tenants have folders of their own, so that neither the presence of a file nor its removal reaches another.
    """

    def __init__(self, root: Path) -> None:
        """Creates the folder where it is missing and removes uploads that a crash left behind.

        Args:
            root: Where images lie; only files of the store may be in it.
        """
        self._root = root
        # Inside the root, since a rename is atomic only within one file system.
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()

    def _remove_abandoned(self) -> None:
        # An hour: another orchestrator may be receiving this very file.
        oldest = time.time() - ABANDONED_AFTER_SECONDS
        for path in self._incoming.iterdir():
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                # Another orchestrator was faster.
                continue

    def path(self, tenant_id: int, sha256: str) -> Path:
        """Returns where an image lies, or would lie.

        Raises:
            ValueError: sha256 is not 64 lower-case hexadecimal digits.
        """
        if not SHA256_PATTERN.fullmatch(sha256):
            raise ValueError("not a SHA-256")
        return self._root / tenant_schema(tenant_id) / sha256[:2] / sha256

    def upload(self, tenant_id: int) -> ImageUpload:
        """Begins to receive a file."""
        return ImageUpload(self, tenant_id, self._incoming)


def _sync_folder(folder: Path) -> None:
    # Without it the rename itself may be lost by a power loss after the database has committed.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
