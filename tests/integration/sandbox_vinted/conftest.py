"""A real Vinted sandbox in its own process, and a member of its own for each test."""

import sys
import uuid
from collections.abc import Iterator

import httpx
import pytest

from stoflow_sandbox.marketplaces.vinted.control import SeededMember, VintedSandboxControl
from stoflow_sandbox.processes import Supervisor

COMMAND = [sys.executable, "-m", "stoflow_sandbox.marketplaces.vinted"]


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one sandbox for the whole run."""
    with Supervisor(tmp_path_factory.mktemp("vinted-sandbox")) as supervisor:
        service = supervisor.start("vinted", COMMAND, {"HTTP_ADDRESS": "127.0.0.1:0"})
        yield f"http://{service.wait_ready()['http_address']}"


@pytest.fixture
def control(sandbox_url: str) -> Iterator[VintedSandboxControl]:
    """Control of the sandbox; no fault rule outlives its test."""
    with VintedSandboxControl(sandbox_url) as client:
        yield client
        client.clear_faults()


@pytest.fixture
def member(control: VintedSandboxControl) -> SeededMember:
    """A member that nobody else uses."""
    return control.seed_member(f"member-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def http(sandbox_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox_url, timeout=10, headers={"Origin": sandbox_url}) as client:
        yield client
