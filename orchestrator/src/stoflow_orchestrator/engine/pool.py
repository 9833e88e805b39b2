"""The pool of the hot path, and what its failures mean to callers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import psycopg.errors
import structlog
from psycopg_pool import PoolTimeout

from stoflow_service_kit.errors import UnavailableError

log = structlog.get_logger(__name__)

# These concern single rows: the group is taken apart and most of it succeeds.
_OF_SINGLE_ROWS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


@contextmanager
def unavailable_when_unreachable() -> Iterator[None]:
    """Turns a database that is away into an error that callers may repeat; halving a group would not help."""
    try:
        yield
    except _OF_SINGLE_ROWS:
        raise
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        log.warning(
            "database_unavailable", error=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        )
        raise UnavailableError(
            "The database cannot be reached just now; repeat the call.", retry_after_seconds=1.0
        ) from error
