"""Transactions of the hot path: answers and errors of statements in a pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg.errors
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.pool import transaction
from stoflow_service_kit.database import create_connection_pool

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened: Pool = create_connection_pool(database_url, "pool", max_size=1, check=False)
    await opened.open()
    async with opened.connection() as connection:
        await connection.execute("CREATE TABLE kept (number int PRIMARY KEY)")
    yield opened
    await opened.close()


async def kept(pool: Pool) -> list[int]:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT number FROM kept ORDER BY number")
        return [row[0] for row in await cursor.fetchall()]


async def test_answers_may_be_read_in_any_order(pool: Pool) -> None:
    """Statements are sent before the answers to those before them are read."""
    async with transaction(pool) as connection:
        first = await connection.execute("INSERT INTO kept VALUES (1) RETURNING number")
        second = await connection.execute("SELECT 2")
        assert (await second.fetchall(), await first.fetchall()) == ([(2,)], [(1,)])
        await connection.execute("INSERT INTO kept VALUES (3)")
    assert await kept(pool) == [1, 3]


async def test_statement_that_nobody_reads_fails_the_transaction_at_its_end(pool: Pool) -> None:
    """Its error is raised, nothing of the transaction stays, and the connection is fit for the next one."""

    async def insert_twice() -> None:
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            await connection.execute("INSERT INTO kept VALUES (1)")

    with pytest.raises(psycopg.errors.UniqueViolation):
        await insert_twice()
    async with transaction(pool) as connection:
        await connection.execute("INSERT INTO kept VALUES (2)")
    assert await kept(pool) == [2]


async def test_statement_that_fails_is_told_where_an_answer_is_read(pool: Pool) -> None:
    """What was sent before it is undone as well."""

    async def divide() -> None:
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO kept VALUES (1)")
            cursor = await connection.execute("SELECT 1 / 0")
            await cursor.fetchall()

    with pytest.raises(psycopg.errors.DivisionByZero):
        await divide()
    assert await kept(pool) == []


async def test_error_of_the_caller_undoes_what_was_sent_and_what_was_not(pool: Pool) -> None:
    """A transaction that is left by an exception leaves nothing behind."""

    async def fail() -> None:
        async with transaction(pool) as connection:
            await (await connection.execute("INSERT INTO kept VALUES (1) RETURNING number")).fetchall()
            await connection.execute("INSERT INTO kept VALUES (2)")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await kept(pool) == []


async def test_same_statement_many_times_is_prepared(pool: Pool) -> None:
    """Answers stay right when statements are prepared on the way."""
    for number in range(20):
        async with transaction(pool) as connection:
            cursors = [await connection.execute("SELECT %s::int + 1", (number + i,)) for i in range(3)]
            assert [(await cursor.fetchall())[0][0] for cursor in cursors] == [
                number + i + 1 for i in range(3)
            ]
