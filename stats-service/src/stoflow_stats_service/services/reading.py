"""Reading from the database on behalf of a caller."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from stoflow_service_kit.errors import UnavailableError

RETRY_AFTER_SECONDS = 1.0


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Lends a connection.

    Raises:
        UnavailableError: The database does not answer; the same call may succeed later.
    """
    try:
        async with engine.connect() as connection:
            yield connection
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise UnavailableError(
            "The statistics cannot be read now.", retry_after_seconds=RETRY_AFTER_SECONDS
        ) from error
