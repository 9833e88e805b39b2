import asyncio

import psycopg
import pytest
import structlog
from sqlalchemy import text

from stoflow_sandbox.servers import PostgresServer
from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.database import (
    create_connection_pool,
    create_database_engine,
    create_sync_database_engine,
    database_address,
    wait_for_database,
)

FAST = Backoff(initial_seconds=0.05, maximum_seconds=0.2)


async def test_engines_and_pool_reach_the_database(database_url: str) -> None:
    """The asyncio engine, the synchronous engine and the pool run a query under their application name."""
    query = "SELECT current_setting('application_name')"
    engine = create_database_engine(database_url, "kit-test", pool_size=1)
    async with engine.connect() as connection:
        assert (await connection.execute(text(query))).scalar_one() == "kit-test"
    await engine.dispose()
    sync_engine = create_sync_database_engine(database_url, "kit-migrations")
    with sync_engine.connect() as sync_connection:
        assert sync_connection.execute(text(query)).scalar_one() == "kit-migrations"
    sync_engine.dispose()
    pool = create_connection_pool(database_url, "kit-pool", max_size=1)
    await pool.open()
    async with pool.connection() as pooled:
        row = await (await pooled.execute(query)).fetchone()
        assert row == ("kit-pool",)
    await pool.close()


@pytest.mark.parametrize(("prepare", "expected"), [(False, 0), (True, 1)])
async def test_statements_are_prepared_only_where_asked(
    database_url: str, prepare: bool, expected: int
) -> None:
    """After ten repetitions the server holds a prepared statement only if preparing was asked for."""
    engine = create_database_engine(database_url, "kit-test", pool_size=1, prepare=prepare)
    async with engine.connect() as connection:
        for number in range(10):
            await connection.execute(text("SELECT :n + 1"), {"n": number})
        count = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%+ 1%'"
        assert (await connection.execute(text(count))).scalar_one() == expected
    await engine.dispose()


async def test_a_pool_survives_the_end_of_its_connections(database_url: str) -> None:
    """After the server dropped every connection, engine and pool answer the next query without an error."""
    engine = create_database_engine(database_url, "kit-test", pool_size=1)
    pool = create_connection_pool(database_url, "kit-pool", max_size=1)
    await pool.open()
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    async with pool.connection() as pooled:
        await pooled.execute("SELECT 1")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as killer:
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'kit-%'"
        )
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT 2"))).scalar_one() == 2
    async with pool.connection() as pooled:
        assert await (await pooled.execute("SELECT 2")).fetchone() == (2,)
    await pool.close()
    await engine.dispose()


async def test_errors_show_no_parameters(database_url: str) -> None:
    """A failing statement's error text holds none of its values."""
    engine = create_database_engine(database_url, "kit-test")
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="no_such_table") as caught:
            await connection.execute(text("INSERT INTO no_such_table VALUES (:v)"), {"v": "hunter2"})
    assert "hunter2" not in str(caught.value)
    await engine.dispose()


async def test_waits_for_a_database_that_starts_later_and_names_it_without_its_password(
    postgres_server: PostgresServer,
) -> None:
    """Failures name host, port and database and no password; a database made meanwhile ends the wait."""
    name = "made_later"
    url = postgres_server.create_database(name)
    postgres_server.drop_database(name)
    with structlog.testing.capture_logs() as logged:
        waiting = asyncio.create_task(wait_for_database(url, backoff=FAST))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        postgres_server.create_database(name)
        async with asyncio.timeout(5):
            await waiting
    postgres_server.drop_database(name)
    password = psycopg.conninfo.conninfo_to_dict(url)["password"]
    assert password
    assert str(password) not in str(logged)
    assert {line["address"] for line in logged} == {database_address(url)}
    assert database_address(url).endswith(f"/{name}")
    assert logged[0]["event"] == "server_unreachable"
    assert logged[-1]["event"] == "server_reachable"
