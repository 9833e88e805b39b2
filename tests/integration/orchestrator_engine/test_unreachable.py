"""What callers are told while the database cannot be reached."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.committer import Committer
from stoflow_orchestrator.services.batch_control import BatchControl
from stoflow_orchestrator.services.planning import Planner
from stoflow_service_kit.clock import SystemClock
from stoflow_service_kit.errors import UnavailableError

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@pytest.fixture
async def pool_without_server() -> AsyncIterator[Pool]:
    """Connections to a port at which nothing listens."""
    pool: Pool = AsyncConnectionPool("host=127.0.0.1 port=1", min_size=0, max_size=1, timeout=0.2, open=False)
    await pool.open()
    yield pool
    await pool.close()


async def test_manifest_that_cannot_be_read_is_unavailable(pool_without_server: Pool) -> None:
    """CreateJob and CreateBatch ask for the manifest first; they may be repeated."""
    with pytest.raises(UnavailableError):
        await Planner(pool_without_server, SystemClock()).get_manifest("ebay")


async def test_jobs_of_a_cancelled_batch_that_cannot_be_read_are_unavailable(
    pool_without_server: Pool,
) -> None:
    """CancelBatch that loses the database after its first commit may be repeated."""
    nobody = cast("Any", None)
    committer = cast("Committer", None)
    control = BatchControl(nobody, pool_without_server, committer, nobody)
    with pytest.raises(UnavailableError):
        await control._cancel_jobs(1, uuid.uuid4())
