"""One database for every example of every profile."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from stoflow_sandbox.servers import PostgresServer
from tests.model.engine.engine import Place
from tests.model.engine.machine import EngineMachine


@pytest.fixture(scope="session")
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    name = f"model_{uuid.uuid4().hex}"
    opened = Place.open(postgres_server.create_database(name))
    EngineMachine.place = opened
    yield opened
    opened.close()
    postgres_server.drop_database(name)
