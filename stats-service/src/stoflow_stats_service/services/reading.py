"""Reading from the database on behalf of a caller."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stoflow_service_kit.errors import UnavailableError

RETRY_AFTER_SECONDS = 1.0


@asynccontextmanager
async def reading(engine: AsyncEngine, *, may_write: bool = False) -> AsyncIterator[AsyncConnection]:
    """Lends a connection, whose statements all see the same state unless it may write.

    Raises:
        UnavailableError: The database does not answer; the same call may succeed later.
    """
    try:
        # A rebuild may take over between two statements; they must not see figures of two generations. Whoever
        # writes waits for locks first, and must then see what was written meanwhile.
        level = "READ COMMITTED" if may_write else "REPEATABLE READ"
        async with engine.execution_options(isolation_level=level).connect() as connection:
            yield connection
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise UnavailableError(
            "The statistics cannot be read now.", retry_after_seconds=RETRY_AFTER_SECONDS
        ) from error
