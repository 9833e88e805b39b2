"""A real Etsy sandbox in its own process, and a seller of its own for each test."""

import sys
import uuid
from collections.abc import Iterator

import httpx
import pytest

from stoflow_sandbox.marketplaces.etsy.control import EtsySandboxControl
from stoflow_sandbox.processes import Supervisor
from tests.integration.sandbox_etsy.etsy_client import EtsyClient

COMMAND = [sys.executable, "-m", "stoflow_sandbox.marketplaces.etsy"]


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one sandbox for the whole run."""
    with Supervisor(tmp_path_factory.mktemp("etsy-sandbox")) as supervisor:
        service = supervisor.start("etsy", COMMAND, {"HTTP_ADDRESS": "127.0.0.1:0"})
        yield f"http://{service.wait_ready()['http_address']}"


@pytest.fixture
def control(sandbox_url: str) -> Iterator[EtsySandboxControl]:
    """Control of the sandbox; no fault rule outlives its test."""
    with EtsySandboxControl(sandbox_url) as client:
        yield client
        client.clear_faults()


@pytest.fixture
def http(sandbox_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox_url, timeout=10) as client:
        yield client


@pytest.fixture
def etsy(control: EtsySandboxControl, http: httpx.Client) -> EtsyClient:
    """A client acting for a seller that nobody else uses."""
    name = f"seller-{uuid.uuid4().hex}"
    return EtsyClient(http, control.seed_shop(name, client_id=f"key-{name}", client_secret="hush"))
