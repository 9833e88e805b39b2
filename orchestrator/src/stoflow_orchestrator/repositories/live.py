"""Live jobs and tasks: loaded under their jobs' locks, written by a few set-based statements.

Plain psycopg: these statements carry the whole load of the system, and each names only `public`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.engine.changes import HistoryEntry
from stoflow_orchestrator.engine.records import Job, Task
from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason

Connection = AsyncConnection[Any]

# After the time, the columns of engine.records.Job in its order.
_LOCK_JOBS: LiteralString = """
    SELECT now(), j.job_id, j.tenant_id, j.marketplace, j.account_id, j.product_id, j.site, j.action,
           j.manifest_version, j.assignment, j.max_retries, j.run, j.create_time, j.state, j.wait_reason,
           j.task_position, j.failure, j.event_sequence, j.next_time, j.admit_time, j.start_time, j.finish_time
      FROM (SELECT now()) AS clock LEFT JOIN LATERAL (
               SELECT * FROM public.live_jobs WHERE job_id = ANY(%(job_ids)s) ORDER BY job_id FOR UPDATE
           ) AS j ON true"""

# The task that is next or runs, the one after it, and every task that a command names; with outputs, all earlier
# ones too.
_LOAD_TASKS: LiteralString = """
    SELECT t.task_id, t.job_id, t.position, t.name, t.item_index, t.once_name, t.settle_seconds,
           t.start_to_close_seconds, t.state, t.attempt_count, t.failure_count, t.dispatch, t.dispatch_time,
           t.lease_token, t.lease_expire_time, t.deadline_time, t.instance_id, t.accepted_token,
           CASE WHEN t.job_id = ANY(%(with_outputs)s) THEN t.output::text END, t.failure, t.start_time,
           t.finish_time
      FROM public.live_jobs AS j JOIN public.live_tasks AS t USING (job_id)
     WHERE j.job_id = ANY(%(job_ids)s)
       AND (t.position BETWEEN CASE WHEN j.job_id = ANY(%(with_outputs)s) THEN 0 ELSE j.task_position END
                           AND j.task_position + 1
            OR t.task_id = ANY(%(task_ids)s))"""

_UPDATE_JOBS: LiteralString = """
    UPDATE public.live_jobs AS j
       SET state = u.state, wait_reason = u.wait_reason, task_position = u.task_position, failure = u.failure,
           event_sequence = u.event_sequence, next_time = u.next_time, admit_time = u.admit_time,
           start_time = u.start_time, finish_time = u.finish_time
      FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::int[], %s::bytea[], %s::bigint[], %s::timestamptz[],
                  %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
        AS u(job_id, state, wait_reason, task_position, failure, event_sequence, next_time, admit_time,
             start_time, finish_time)
     WHERE j.job_id = u.job_id AND j.event_sequence <= u.event_sequence"""

# An output is written once, with the result; elsewhere null keeps it.
_UPDATE_TASKS: LiteralString = """
    UPDATE public.live_tasks AS t
       SET state = u.state, attempt_count = u.attempt_count, failure_count = u.failure_count,
           dispatch = u.dispatch, dispatch_time = u.dispatch_time, lease_token = u.lease_token,
           lease_expire_time = u.lease_expire_time, deadline_time = u.deadline_time,
           instance_id = u.instance_id, accepted_token = u.accepted_token,
           output = coalesce(u.output::jsonb, t.output), failure = u.failure, start_time = u.start_time,
           finish_time = u.finish_time
      FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[], %s::bigint[], %s::timestamptz[], %s::uuid[],
                  %s::timestamptz[], %s::timestamptz[], %s::uuid[], %s::uuid[], %s::text[], %s::bytea[],
                  %s::timestamptz[], %s::timestamptz[])
        AS u(task_id, state, attempt_count, failure_count, dispatch, dispatch_time, lease_token,
             lease_expire_time, deadline_time, instance_id, accepted_token, output, failure, start_time,
             finish_time)
     WHERE t.task_id = u.task_id AND t.dispatch <= u.dispatch"""

_CANCEL_REMAINING: LiteralString = """
    UPDATE public.live_tasks SET state = 'CANCELLED', dispatch_time = NULL, finish_time = now()
     WHERE job_id = ANY(%s) AND state = 'PENDING'"""

_INSERT_HISTORY: LiteralString = """
    INSERT INTO public.live_events (job_id, sequence, type, occur_time, job_state, wait_reason, task_position,
                                    task_name, attempt, failure, actor)
    SELECT u.job_id, u.sequence, u.type, now(), u.job_state, u.wait_reason, u.task_position,
           u.task_name, u.attempt, u.failure, u.actor
      FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[],
                  %s::int[], %s::bytea[], %s::text[])
        AS u(job_id, sequence, type, job_state, wait_reason, task_position, task_name, attempt, failure, actor)"""

# A heartbeat must not slip between the committer's reading of a lease and its taking it away.
_SHARE_JOBS: LiteralString = """
    SELECT 1 FROM public.live_jobs WHERE job_id = ANY(%s) ORDER BY job_id FOR SHARE"""

_EXTEND_LEASES: LiteralString = """
    UPDATE public.live_tasks AS t
       SET lease_expire_time = CASE WHEN j.state = 'RUNNING' THEN now() + %s ELSE t.lease_expire_time END
      FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS a(job_id, task_id, lease_token)
      JOIN public.live_jobs AS j USING (job_id)
     WHERE t.task_id = a.task_id AND t.job_id = a.job_id AND t.lease_token = a.lease_token
       AND t.state = 'RUNNING'
    RETURNING t.task_id, j.state"""


class ConcurrentChangeError(Exception):
    """A row that was locked is not as it was loaded: something wrote it without the job's lock."""


async def lock_jobs(connection: Connection, job_ids: Collection[UUID]) -> tuple[datetime, list[Job]]:
    """Locks live jobs in the order of their ids; returns the transaction's time and those that exist."""
    cursor = await connection.execute(_LOCK_JOBS, {"job_ids": sorted(job_ids)})
    rows = await cursor.fetchall()
    return rows[0][0], [_job(row) for row in rows if row[1] is not None]


async def load_tasks(
    connection: Connection,
    job_ids: Collection[UUID],
    task_ids: Collection[UUID],
    with_outputs: Collection[UUID],
) -> list[Task]:
    """Loads what commands on locked jobs may need.

    Args:
        connection: In the transaction that locked the jobs.
        job_ids: The jobs.
        task_ids: Tasks that commands name.
        with_outputs: Jobs whose earlier tasks and outputs are needed.
    """
    parameters = {
        "job_ids": list(job_ids),
        "task_ids": list(task_ids),
        "with_outputs": list(with_outputs),
    }
    cursor = await connection.execute(_LOAD_TASKS, parameters)
    return [_task(row) for row in await cursor.fetchall()]


async def update_jobs(connection: Connection, jobs: Collection[Job]) -> None:
    """Writes changed jobs.

    Raises:
        ConcurrentChangeError: A row changed under its lock.
    """
    columns = _columns(
        (
            (
                j.job_id,
                j.state.value,
                j.wait_reason.value if j.wait_reason else None,
                j.task_position,
                j.failure,
                j.event_sequence,
                j.next_time,
                j.admit_time,
                j.start_time,
                j.finish_time,
            )
            for j in jobs
        ),
        10,
    )
    await _update(connection, _UPDATE_JOBS, columns, len(jobs))


async def update_tasks(connection: Connection, tasks: Collection[Task]) -> None:
    """Writes changed tasks.

    Raises:
        ConcurrentChangeError: A row changed under its job's lock.
    """
    columns = _columns(
        (
            (
                t.task_id,
                t.state.value,
                t.attempt_count,
                t.failure_count,
                t.dispatch,
                t.dispatch_time,
                t.lease_token,
                t.lease_expire_time,
                t.deadline_time,
                t.instance_id,
                t.accepted_token,
                t.output,
                t.failure,
                t.start_time,
                t.finish_time,
            )
            for t in tasks
        ),
        15,
    )
    await _update(connection, _UPDATE_TASKS, columns, len(tasks))


async def cancel_remaining_tasks(connection: Connection, job_ids: Collection[UUID]) -> None:
    """Cancels the tasks that ended jobs never came to."""
    await connection.execute(_CANCEL_REMAINING, (list(job_ids),))


async def insert_history(connection: Connection, entries: Sequence[HistoryEntry]) -> None:
    """Appends to the histories of live jobs."""
    await connection.execute(_INSERT_HISTORY, _columns(entries, 10))


async def extend_leases(
    connection: Connection, leases: Sequence[tuple[UUID, UUID, UUID]], lease: timedelta
) -> dict[UUID, JobState]:
    """Extends leases (job, task, token) that are held; returns the job's state for each task still leased.

    The leases of jobs that ended are not extended: their attempts are to stop.
    """
    job_ids, task_ids, tokens = _columns(leases, 3)
    await connection.execute(_SHARE_JOBS, (sorted(job_ids),))
    cursor = await connection.execute(_EXTEND_LEASES, (lease, job_ids, task_ids, tokens))
    return {task_id: JobState(state) for task_id, state in await cursor.fetchall()}


async def _update(
    connection: Connection, statement: LiteralString, columns: Sequence[list[Any]], expected: int
) -> None:
    cursor = await connection.execute(statement, columns)
    if cursor.rowcount != expected:
        raise ConcurrentChangeError(f"{cursor.rowcount} of {expected} rows were as they had been loaded")


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]


def _job(row: Sequence[Any]) -> Job:
    job = Job(*row[1:])
    job.state = JobState(job.state)
    job.wait_reason = WaitReason(job.wait_reason) if job.wait_reason else None
    return job


def _task(row: Sequence[Any]) -> Task:
    task = Task(*row)
    task.state = TaskState(task.state)
    return task
