"""Jobs that failed for good, over all tenants."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import namedtuple_row
from stoflow.common.v1.failure_pb2 import ErrorClass, Failure

from stoflow_orchestrator.engine.records import Job

Connection = AsyncConnection[Any]

_SAVE: LiteralString = """
    INSERT INTO public.dead_letters (job_id, tenant_id, marketplace, account_id, product_id, action, site, run, state,
                                     error_code, error_class, failure, finish_time)
    SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::uuid[], %b::uuid[], %b::text[], %b::text[],
                         %b::int[], %b::text[], %b::text[], %b::text[], %b::bytea[], %b::timestamptz[])
        ON CONFLICT (job_id) DO UPDATE
           SET run = excluded.run, state = excluded.state, error_code = excluded.error_code,
               error_class = excluded.error_class, failure = excluded.failure, finish_time = excluded.finish_time"""

_FORGET: LiteralString = "DELETE FROM public.dead_letters WHERE job_id = ANY(%b)"

_FIND_TENANTS: LiteralString = """
    SELECT tenant_id, job_id FROM public.dead_letters WHERE job_id = ANY(%b) ORDER BY job_id"""

# Newest first; finish_time alone is not unique.
_LIST = sql.SQL("""
    SELECT job_id, tenant_id, marketplace, account_id, product_id, action, site, run, state, failure, finish_time
      FROM public.dead_letters
     WHERE {filters}
     ORDER BY finish_time DESC, job_id DESC LIMIT %(limit)s""")

_FILTERS = {
    "tenant_id": sql.SQL("tenant_id = %(tenant_id)s"),
    "marketplace": sql.SQL("marketplace = %(marketplace)s"),
    "action": sql.SQL("action = %(action)s"),
    "error_code": sql.SQL("error_code = %(error_code)s"),
    "finish_time_from": sql.SQL("finish_time >= %(finish_time_from)s"),
    "finish_time_to": sql.SQL("finish_time < %(finish_time_to)s"),
}


class DeadLetterFilter(NamedTuple):
    """What to narrow by; empty fields do not."""

    tenant_id: int = 0
    marketplace: str = ""
    action: str = ""
    error_code: str = ""
    finish_time_from: datetime | None = None
    finish_time_to: datetime | None = None


async def save(connection: Connection, jobs: Collection[Job]) -> None:
    """Stores jobs that have just failed or expired."""
    rows = []
    for job in jobs:
        failure = Failure.FromString(job.failure or b"")
        rows.append(
            (
                job.job_id,
                job.tenant_id,
                job.marketplace,
                job.account_id,
                job.product_id,
                job.action,
                job.site,
                job.run,
                job.state.value,
                failure.code,
                ErrorClass.Name(failure.error_class).removeprefix("ERROR_CLASS_"),
                job.failure or b"",
                job.finish_time,
            )
        )
    await connection.execute(_SAVE, [list(column) for column in zip(*rows, strict=True)])


async def forget(connection: Connection, job_ids: Collection[UUID]) -> None:
    """Removes jobs that run again or are deleted."""
    await connection.execute(_FORGET, (list(job_ids),))


async def find_tenants(connection: Connection, job_ids: Collection[UUID]) -> list[tuple[int, UUID]]:
    """Returns (tenant, job) of those that are dead letters."""
    cursor = await connection.execute(_FIND_TENANTS, (list(job_ids),))
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def list_page(
    connection: Connection, narrow: DeadLetterFilter, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Any]:
    """Returns dead letters, newest first, behind the last one of the page before."""
    filters = [_FILTERS[name] for name, value in narrow._asdict().items() if value]
    parameters = {**narrow._asdict(), "limit": limit}
    if before is not None:
        filters.append(sql.SQL("(finish_time, job_id) < (%(before_time)s, %(before_id)s)"))
        parameters |= {"before_time": before[0], "before_id": before[1]}
    statement = _LIST.format(filters=sql.SQL(" AND ").join([sql.SQL("true"), *filters]))
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()
