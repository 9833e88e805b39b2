"""A file on its way into the image store."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class ImageUpload:
    """Two files in a folder of their own: what was received, and what becomes of it.

    Leaving the context removes what is left of both.
    """

    def __init__(self, incoming: Path) -> None:
        """Begins to receive a file.

        Args:
            incoming: The store's folder for such files.
        """
        self._folder = Path(tempfile.mkdtemp(dir=incoming))
        self.received = self._folder / "received"
        self.cleaned = self._folder / "cleaned"
        self._file = self.received.open("wb")
        self._digest = hashlib.sha256()
        self.size_bytes = 0

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
        """Makes all appended bytes readable at `received`."""
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        shutil.rmtree(self._folder)
