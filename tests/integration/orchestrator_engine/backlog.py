"""Backlogs written straight into the tables, and admission run on them without a connector."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.admission import Admission
from stoflow_orchestrator.engine.publication import Publication
from stoflow_orchestrator.migrations.runner import upgrade_public
from stoflow_orchestrator.repositories.admission import FIND, LOOK_BEYOND, lock
from stoflow_orchestrator.repositories.database import create_migration_engine
from stoflow_service_kit.database import create_connection_pool

MARKET = "ebay"

_GATES: LiteralString = """
    INSERT INTO public.account_gates (account_id, tenant_id, marketplace, state)
    SELECT md5('account ' || t)::uuid, t, %(market)s, 'CONNECTED' FROM generate_series(%(first)s::int, %(last)s) AS t
        ON CONFLICT DO NOTHING"""

_JOBS: LiteralString = """
    WITH jobs AS (
        INSERT INTO public.live_jobs (job_id, tenant_id, marketplace, account_id, product_id, site, action,
            manifest_version, assignment, priority, max_retries, state, run, task_position, event_sequence, next_time,
            expire_time, create_time)
        SELECT gen_random_uuid(), t, %(market)s, md5('account ' || t)::uuid, gen_random_uuid(), '', 'publish', '1', '',
               %(priority)s, 3, 'PENDING', 1, 0, 1, now(), now() + interval '1 day', now()
          FROM generate_series(1, %(jobs)s) AS n, generate_series(%(first)s::int, %(last)s) AS t
        RETURNING job_id
    )
    INSERT INTO public.live_tasks (task_id, job_id, position, name, start_to_close_seconds, state, attempt_count,
                                   failure_count, dispatch)
    SELECT gen_random_uuid(), job_id, 0, 'only', 30, 'PENDING', 0, 0, 0 FROM jobs"""

_CONNECTOR: LiteralString = """
    INSERT INTO public.connector_instances (instance_id, marketplace, versions, slots, expire_time)
    VALUES (%(instance)s, %(market)s, '{1}', %(slots)s, now() + interval '1 day')
        ON CONFLICT (instance_id) DO UPDATE SET slots = excluded.slots"""

_FINISH: LiteralString = """
    UPDATE public.live_jobs SET state = 'COMPLETED', finish_time = now(), admit_time = NULL
     WHERE job_id = ANY(SELECT job_id FROM public.live_jobs WHERE admit_time IS NOT NULL
                         ORDER BY admit_time, sequence LIMIT %s)"""

INSTANCE = uuid.uuid4()


@dataclass
class Backlog:
    """A database with jobs, and an admission that serves it."""

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    admission: Admission
    published: list[Publication] = field(default_factory=list)

    async def execute(self, statement: LiteralString, **parameters: Any) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(statement, {"market": MARKET, **parameters})
            return await cursor.fetchall() if cursor.description else []

    async def add_jobs(self, tenants: range, jobs: int, priority: int = 3) -> None:
        values = {"first": tenants[0], "last": tenants[-1], "jobs": jobs, "priority": priority}
        await self.execute(_GATES, **values)
        await self.execute(_JOBS, **values)

    async def set_slots(self, slots: int) -> None:
        await self.execute(_CONNECTOR, instance=INSTANCE, slots=slots)

    async def analyze(self) -> None:
        async with self.pool.connection() as connection:
            await connection.execute("ANALYZE")

    async def finish(self, count: int) -> None:
        """Ends the jobs that hold a slot longest."""
        async with self.pool.connection() as connection:
            await connection.execute(_FINISH, (count,))

    async def admitted(self) -> dict[int, int]:
        """Returns, by tenant, how many jobs were ever admitted."""
        rows = await self.execute(
            "SELECT tenant_id, count(*) FROM public.live_jobs WHERE start_time IS NOT NULL GROUP BY tenant_id"
        )
        return dict(rows)

    async def timed_pass(self, *tenants: int) -> float:
        """Runs one pass; returns its milliseconds."""
        started = time.perf_counter()
        await self.admission.admit(MARKET, tenants)
        return (time.perf_counter() - started) * 1000

    async def explain(self, *tenants: int) -> dict[str, Any]:
        """Runs the search of a pass and returns its plan with buffers."""
        parameters = {"marketplace": MARKET, "tenants": list(tenants), "limit": 200, "beyond": LOOK_BEYOND}
        async with self.pool.connection() as connection:
            await lock(connection, MARKET)
            statement = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ") + sql.SQL(FIND)
            cursor = await connection.execute(statement, parameters)
            row = await cursor.fetchone()
        assert row is not None
        plan: dict[str, Any] = row[0][0]
        return plan


@asynccontextmanager
async def open_backlog(database_url: str) -> AsyncIterator[Backlog]:
    engine = create_migration_engine(database_url)
    await asyncio.to_thread(upgrade_public, engine)
    engine.dispose()
    pool = create_connection_pool(database_url, "backlog", max_size=2, check=False)
    await pool.open()
    published: list[Publication] = []
    try:
        yield Backlog(pool, Admission(pool, published.append), published)
    finally:
        await pool.close()


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns every node of a plan."""
    found = [plan]
    for child in plan.get("Plans", ()):
        found += nodes(child)
    return found
