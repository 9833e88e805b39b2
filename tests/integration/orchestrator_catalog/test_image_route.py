"""GET /images/{sha256}, over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from stoflow_orchestrator.clients.image_folder import ImageFolder
from stoflow_orchestrator.http.images import image_route
from stoflow_orchestrator.services.image_addresses import LIFETIME, ImageAddresses, ImageSignatures
from stoflow_service_kit.clock import ManualClock
from stoflow_service_kit.http_server import HttpServer, create_app
from tests.integration.orchestrator_catalog.catalog_api import picture

KEY = bytes(range(32))


class Served:
    """A store with one picture of tenant 42, served."""

    def __init__(self, root: Path) -> None:
        self.clock = ManualClock()
        self.store = ImageFolder(root)
        # Of several chunks.
        self.data = picture("PNG").ljust(700_000, b"\0")
        self.sha256 = hashlib.sha256(self.data).hexdigest()
        signatures = ImageSignatures(KEY, self.clock)
        app = create_app(CollectorRegistry(), lambda: True, [image_route(self.store, signatures)])
        self.server = HttpServer("127.0.0.1:0", app)
        self.signatures = signatures

    async def start(self) -> None:
        file = self.store.incoming / "file"
        file.write_bytes(self.data)
        await self.store.keep(42, self.sha256, file)
        self.addresses = ImageAddresses(self.signatures, f"http://{await self.server.start()}")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    started = Served(tmp_path / "images")
    await started.start()
    yield started
    await started.server.stop()


async def get(url: str | httpx.URL, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, url)


async def test_signed_address_gives_the_bytes(served: Served) -> None:
    """A signed address gives the stored bytes as a picture that no browser takes for anything else."""
    response = await get(served.addresses.sign(42, served.sha256))
    assert response.status_code == 200
    assert response.content == served.data
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    head = await get(served.addresses.sign(42, served.sha256), "HEAD")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(served.data)))


@pytest.mark.parametrize("name", ["tenant", "expires", "signature"])
async def test_changed_address_is_forbidden(served: Served, name: str) -> None:
    """An address with any parameter changed, missing or strange is 403 and gives no bytes."""
    url = httpx.URL(served.addresses.sign(42, served.sha256))
    changed = ("43", "", "x" * 5000, "é", "-1", "9" * 400, "42\n", "../../x")
    for candidate in [*(url.copy_set_param(name, value) for value in changed), url.copy_remove_param(name)]:
        response = await get(candidate)
        assert response.status_code == 403
        assert served.data not in response.content


async def test_other_image_needs_its_own_signature(served: Served) -> None:
    """A signature serves one image only, and no path that is no SHA-256."""
    url = served.addresses.sign(42, served.sha256)
    for other, status in (
        (hashlib.sha256(b"").hexdigest(), 403),
        ("..%2F..%2Fetc%2Fpasswd", 404),
        ("x", 403),
    ):
        assert (await get(url.replace(served.sha256, other))).status_code == status


async def test_address_expires(served: Served) -> None:
    """An address serves until its end and is 403 from then on."""
    url = served.addresses.sign(42, served.sha256)
    await served.clock.advance(LIFETIME.total_seconds() - 1)
    assert (await get(url)).status_code == 200
    await served.clock.advance(1)
    assert (await get(url)).status_code == 403


async def test_unknown_image_is_not_found(served: Served) -> None:
    """A signed address of an image that is not stored for that tenant is 404."""
    assert (await get(served.addresses.sign(42, hashlib.sha256(b"").hexdigest()))).status_code == 404
    assert (await get(served.addresses.sign(43, served.sha256))).status_code == 404


async def test_other_methods_are_refused(served: Served) -> None:
    """The route only reads."""
    assert (await get(served.addresses.sign(42, served.sha256), "POST")).status_code == 405
