"""Live jobs and tasks: loaded under their jobs' locks, written by a few set-based statements.

Plain psycopg: these statements carry the whole load of the system, and each names only `public`. They are sent in
pipelines: sending and reading are functions of their own. Arrays travel in binary form (%b), which costs a third of the
text form on both sides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from stoflow_orchestrator.engine.changes import HistoryEntry
from stoflow_orchestrator.engine.records import Job, Output, Task
from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason

Connection = AsyncConnection[Any]
Cursor = AsyncCursor[Any]

# After the time, the columns of engine.records.Job in its order.
_LOCK_JOBS: LiteralString = """
    SELECT now(), j.job_id, j.tenant_id, j.marketplace, j.account_id, j.product_id, j.site, j.action,
           j.manifest_version, j.assignment, j.max_retries, j.run, j.queue_time, j.state, j.wait_reason,
           j.task_position, j.failure, j.event_sequence, j.next_time, j.admit_time, j.start_time, j.finish_time,
           j.batch_id, j.priority
      FROM (SELECT now()) AS clock LEFT JOIN LATERAL (
               SELECT * FROM public.live_jobs WHERE job_id = ANY(%(job_ids)b) ORDER BY job_id FOR UPDATE
           ) AS j ON true"""

# The task that is next or runs, for some jobs the one after it, and every task that a command names.
_LOAD_TASKS: LiteralString = """
    SELECT t.task_id, t.job_id, t.position, t.name, t.item_index, t.once_name, t.settle_seconds,
           t.start_to_close_seconds, t.schedule_to_start_seconds, t.input::text, t.state, t.attempt_count,
           t.failure_count, t.dispatch, t.dispatch_time, t.lease_token, t.lease_expire_time, t.deadline_time,
           t.instance_id, t.accepted_token, t.output::text, t.failure, t.start_time, t.finish_time
      FROM public.live_jobs AS j JOIN public.live_tasks AS t USING (job_id)
     WHERE j.job_id = ANY(%(job_ids)b)
       AND (t.position = j.task_position
            OR t.position = j.task_position + 1 AND j.job_id = ANY(%(with_next)b)
            OR t.task_id = ANY(%(task_ids)b))"""

_LOAD_OUTPUTS: LiteralString = """
    SELECT t.job_id, t.name, t.item_index, t.output::text
      FROM public.live_tasks AS t
     WHERE t.job_id = ANY(%(job_ids)b) AND t.state = 'COMPLETED'
     ORDER BY t.job_id, t.position"""

# The division fails, and the transaction with it, unless every row was as it had been loaded.
_UPDATE_JOBS: LiteralString = """
    WITH updated AS (
        UPDATE public.live_jobs AS j
           SET state = u.state, wait_reason = u.wait_reason, task_position = u.task_position,
               failure = u.failure, event_sequence = u.event_sequence, next_time = u.next_time,
               admit_time = u.admit_time, start_time = u.start_time, finish_time = u.finish_time
          FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::int[], %b::bytea[], %b::bigint[],
                      %b::timestamptz[], %b::timestamptz[], %b::timestamptz[], %b::timestamptz[])
            AS u(job_id, state, wait_reason, task_position, failure, event_sequence, next_time, admit_time,
                 start_time, finish_time)
         WHERE j.job_id = u.job_id AND j.event_sequence <= u.event_sequence
        RETURNING 1
    )
    SELECT 1 / (count(*) = %b)::int FROM updated"""

# Most commands change nothing else of a job.
_PROGRESS_JOBS: LiteralString = """
    WITH updated AS (
        UPDATE public.live_jobs AS j
           SET task_position = u.task_position, event_sequence = u.event_sequence
          FROM unnest(%b::uuid[], %b::int[], %b::bigint[]) AS u(job_id, task_position, event_sequence)
         WHERE j.job_id = u.job_id AND j.event_sequence < u.event_sequence
        RETURNING 1
    )
    SELECT 1 / (count(*) = %b)::int FROM updated"""

# An output is written once, with the result; elsewhere null keeps it.
_UPDATE_TASKS: LiteralString = """
    WITH updated AS (
        UPDATE public.live_tasks AS t
           SET state = u.state, attempt_count = u.attempt_count, failure_count = u.failure_count,
               dispatch = u.dispatch, dispatch_time = u.dispatch_time, lease_token = u.lease_token,
               lease_expire_time = u.lease_expire_time, deadline_time = u.deadline_time,
               instance_id = u.instance_id, accepted_token = u.accepted_token,
               output = coalesce(u.output::jsonb, t.output), failure = u.failure, start_time = u.start_time,
               finish_time = u.finish_time
          FROM unnest(%b::uuid[], %b::text[], %b::int[], %b::int[], %b::bigint[], %b::timestamptz[],
                      %b::uuid[], %b::timestamptz[], %b::timestamptz[], %b::uuid[], %b::uuid[], %b::text[],
                      %b::bytea[], %b::timestamptz[], %b::timestamptz[])
            AS u(task_id, state, attempt_count, failure_count, dispatch, dispatch_time, lease_token,
                 lease_expire_time, deadline_time, instance_id, accepted_token, output, failure, start_time,
                 finish_time)
         WHERE t.task_id = u.task_id AND t.dispatch <= u.dispatch
        RETURNING 1
    )
    SELECT 1 / (count(*) = %b)::int FROM updated"""

_CANCEL_REMAINING: LiteralString = """
    UPDATE public.live_tasks
       SET state = 'CANCELLED', dispatch_time = NULL, deadline_time = NULL, finish_time = now()
     WHERE job_id = ANY(%s) AND state = 'PENDING'"""

# Each run has its own retries, time to expire and place in the queue; dispatch numbers go on.
_RESTART_JOBS: LiteralString = """
    UPDATE public.live_jobs AS j
       SET run = j.run + 1, sequence = DEFAULT, queue_time = now(),
           expire_time = greatest(j.not_before_time, now())
                         + (j.expire_time - greatest(j.not_before_time, j.queue_time)),
           next_time = greatest(j.not_before_time, now()),
           task_position = (SELECT count(*) FROM public.live_tasks AS t
                             WHERE t.job_id = j.job_id AND t.state = 'COMPLETED')
     WHERE j.job_id = ANY(%s)"""

_RESTART_TASKS: LiteralString = """
    UPDATE public.live_tasks
       SET state = 'PENDING', attempt_count = 0, failure_count = 0, failure = NULL, start_time = NULL,
           finish_time = NULL
     WHERE job_id = ANY(%s) AND state IN ('FAILED', 'CANCELLED')"""

_INSERT_HISTORY: LiteralString = """
    INSERT INTO public.live_events (job_id, sequence, type, occur_time, job_state, wait_reason, task_position,
                                    task_name, attempt, failure, actor)
    SELECT u.job_id, u.sequence, u.type, now(), u.job_state, u.wait_reason, u.task_position,
           u.task_name, u.attempt, u.failure, u.actor
      FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::int[], %b::text[],
                  %b::int[], %b::bytea[], %b::text[])
        AS u(job_id, sequence, type, job_state, wait_reason, task_position, task_name, attempt, failure, actor)"""

# A heartbeat must not slip between the committer's reading of a lease and its taking it away.
_SHARE_JOBS: LiteralString = """
    SELECT 1 FROM public.live_jobs WHERE job_id = ANY(%s) ORDER BY job_id FOR SHARE"""

_EXTEND_LEASES: LiteralString = """
    UPDATE public.live_tasks AS t
       SET lease_expire_time = CASE WHEN j.state = 'RUNNING' THEN now() + %s ELSE t.lease_expire_time END
      FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[]) AS a(job_id, task_id, lease_token)
      JOIN public.live_jobs AS j USING (job_id)
     WHERE t.task_id = a.task_id AND t.job_id = a.job_id AND t.lease_token = a.lease_token
       AND t.state = 'RUNNING'
    RETURNING t.task_id, j.state"""


async def lock_jobs(connection: Connection, job_ids: Collection[UUID]) -> Cursor:
    """Locks live jobs in the order of their ids; `read_jobs` reads the answer."""
    return await connection.execute(_LOCK_JOBS, {"job_ids": sorted(job_ids)}, binary=True)


async def read_jobs(cursor: Cursor) -> tuple[datetime, list[Job]]:
    """Returns the transaction's time and the jobs that exist."""
    rows = await cursor.fetchall()
    return rows[0][0], [_job(row) for row in rows if row[1] is not None]


async def load_tasks(
    connection: Connection,
    job_ids: Collection[UUID],
    task_ids: Collection[UUID] = (),
    with_next: Collection[UUID] = (),
) -> Cursor:
    """Loads the tasks that locked jobs stand at; `read_tasks` reads the answer.

    Args:
        connection: In the transaction that locked the jobs.
        job_ids: The jobs.
        task_ids: Tasks that commands name, wherever they stand.
        with_next: Jobs whose next task is needed as well.
    """
    parameters = {"job_ids": list(job_ids), "task_ids": list(task_ids), "with_next": list(with_next)}
    return await connection.execute(_LOAD_TASKS, parameters, binary=True)


async def read_tasks(cursor: Cursor) -> list[Task]:
    """Returns the loaded tasks."""
    return [_task(row) for row in await cursor.fetchall()]


async def load_outputs(connection: Connection, job_ids: Collection[UUID]) -> Cursor:
    """Loads what the jobs' completed tasks gave; `read_outputs` reads the answer."""
    return await connection.execute(_LOAD_OUTPUTS, {"job_ids": list(job_ids)}, binary=True)


async def read_outputs(cursor: Cursor) -> dict[UUID, list[Output]]:
    """Returns the outputs by job, in the order of the tasks."""
    outputs: dict[UUID, list[Output]] = {}
    for job_id, name, item_index, output in await cursor.fetchall():
        outputs.setdefault(job_id, []).append(Output(name, item_index, output))
    return outputs


async def update_jobs(connection: Connection, jobs: Collection[Job]) -> None:
    """Writes changed jobs; the transaction fails with DivisionByZero if a row changed under its lock."""
    rows = (
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
    )
    await connection.execute(_UPDATE_JOBS, [*_columns(rows, 10), len(jobs)])


async def progress_jobs(connection: Connection, jobs: Collection[Job]) -> None:
    """Writes position and history number of jobs of which nothing else changed; fails like `update_jobs`."""
    rows = ((j.job_id, j.task_position, j.event_sequence) for j in jobs)
    await connection.execute(_PROGRESS_JOBS, [*_columns(rows, 3), len(jobs)])


async def update_tasks(connection: Connection, tasks: Collection[Task]) -> None:
    """Writes changed tasks; the transaction fails with DivisionByZero if a row changed under its job's lock."""
    rows = (
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
    )
    await connection.execute(_UPDATE_TASKS, [*_columns(rows, 15), len(tasks)])


async def cancel_remaining_tasks(connection: Connection, job_ids: Collection[UUID]) -> None:
    """Cancels the tasks that ended jobs never came to."""
    await connection.execute(_CANCEL_REMAINING, (list(job_ids),))


async def restart_jobs(connection: Connection, job_ids: Collection[UUID]) -> None:
    """Makes what of ended jobs is not completed ready to run again."""
    await connection.execute(_RESTART_TASKS, (list(job_ids),))
    await connection.execute(_RESTART_JOBS, (list(job_ids),))


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


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]


def _job(row: Sequence[Any]) -> Job:
    job = Job(*row[1:])
    job.state = job.loaded_state = JobState(job.state)
    job.wait_reason = WaitReason(job.wait_reason) if job.wait_reason else None
    return job


def _task(row: Sequence[Any]) -> Task:
    task = Task(*row)
    task.state = TaskState(task.state)
    return task
