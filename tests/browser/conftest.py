"""Sandbox site, gateway and photos for browsers."""

from __future__ import annotations

import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stoflow_sandbox.marketplaces.vinted.control import SeededMember, VintedSandboxControl
from stoflow_sandbox.processes import Supervisor
from tests.browser.chromium import configure, find_chromium
from tests.browser.photos import PhotoServer
from tests.browser.plain_gateway import PlainGateway
from tests.unit.stoflow_sandbox.marketplaces.vinted_member import png


@pytest.fixture(scope="session")
def site_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one Vinted sandbox for the whole run."""
    find_chromium()
    command = [sys.executable, "-m", "stoflow_sandbox.marketplaces.vinted"]
    with Supervisor(tmp_path_factory.mktemp("vinted-site")) as supervisor:
        service = supervisor.start("vinted", command, {"HTTP_ADDRESS": "127.0.0.1:0"})
        yield f"http://{service.wait_ready()['http_address']}"


@pytest.fixture
def control(site_url: str) -> Iterator[VintedSandboxControl]:
    with VintedSandboxControl(site_url) as client:
        yield client
        client.clear_faults()


@pytest.fixture
def member(control: VintedSandboxControl) -> SeededMember:
    """A member that nobody else uses."""
    return control.seed_member(f"member-{uuid.uuid4().hex[:12]}")


@pytest.fixture
async def gateway() -> AsyncIterator[PlainGateway]:
    async with PlainGateway() as running:
        yield running


@pytest.fixture
async def photos() -> AsyncIterator[PhotoServer]:
    async with PhotoServer({"one.png": png()}) as running:
        yield running


@pytest.fixture
def extension(tmp_path: Path, gateway: PlainGateway, photos: PhotoServer, site_url: str) -> Path:
    """The extension, configured for this test's gateway, site and photos."""
    return configure(tmp_path, gateway.url, [site_url], [photos.origin])
