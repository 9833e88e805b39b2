"""The pool of the hot path, and what its failures mean to callers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
import psycopg.errors
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from stoflow_service_kit.errors import UnavailableError

log = structlog.get_logger(__name__)

# Statements of the hot path name rows by their keys, a hundred at a time. Planned from statistics, which lag behind
# tables that fill and empty all day, they now and then read a whole table; planned for each call, planning costs more
# than running them.
HOT_PATH_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}

# These concern single rows: the group is taken apart and most of it succeeds.
_OF_SINGLE_ROWS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


@contextmanager
def unavailable_when_unreachable(*, is_single: bool = True) -> Iterator[None]:
    """Turns a database that is away into an error that callers may repeat; halving a group would not help.

    Args:
        is_single: Whether the work cannot be taken apart: then locks held by others are such an error as well.
    """
    try:
        yield
    except _OF_SINGLE_ROWS as error:
        if not is_single:
            raise
        log.warning("rows_locked", error=type(error).__name__)
        raise UnavailableError(
            "The rows are in use just now; repeat the call.", retry_after_seconds=0.5
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        log.warning(
            "database_unavailable", error=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        )
        raise UnavailableError(
            "The database cannot be reached just now; repeat the call.", retry_after_seconds=1.0
        ) from error


@asynccontextmanager
async def transaction(pool: AsyncConnectionPool[AsyncConnection[Any]]) -> AsyncIterator[AsyncConnection[Any]]:
    """Opens a transaction in a pipeline: statements wait for the server only where an answer is read, and at the end.

    A statement that fails makes the whole transaction fail, at the next answer that is read or at the end.
    """
    async with pool.connection() as connection, connection.pipeline(), connection.transaction():
        yield connection
