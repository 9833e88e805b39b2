"""A real eBay sandbox in its own process, and a seller of its own for each test."""

import sys
import uuid
from collections.abc import Iterator

import httpx
import pytest

from stoflow_sandbox.marketplaces.control import SandboxControl
from stoflow_sandbox.processes import Supervisor
from tests.integration.sandbox_ebay.ebay_client import EbayClient

COMMAND = [sys.executable, "-m", "stoflow_sandbox.marketplaces.ebay"]


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one sandbox for the whole run."""
    with Supervisor(tmp_path_factory.mktemp("ebay-sandbox")) as supervisor:
        service = supervisor.start("ebay", COMMAND, {"HTTP_ADDRESS": "127.0.0.1:0"})
        yield f"http://{service.wait_ready()['http_address']}"


@pytest.fixture
def control(sandbox_url: str) -> Iterator[SandboxControl]:
    """Control of the sandbox; no fault rule outlives its test."""
    with SandboxControl(sandbox_url) as client:
        yield client
        client.clear_faults()


@pytest.fixture
def http(sandbox_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox_url, timeout=10) as client:
        yield client


@pytest.fixture
def ebay(control: SandboxControl, http: httpx.Client) -> EbayClient:
    """A client acting for a seller that nobody else uses."""
    seller = control.seed_seller(f"seller-{uuid.uuid4().hex}", client_id="app", client_secret="hush")
    return EbayClient(http, seller)
