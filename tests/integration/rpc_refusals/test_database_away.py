"""Every public method says UNAVAILABLE, and when to try again, while the database cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.integration.rpc_refusals.calling import Answer, Caller
from tests.integration.rpc_refusals.conftest import open_world
from tests.integration.rpc_refusals.methods import public_methods
from tests.integration.rpc_refusals.world import World

UNAVAILABLE = "UNAVAILABLE UNAVAILABLE"


@pytest.fixture
def world_without_database(
    postgres_server: PostgresServer, nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world of its own, whose database has put everybody out and lets nobody in."""
    with open_world(postgres_server, nats_server, tmp_path_factory.mktemp("away")) as world:
        url = urlsplit(world.orchestrator.database_url)
        name = url.path.removeprefix("/")
        with psycopg.connect(url._replace(path="/postgres").geturl(), autocommit=True) as connection:
            shut = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            connection.execute(shut.format(sql.Identifier(name), sql.Literal(False)))
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            yield world
            connection.execute(shut.format(sql.Identifier(name), sql.Literal(True)))


async def test_every_method_is_unavailable_without_the_database(world_without_database: World) -> None:
    """No method says INTERNAL for a database that is away, since all may be repeated."""

    async def call(caller: Caller) -> tuple[str, Answer]:
        return str(caller.method), await caller.send(caller.request())

    callers = [Caller(world_without_database, method) for method in public_methods()]
    answers = dict(await asyncio.gather(*(call(caller) for caller in callers)))
    assert {name: answer.outcome for name, answer in answers.items() if answer.outcome != UNAVAILABLE} == {}
    assert all(answer.has_retry_delay for answer in answers.values())
