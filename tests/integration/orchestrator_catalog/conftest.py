"""The orchestrator's catalogue half behind a real gRPC server, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.orchestrator_catalog.catalog_api import CatalogApi


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[CatalogApi]:
    """The services, served on a free port, with `public` migrated and no tenant."""
    started = await CatalogApi.start(database_url, tmp_path / "images")
    yield started
    await started.stop()
