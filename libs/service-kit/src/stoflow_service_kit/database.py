"""PostgreSQL: engines, pools, and waiting for the server. Needs the extra `database`."""

import select
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stoflow_service_kit.backoff import Backoff
from stoflow_service_kit.clock import Clock
from stoflow_service_kit.settings import join_host_port
from stoflow_service_kit.startup import retry_until_reachable

# With thousands of tenant schemas one connection's catalogue cache grows to hundreds of megabytes.
CONNECTION_LIFETIME_SECONDS = 1_800
CONNECT_TIMEOUT_SECONDS = 5
# A connection used more lately than this, on which nothing has arrived, is taken to be alive: a ping costs as much as a
# small query.
RESTED_SECONDS = 1.0


def database_address(database_url: str) -> str:
    """Returns `host:port/database`, for logs: no user and no password."""
    parts = urlsplit(database_url)
    return f"{join_host_port(parts.hostname or 'localhost', parts.port or 5432)}{parts.path}"


def sqlalchemy_url(database_url: str) -> URL:
    """Returns the URL for SQLAlchemy with psycopg 3, which serves synchronous and asyncio engines alike."""
    return make_url(database_url).set(drivername="postgresql+psycopg")


def connect_arguments(application_name: str, *, prepare: bool) -> dict[str, Any]:
    """Returns psycopg's connection arguments.

    Args:
        application_name: Shown in pg_stat_activity.
        prepare: Whether psycopg prepares repeated statements. Where statements name tenant schemas it must
            not: each schema makes its own statements, and a prepared one pins its plan on the server.
    """
    arguments: dict[str, Any] = {
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        # Finds a server that vanished without closing the connection in about 25 seconds, not two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    if not prepare:
        arguments["prepare_threshold"] = None
    return arguments


def create_database_engine(
    database_url: str, application_name: str, *, pool_size: int = 5, prepare: bool = False, **options: Any
) -> AsyncEngine:
    """Makes an asyncio engine with a small pool that never overflows.

    Args:
        database_url: `postgresql://…`.
        application_name: Shown in pg_stat_activity.
        pool_size: Most connections.
        prepare: See `connect_arguments`.
        options: Passed to SQLAlchemy.
    """
    engine = create_async_engine(
        sqlalchemy_url(database_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_recycle=CONNECTION_LIFETIME_SECONDS,
        # Values in errors are tenants' data and, on some tables, credentials.
        hide_parameters=True,
        connect_args=connect_arguments(application_name, prepare=prepare),
        **options,
    )
    _ping_rested_connections(engine.sync_engine)
    return engine


def _ping_rested_connections(engine: Engine) -> None:
    """A restarted server leaves dead connections in the pool; without a ping each one fails a request."""

    def note(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def ping(connection: Any, record: Any, _proxy: Any) -> None:
        is_fresh = time.monotonic() - record.info.get("used_at", 0.0) < RESTED_SECONDS
        if is_fresh and not _is_readable(connection.driver_connection.fileno()):
            return
        dialect = engine.dialect
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            # The pool then opens new connections by itself, the one asked for first.
            raise InvalidatePoolError from error

    event.listen(engine, "connect", note)
    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ping)


def _is_readable(descriptor: int) -> bool:
    """Tells whether bytes, or the end of the connection, have arrived."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def create_sync_database_engine(database_url: str, application_name: str, **options: Any) -> Engine:
    """Makes a synchronous engine, for migrations."""
    return create_engine(
        sqlalchemy_url(database_url),
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
        connect_args=connect_arguments(application_name, prepare=False),
        **options,
    )


def create_connection_pool(
    database_url: str,
    application_name: str,
    *,
    min_size: int = 1,
    max_size: int = 4,
    prepare: bool = True,
    autocommit: bool = False,
    check: bool = True,
    settings: Mapping[str, str] | None = None,
) -> AsyncConnectionPool:
    """Makes a psycopg pool, closed: `await pool.open()`, and `await pool.close()` at the end.

    Args:
        database_url: `postgresql://…`.
        application_name: Shown in pg_stat_activity.
        min_size: Connections kept open.
        max_size: Most connections.
        prepare: See `connect_arguments`.
        autocommit: Whether each statement is its own transaction unless one is opened.
        check: Whether a connection is tried before it is handed out. It costs a round trip; without it each
            connection that a restart of the server has cut fails once.
        settings: Configuration parameters of its sessions.
    """
    options = " ".join(f"-c {name}={value}" for name, value in (settings or {}).items())
    return AsyncConnectionPool(
        database_url,
        min_size=min_size,
        max_size=max_size,
        open=False,
        name=application_name,
        timeout=10,
        max_lifetime=CONNECTION_LIFETIME_SECONDS,
        check=AsyncConnectionPool.check_connection if check else None,
        kwargs={
            **connect_arguments(application_name, prepare=prepare),
            "autocommit": autocommit,
            "options": options,
        },
    )


async def wait_for_database(
    database_url: str, *, backoff: Backoff | None = None, clock: Clock | None = None
) -> None:
    """Waits until PostgreSQL answers a query, for as long as it takes; logs each failure with the address."""

    async def attempt() -> None:
        connection = await psycopg.AsyncConnection.connect(
            database_url, connect_timeout=CONNECT_TIMEOUT_SECONDS, autocommit=True
        )
        async with connection:
            await connection.execute("SELECT 1")

    await retry_until_reachable(
        "PostgreSQL",
        database_address(database_url),
        attempt,
        retry_on=(psycopg.OperationalError, OSError, TimeoutError),
        backoff=backoff,
        clock=clock,
    )
