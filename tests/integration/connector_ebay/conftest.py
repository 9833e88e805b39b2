"""The eBay connector's own runtime between a real orchestrator and a real eBay sandbox."""

from __future__ import annotations

import sys
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from stoflow_sandbox.marketplaces.control import AsyncSandboxControl
from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.integration.connector_ebay.selling import EbayShop
from tests.support.orchestrator import OrchestratorProcess, Stubs, start_orchestrator


@pytest.fixture(scope="module")
def orchestrator(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OrchestratorProcess]:
    folder = tmp_path_factory.mktemp("engine")
    url = postgres_server.create_database(f"ebay_{uuid.uuid4().hex}")
    with NatsServer(folder / "nats") as nats, Supervisor(folder / "services") as supervisor:
        yield start_orchestrator(supervisor, url, nats.url, folder, LEASE_SECONDS="3")


@pytest.fixture(scope="module")
def ebay_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = [sys.executable, "-m", "stoflow_sandbox.marketplaces.ebay"]
    with Supervisor(tmp_path_factory.mktemp("ebay")) as supervisor:
        service = supervisor.start("ebay", command, {"HTTP_ADDRESS": "127.0.0.1:0"})
        yield f"http://{service.wait_ready()['http_address']}"


@pytest.fixture
async def shop(orchestrator: OrchestratorProcess, ebay_url: str) -> AsyncIterator[EbayShop]:
    """A tenant and a seller who have nothing to do with each other yet."""
    stubs = Stubs(orchestrator.grpc_address)
    async with AsyncSandboxControl(ebay_url) as control:
        username = f"seller-{uuid.uuid4().hex[:12]}"
        seller = await control.seed_seller(username, client_id="StoFlow", client_secret="hush-hush")
        shop = EbayShop(orchestrator, stubs, control, seller)
        shop.tenant_id = await stubs.create_tenant()
        yield shop
    await stubs.close()
