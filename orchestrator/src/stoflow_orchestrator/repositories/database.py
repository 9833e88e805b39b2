"""One engine for `public` and for every tenant's schema."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, Self

from psycopg.types.json import set_json_loads
from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.models.base import TENANT_SCHEMA
from stoflow_service_kit.database import connect_arguments, create_database_engine, sqlalchemy_url
from stoflow_service_kit.errors import UnavailableError
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

APPLICATION_NAME = "stoflow-orchestrator"
RETRY_AFTER_SECONDS = 1.0
# A few kilobytes each.
MAX_KEPT_ENGINES = 2_000


class Database:
    """Gives connections whose statements reach `public`, or one tenant's schema and `public`.

    The tenant is chosen by a translate map on the engine's own options: one set on a connection is lost after
    a commit, and SET search_path would leak into the next checkout of the connection.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Making one takes as long as a small statement.
        self._of_tenant = lru_cache(MAX_KEPT_ENGINES)(self._make_tenant_engine)

    @classmethod
    def connect(cls, database_url: str, *, pool_size: int = 5) -> Self:
        """Makes the engine; no connection is opened before it is needed.

        Args:
            database_url: `postgresql://…`.
            pool_size: Most connections; each one's catalogue cache grows with the schemas it has seen.
        """
        # Unprepared: each tenant's statements have their own text, and prepared ones would pile up unused.
        engine = create_database_engine(database_url, APPLICATION_NAME, pool_size=pool_size, prepare=False)
        event.listen(engine.sync_engine, "connect", _decode_json_fast)
        return cls(engine)

    def public(self) -> AsyncEngine:
        """Returns an engine for tables of `public`; a statement on a tenant's table fails on it."""
        return self._engine

    def tenant(self, tenant_id: int) -> AsyncEngine:
        """Returns an engine, of the same pool, for one tenant's tables and those of `public`."""
        return self._of_tenant(tenant_id, is_reading=False)

    def _make_tenant_engine(self, tenant_id: int, *, is_reading: bool) -> AsyncEngine:
        translation = {TENANT_SCHEMA: tenant_schema(tenant_id)}
        if is_reading:
            return self._engine.execution_options(
                schema_translate_map=translation, isolation_level="AUTOCOMMIT"
            )
        return self._engine.execution_options(schema_translate_map=translation)

    @asynccontextmanager
    async def public_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Opens a transaction on `public`.

        Raises:
            UnavailableError: PostgreSQL does not answer, or gave the transaction up.
        """
        with unavailable_when_unreachable():
            async with self.public().begin() as connection:
                yield connection

    @asynccontextmanager
    async def tenant_transaction(self, tenant_id: int) -> AsyncIterator[AsyncConnection]:
        """Opens a transaction on one tenant's schema and `public`.

        Raises:
            UnavailableError: PostgreSQL does not answer, or gave the transaction up.
        """
        with unavailable_when_unreachable():
            async with self.tenant(tenant_id).begin() as connection:
                yield connection

    @asynccontextmanager
    async def tenant_reading(self, tenant_id: int) -> AsyncIterator[AsyncConnection]:
        """Gives a connection for single statements that read; each sees what was committed before it.

        Raises:
            UnavailableError: PostgreSQL does not answer.
        """
        with unavailable_when_unreachable():
            async with self._of_tenant(tenant_id, is_reading=True).connect() as connection:
                yield connection

    async def close(self) -> None:
        """Closes every connection of the pool."""
        await self._engine.dispose()


def create_migration_engine(database_url: str) -> Engine:
    """Makes an engine for migrations, which run in threads: one connection a migration, closed after it."""
    return create_engine(
        sqlalchemy_url(database_url),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args=connect_arguments(f"{APPLICATION_NAME}-migrations", prepare=False),
    )


@contextmanager
def unavailable_when_unreachable() -> Iterator[None]:
    """Turns what a server that is away, restarts or breaks a deadlock causes into an error worth a retry."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        log.warning("database_unavailable", error=_describe(error))
        raise UnavailableError(
            "The database cannot be reached just now; repeat the call.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        ) from error


def _decode_json_fast(connection: Any, _record: object) -> None:
    set_json_loads(_load_json, connection.driver_connection)


def _load_json(data: str | bytes) -> Any:
    # Most values are empty, and json.loads of bytes first guesses their encoding: together most of the cost of
    # reading thousands of products.
    if data in (b"{}", b"[]"):
        return {} if data == b"{}" else []
    return json.loads(data if isinstance(data, str) else data.decode())


def _describe(error: Exception) -> str:
    # The driver's first line: what follows may quote values.
    cause = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
