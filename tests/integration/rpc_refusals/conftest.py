"""Both services on one database that is at rest."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.integration.rpc_refusals.world import World, make_world
from tests.support.orchestrator import start_orchestrator


@pytest.fixture(scope="package")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A NATS of the package's own: services that outlive a test keep their streams."""
    with NatsServer(tmp_path_factory.mktemp("nats") / "store") as server:
        yield server


@pytest.fixture(scope="package")
def world(
    postgres_server: PostgresServer, nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The services, and something in every state."""
    with open_world(postgres_server, nats_server, tmp_path_factory.mktemp("refusals")) as opened:
        yield opened


@contextmanager
def open_world(postgres_server: PostgresServer, nats_server: NatsServer, folder: Path) -> Iterator[World]:
    """Starts the services on a new database and fills it."""
    url = postgres_server.create_database(f"refusals_{uuid.uuid4().hex}")
    with Supervisor(folder / "services") as supervisor:
        # Long leases: nothing here waits for one to end.
        orchestrator = start_orchestrator(supervisor, url, nats_server.url, folder, LEASE_SECONDS="30")
        environment = {**os.environ, "DATABASE_URL": url, "NATS_URL": nats_server.url}
        stats = supervisor.start("stats", [sys.executable, "-m", "stoflow_stats_service"], environment)
        yield make_world(orchestrator, stats.wait_ready()["grpc_address"], folder / "images")
