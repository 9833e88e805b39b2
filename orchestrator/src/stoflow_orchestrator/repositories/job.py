"""Reads jobs wherever they are: live, or in their tenant's history.

A job is in exactly one of the two at any moment, so each read is one statement over both, or one transaction with one
snapshot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool

from stoflow_orchestrator.engine.pool import unavailable_when_unreachable
from stoflow_orchestrator.engine.records import NO_PRODUCT, EffectKey
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.migrations.runner import tenant_schema
from stoflow_orchestrator.repositories.job_filter import JobFilter

Connection = AsyncConnection[Any]

_JOB_COLUMNS = sql.SQL(
    "job_id, marketplace, account_id, product_id, batch_id, site, action, manifest_version, assignment, priority, "
    "max_retries, state, run, failure, event_sequence, not_before_time, expire_time, create_time, start_time, "
    "finish_time"
)
_TASK_COLUMNS = sql.SQL(
    "task_id, position, name, item_index, once_name, input, state, attempt_count, failure_count, output, failure, "
    "start_time, finish_time"
)
_EVENT_COLUMNS = sql.SQL(
    "job_id, sequence, type, occur_time, job_state, wait_reason, task_position, task_name, attempt, failure, actor"
)

_FIND_JOB = sql.SQL("""
    SELECT {columns}, wait_reason FROM public.live_jobs WHERE tenant_id = %(tenant_id)s AND job_id = %(job_id)s
    UNION ALL
    SELECT {columns}, NULL FROM {jobs} WHERE job_id = %(job_id)s""")

_LIST_TASKS = sql.SQL("""
    SELECT {columns} FROM public.live_tasks WHERE job_id = %(job_id)s
    UNION ALL
    SELECT {columns} FROM {tasks} WHERE job_id = %(job_id)s
    ORDER BY position""")

_LIST_EVENTS = sql.SQL("""
    SELECT {columns} FROM public.live_events WHERE job_id = %(job_id)s AND sequence > %(after)s
    UNION ALL
    SELECT {columns} FROM {events} WHERE job_id = %(job_id)s AND sequence > %(after)s
    ORDER BY sequence LIMIT %(limit)s""")

# job_id sorts by creation time, so it is order and page key in one.
_LIST_LIVE_JOBS = sql.SQL("""
    (SELECT {columns}, wait_reason FROM public.live_jobs
      WHERE tenant_id = %(tenant_id)s AND {conditions} AND {before} ORDER BY job_id DESC LIMIT %(limit)s)""")

_LIST_ARCHIVED_JOBS = sql.SQL("""
    (SELECT {columns}, NULL FROM {jobs} WHERE {conditions} AND {before} ORDER BY job_id DESC LIMIT %(limit)s)""")

_LIST_JOBS = sql.SQL("SELECT * FROM ({parts}) AS jobs ORDER BY job_id DESC LIMIT %(limit)s")

_COUNT_LIVE_JOBS = sql.SQL("""
    SELECT state, count(*) FROM public.live_jobs WHERE tenant_id = %(tenant_id)s AND {conditions} GROUP BY state""")

_COUNT_ARCHIVED_JOBS = sql.SQL("""
    SELECT state, count(*) FROM {jobs} WHERE {conditions} GROUP BY state""")

_FIND_ACCEPTED = sql.SQL("SELECT task_id, accepted_token FROM {tasks} WHERE task_id = ANY(%s)")

_FIND_EFFECT_KEYS = sql.SQL("""
    SELECT t.task_id, j.account_id, coalesce(j.product_id, %(no_product)s), j.site, t.once_name
      FROM {tasks} AS t JOIN {jobs} AS j USING (job_id)
     WHERE t.task_id = ANY(%(task_ids)s) AND t.once_name IS NOT NULL""")


class JobReader:
    """Reads one tenant's jobs in transactions of one snapshot."""

    def __init__(self, pool: AsyncConnectionPool[Connection]) -> None:
        self._pool = pool

    @asynccontextmanager
    async def snapshot(self, tenant_id: int) -> AsyncIterator[JobSnapshot]:
        """Opens a transaction in which a job cannot move between the live tables and the history."""
        with unavailable_when_unreachable():
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield JobSnapshot(connection, tenant_id)


class JobSnapshot:
    """One consistent view of a tenant's jobs."""

    def __init__(self, connection: Connection, tenant_id: int) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._schema = tenant_schema(tenant_id)

    async def find_job(self, job_id: UUID) -> Any | None:
        """Returns one job."""
        statement = _FIND_JOB.format(columns=_JOB_COLUMNS, jobs=self._table("marketplace_jobs"))
        rows = await self._fetch(statement, {"tenant_id": self._tenant_id, "job_id": job_id})
        return rows[0] if rows else None

    async def list_tasks(self, job_id: UUID) -> list[Any]:
        """Returns the tasks of a job that was found in this snapshot, in order."""
        statement = _LIST_TASKS.format(columns=_TASK_COLUMNS, tasks=self._table("marketplace_tasks"))
        return await self._fetch(statement, {"job_id": job_id})

    async def list_events(self, job_id: UUID, after_sequence: int, limit: int) -> list[Any]:
        """Returns the events of a job that was found in this snapshot, oldest first."""
        statement = _LIST_EVENTS.format(columns=_EVENT_COLUMNS, events=self._table("job_events"))
        return await self._fetch(statement, {"job_id": job_id, "after": after_sequence, "limit": limit})

    async def list_jobs(self, narrow: JobFilter, before_job_id: UUID | None, limit: int) -> list[Any]:
        """Returns jobs older than one of them, newest first."""
        statement = list_jobs_statement(self._schema, narrow, is_continued=before_job_id is not None)
        parameters = {
            **narrow.parameters(),
            "before_job_id": before_job_id,
            "tenant_id": self._tenant_id,
            "limit": limit,
        }
        return await self._fetch(statement, parameters)

    async def count_jobs(self, narrow: JobFilter) -> dict[JobState, int]:
        """Returns how many jobs are in each state, where there are any."""
        parameters = {**narrow.parameters(), "tenant_id": self._tenant_id}
        counts: dict[JobState, int] = {}
        for row in await self._fetch(count_jobs_statement(self._schema, narrow), parameters):
            state = JobState(row.state)
            counts[state] = counts.get(state, 0) + row.count
        return counts

    async def find_accepted_tokens(self, task_ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
        """Returns, for archived tasks, the token of the report that was accepted last; None for none."""
        statement = _FIND_ACCEPTED.format(tasks=self._table("marketplace_tasks"))
        cursor = await self._connection.execute(statement, (list(task_ids),), prepare=False)
        return dict(await cursor.fetchall())

    async def find_effect_keys(self, task_ids: Sequence[UUID]) -> dict[UUID, EffectKey]:
        """Returns, for those archived tasks that have one, which effect is theirs."""
        statement = _FIND_EFFECT_KEYS.format(
            tasks=self._table("marketplace_tasks"), jobs=self._table("marketplace_jobs")
        )
        cursor = await self._connection.execute(
            statement, {"task_ids": list(task_ids), "no_product": NO_PRODUCT}, prepare=False
        )
        return {row[0]: EffectKey(*row[1:]) for row in await cursor.fetchall()}

    def _table(self, name: str) -> sql.Identifier:
        return sql.Identifier(self._schema, name)

    async def _fetch(self, statement: sql.Composed, parameters: dict[str, Any]) -> list[Any]:
        async with self._connection.cursor(row_factory=namedtuple_row) as cursor:
            # Unprepared: each tenant has statements of its own.
            await cursor.execute(statement, parameters, prepare=False)
            return await cursor.fetchall()


def list_jobs_statement(schema: str, narrow: JobFilter, *, is_continued: bool) -> sql.Composed:
    """Builds the statement of a page of jobs from the live tables and a tenant's history."""
    before = sql.SQL("job_id < %(before_job_id)s" if is_continued else "true")
    jobs = sql.Identifier(schema, "marketplace_jobs")
    parts = [_LIST_LIVE_JOBS.format(columns=_JOB_COLUMNS, conditions=narrow.live_conditions(), before=before)]
    for state in narrow.archived_states:
        conditions = narrow.archived_conditions(state)
        parts.append(
            _LIST_ARCHIVED_JOBS.format(columns=_JOB_COLUMNS, jobs=jobs, conditions=conditions, before=before)
        )
    return _LIST_JOBS.format(parts=sql.SQL(" UNION ALL ").join(parts))


def count_jobs_statement(schema: str, narrow: JobFilter) -> sql.Composed:
    """Builds the statement that counts jobs by state in the live tables and in a tenant's history."""
    jobs = sql.Identifier(schema, "marketplace_jobs")
    parts = [
        _COUNT_LIVE_JOBS.format(conditions=narrow.live_conditions()),
        *(
            _COUNT_ARCHIVED_JOBS.format(jobs=jobs, conditions=narrow.archived_conditions(state))
            for state in narrow.archived_states
        ),
    ]
    return sql.SQL(" UNION ALL ").join(parts)
