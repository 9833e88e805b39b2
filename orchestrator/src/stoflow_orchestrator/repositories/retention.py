"""Deletes what is past its age, a few rows a statement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, LiteralString

from psycopg import AsyncConnection, sql

from stoflow_orchestrator.migrations.runner import tenant_schema

Connection = AsyncConnection[Any]

# Held by one transaction at a time, so that several orchestrators do not do the same work side by side.
_TRY_LOCK: LiteralString = "SELECT pg_try_advisory_xact_lock(hashtextextended('retention', 0))"

_LIST_TENANTS: LiteralString = """
    SELECT tenant_id FROM public.tenants WHERE tenant_id > %s AND state = 'READY' ORDER BY tenant_id LIMIT %s"""

# Ids begin with the millisecond of their creation, which is before their end: the bound spares the newer ones, an hour
# for clocks that disagree. Whoever retries a job at this moment holds its row. Tasks and events go with their job.
_DELETE_JOBS = sql.SQL("""
    WITH bounds AS (
        SELECT now() - %(age)s::interval AS before,
               rpad(lpad(to_hex((extract(epoch FROM now() - %(age)s::interval + interval '1 hour') * 1000)::bigint),
                         12, '0'), 32, '0')::uuid AS before_id
    ), gone AS (
        DELETE FROM {jobs} AS j
         WHERE j.job_id = ANY(ARRAY(SELECT o.job_id FROM bounds AS b, {jobs} AS o
                                     WHERE o.job_id < b.before_id AND o.finish_time < b.before
                                     ORDER BY o.job_id LIMIT %(limit)s FOR UPDATE OF o SKIP LOCKED))
        RETURNING j.job_id
    ), letters AS (
        DELETE FROM public.dead_letters AS d USING gone WHERE d.job_id = gone.job_id
    )
    SELECT count(*) FROM gone""")

_DELETE_BATCHES = sql.SQL("""
    DELETE FROM {batches} AS b
     WHERE b.batch_id = ANY(ARRAY(SELECT o.batch_id FROM {batches} AS o
                                   WHERE o.finish_time < now() - %(age)s::interval
                                     AND NOT EXISTS (SELECT 1 FROM {jobs} AS j WHERE j.batch_id = o.batch_id)
                                   ORDER BY o.batch_id LIMIT %(limit)s FOR UPDATE OF o SKIP LOCKED))""")

# With what could not be published in all that time: nobody would miss it any more.
_DELETE_EVENTS: LiteralString = """
    WITH gone AS (
        DELETE FROM public.result_events
         WHERE message_id = ANY(ARRAY(SELECT message_id FROM public.result_events
                                       WHERE create_time < now() - %(age)s::interval
                                       ORDER BY create_time LIMIT %(limit)s))
        RETURNING message_id
    ), left_over AS (
        DELETE FROM public.outbox AS o USING gone WHERE o.message_id = gone.message_id
    )
    SELECT count(*) FROM gone"""

_DELETE_REQUESTS: LiteralString = """
    DELETE FROM public.mutation_requests AS m
     USING (SELECT tenant_id, request_id FROM public.mutation_requests
             WHERE create_time < now() - %(age)s::interval
             ORDER BY create_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS o
     WHERE m.tenant_id = o.tenant_id AND m.request_id = o.request_id"""

_DELETE_HINTS: LiteralString = """
    DELETE FROM public.received_hints AS h
     USING (SELECT marketplace, hint_id FROM public.received_hints
             WHERE receive_time < now() - %(age)s::interval
             ORDER BY receive_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS o
     WHERE h.marketplace = o.marketplace AND h.hint_id = o.hint_id"""

_DELETE_IMPORTS = sql.SQL("""
    DELETE FROM {imports} WHERE import_id = ANY(ARRAY(
        SELECT import_id FROM {imports} WHERE create_time < now() - %(age)s::interval LIMIT %(limit)s))""")

_DELETE_PAID_DEBTS: LiteralString = """
    DELETE FROM public.admission_tenants AS t USING public.admission_clocks AS c
     WHERE c.marketplace = t.marketplace AND c.priority = t.priority
       AND NOT t.is_waiting AND t.tag <= c.virtual_time"""


async def try_lock(connection: Connection) -> bool:
    """Takes the right to delete in this transaction, unless another has it."""
    row = await (await connection.execute(_TRY_LOCK)).fetchone()
    return row is not None and bool(row[0])


async def list_tenants(connection: Connection, after: int, limit: int) -> list[int]:
    """Returns the next tenants above an id."""
    return [row[0] for row in await (await connection.execute(_LIST_TENANTS, (after, limit))).fetchall()]


async def delete_jobs(connection: Connection, tenant_id: int, age: timedelta, limit: int) -> int:
    """Deletes a tenant's jobs that ended longer ago; returns how many.

    Raises:
        LockNotAvailable: The tenant is being migrated.
    """
    await connection.execute("SET LOCAL lock_timeout = '2s'")
    statement = _DELETE_JOBS.format(jobs=sql.Identifier(tenant_schema(tenant_id), "marketplace_jobs"))
    row = await (await connection.execute(statement, {"age": age, "limit": limit}, prepare=False)).fetchone()
    return 0 if row is None else int(row[0])


async def delete_batches(connection: Connection, tenant_id: int, age: timedelta, limit: int) -> int:
    """Deletes a tenant's batches that ended longer ago and have no jobs any more; returns how many."""
    schema = tenant_schema(tenant_id)
    statement = _DELETE_BATCHES.format(
        batches=sql.Identifier(schema, "batch_jobs"), jobs=sql.Identifier(schema, "marketplace_jobs")
    )
    cursor = await connection.execute(statement, {"age": age, "limit": limit}, prepare=False)
    return cursor.rowcount


async def delete_events(connection: Connection, age: timedelta, limit: int) -> int:
    """Deletes old result events; returns how many messages."""
    row = await (await connection.execute(_DELETE_EVENTS, {"age": age, "limit": limit})).fetchone()
    return 0 if row is None else int(row[0])


async def delete_requests(connection: Connection, age: timedelta, limit: int) -> int:
    """Deletes old request ids; returns how many."""
    return (await connection.execute(_DELETE_REQUESTS, {"age": age, "limit": limit})).rowcount


async def delete_hints(connection: Connection, age: timedelta, limit: int) -> int:
    """Deletes what is remembered of old hints; returns how many."""
    return (await connection.execute(_DELETE_HINTS, {"age": age, "limit": limit})).rowcount


async def delete_imports(connection: Connection, tenant_id: int, age: timedelta, limit: int) -> int:
    """Deletes what a tenant's old imports answered; returns how many."""
    statement = _DELETE_IMPORTS.format(imports=sql.Identifier(tenant_schema(tenant_id), "product_imports"))
    return (await connection.execute(statement, {"age": age, "limit": limit}, prepare=False)).rowcount


async def delete_paid_debts(connection: Connection) -> None:
    """Deletes what admission remembers of tenants without need."""
    await connection.execute(_DELETE_PAID_DEBTS)
