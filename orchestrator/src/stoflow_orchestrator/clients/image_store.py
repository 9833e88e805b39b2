"""Where the bytes of images lie: under their SHA-256, for each tenant apart."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stoflow_orchestrator.migrations.runner import tenant_schema

SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that a store has.

    Attributes:
        size_bytes: Length of the whole.
        chunks: The bytes in order; closed when it is left early.
    """

    size_bytes: int
    chunks: AsyncGenerator[bytes]


class ImageStore(Protocol):
    """All orchestrators share one. What is kept is never changed: other bytes have another name."""

    @property
    def incoming(self) -> Path:
        """A local folder for files on their way in."""
        ...

    async def keep(self, tenant_id: int, sha256: str, file: Path) -> None:
        """Stores a file for good; it may be moved away. Keeping the same bytes again changes nothing.

        Raises:
            UnavailableError: The store cannot be reached.
        """
        ...

    async def find(self, tenant_id: int, sha256: str) -> StoredImage | None:
        """Returns an image of a tenant; None when there is none.

        Raises:
            ValueError: sha256 is not 64 lower-case hexadecimal digits.
            UnavailableError: The store cannot be reached.
        """
        ...


def image_key(tenant_id: int, sha256: str) -> str:
    """Names an image within a store: tenants are apart, so that no removal reaches another's.

    Raises:
        ValueError: sha256 is not 64 lower-case hexadecimal digits.
    """
    if not SHA256_PATTERN.fullmatch(sha256):
        raise ValueError("not a SHA-256")
    return f"{tenant_schema(tenant_id)}/{sha256[:2]}/{sha256}"
