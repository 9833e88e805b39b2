"""Live jobs and tasks: loaded under their jobs' locks, written by a few set-based statements.

Plain psycopg: these statements carry the whole load of the system, and each names only `public`. They are sent in
pipelines: sending and reading are functions of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from stoflow_orchestrator.engine.changes import HistoryEntry
from stoflow_orchestrator.engine.publication import OutgoingEvents
from stoflow_orchestrator.engine.records import Job, Output, Task
from stoflow_orchestrator.lifecycle import JobState, TaskState, WaitReason
from stoflow_orchestrator.repositories.arrays import BinaryArray, bigints, blobs, ints, texts, times, uuids

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

# One statement for what nearly every group writes. The division fails, and the transaction with it, unless every row
# was as it had been loaded. An output is written once, with the result; elsewhere null keeps it. Events stay when the
# outbox has done its work: readers that come later find them in result_events.
_WRITE: LiteralString = """
    WITH jobs AS (
        UPDATE public.live_jobs AS j
           SET state = u.state, wait_reason = u.wait_reason, task_position = u.task_position,
               failure = u.failure, event_sequence = u.event_sequence, next_time = u.next_time,
               admit_time = u.admit_time, start_time = u.start_time, finish_time = u.finish_time
          FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
            AS u(job_id, state, wait_reason, task_position, failure, event_sequence, next_time, admit_time,
                 start_time, finish_time)
         WHERE j.job_id = u.job_id AND j.event_sequence <= u.event_sequence
        RETURNING 1
    ), tasks AS (
        UPDATE public.live_tasks AS t
           SET state = u.state, attempt_count = u.attempt_count, failure_count = u.failure_count,
               dispatch = u.dispatch, dispatch_time = u.dispatch_time, lease_token = u.lease_token,
               lease_expire_time = u.lease_expire_time, deadline_time = u.deadline_time,
               instance_id = u.instance_id, accepted_token = u.accepted_token,
               output = coalesce(u.output::jsonb, t.output), failure = u.failure, start_time = u.start_time,
               finish_time = u.finish_time
          FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
            AS u(task_id, state, attempt_count, failure_count, dispatch, dispatch_time, lease_token,
                 lease_expire_time, deadline_time, instance_id, accepted_token, output, failure, start_time,
                 finish_time)
         WHERE t.task_id = u.task_id AND t.dispatch <= u.dispatch
        RETURNING 1
    ), history AS (
        INSERT INTO public.live_events (job_id, sequence, type, occur_time, job_state, wait_reason, task_position,
                                        task_name, attempt, failure, actor)
        SELECT u.job_id, u.sequence, u.type, now(), u.job_state, u.wait_reason, u.task_position,
               u.task_name, u.attempt, u.failure, u.actor
          FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
            AS u(job_id, sequence, type, job_state, wait_reason, task_position, task_name, attempt, failure, actor)
    ), events AS (
        INSERT INTO public.result_events (message_id, payload, ended_counts)
        SELECT u.message_id, u.payload, u.ended_counts::jsonb
          FROM unnest(%b, %b, %b) AS u(message_id, payload, ended_counts)
        RETURNING message_id
    ), outbox AS (
        INSERT INTO public.outbox (message_id, subject) SELECT message_id, %b::text FROM events
    ), acknowledged AS (
        DELETE FROM public.outbox WHERE message_id = ANY(%b)
    )
    SELECT 1 / ((SELECT count(*) FROM jobs) = %b AND (SELECT count(*) FROM tasks) = %b)::int"""

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

# A heartbeat must not slip between the committer's reading of a lease and its taking it away.
_SHARE_JOBS: LiteralString = """
    SELECT 1 FROM public.live_jobs WHERE job_id = ANY(%b) ORDER BY job_id FOR SHARE"""

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
    return await connection.execute(_LOCK_JOBS, {"job_ids": uuids(sorted(job_ids))}, binary=True)


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
    parameters = {"job_ids": uuids(job_ids), "task_ids": uuids(task_ids), "with_next": uuids(with_next)}
    return await connection.execute(_LOAD_TASKS, parameters, binary=True)


async def read_tasks(cursor: Cursor) -> list[Task]:
    """Returns the loaded tasks."""
    return [_task(row) for row in await cursor.fetchall()]


async def load_outputs(connection: Connection, job_ids: Collection[UUID]) -> Cursor:
    """Loads what the jobs' completed tasks gave; `read_outputs` reads the answer."""
    return await connection.execute(_LOAD_OUTPUTS, {"job_ids": uuids(job_ids)}, binary=True)


async def read_outputs(cursor: Cursor) -> dict[UUID, list[Output]]:
    """Returns the outputs by job, in the order of the tasks."""
    outputs: dict[UUID, list[Output]] = {}
    for job_id, name, item_index, output in await cursor.fetchall():
        outputs.setdefault(job_id, []).append(Output(name, item_index, output))
    return outputs


@dataclass(frozen=True, slots=True)
class Rows:
    """What a group writes of live jobs, and the messages that tell of it.

    Attributes:
        jobs: Changed jobs.
        tasks: Changed tasks.
        history: Entries to append.
        messages: Result events for the outbox, of one subject.
        ended_counts: JSON with the runs that these messages say have ended, for the first of them.
        acknowledged: Messages that JetStream has; they leave the outbox.
    """

    jobs: Collection[Job] = ()
    tasks: Collection[Task] = ()
    history: Sequence[HistoryEntry] = ()
    messages: Sequence[OutgoingEvents] = ()
    ended_counts: str | None = None
    acknowledged: Sequence[UUID] = ()


async def write(connection: Connection, rows: Rows) -> None:
    """Writes rows; the transaction fails with DivisionByZero if a job or a task changed under its lock."""
    jobs, tasks, messages = rows.jobs, rows.tasks, rows.messages
    parameters = (
        uuids([j.job_id for j in jobs]),
        texts([j.state.value for j in jobs]),
        texts([j.wait_reason.value if j.wait_reason else None for j in jobs]),
        ints([j.task_position for j in jobs]),
        blobs([j.failure for j in jobs]),
        bigints([j.event_sequence for j in jobs]),
        times([j.next_time for j in jobs]),
        times([j.admit_time for j in jobs]),
        times([j.start_time for j in jobs]),
        times([j.finish_time for j in jobs]),
        uuids([t.task_id for t in tasks]),
        texts([t.state.value for t in tasks]),
        ints([t.attempt_count for t in tasks]),
        ints([t.failure_count for t in tasks]),
        bigints([t.dispatch for t in tasks]),
        times([t.dispatch_time for t in tasks]),
        uuids([t.lease_token for t in tasks]),
        times([t.lease_expire_time for t in tasks]),
        times([t.deadline_time for t in tasks]),
        uuids([t.instance_id for t in tasks]),
        uuids([t.accepted_token for t in tasks]),
        texts([t.output for t in tasks]),
        blobs([t.failure for t in tasks]),
        times([t.start_time for t in tasks]),
        times([t.finish_time for t in tasks]),
        *_history_columns(rows.history),
        uuids([m.message_id for m in messages]),
        blobs([m.payload for m in messages]),
        texts([rows.ended_counts if place == 0 else None for place in range(len(messages))]),
        messages[0].subject if messages else "",
        uuids(rows.acknowledged),
        len(jobs),
        len(tasks),
    )
    await connection.execute(_WRITE, parameters)


def _history_columns(history: Sequence[HistoryEntry]) -> Iterator[BinaryArray]:
    yield uuids([h.job_id for h in history])
    yield bigints([h.sequence for h in history])
    yield texts([h.type for h in history])
    yield texts([h.job_state for h in history])
    yield texts([h.wait_reason for h in history])
    yield ints([h.task_position for h in history])
    yield texts([h.task_name for h in history])
    yield ints([h.attempt for h in history])
    yield blobs([h.failure for h in history])
    yield texts([h.actor for h in history])


async def cancel_remaining_tasks(connection: Connection, job_ids: Collection[UUID]) -> None:
    """Cancels the tasks that ended jobs never came to."""
    await connection.execute(_CANCEL_REMAINING, (list(job_ids),))


async def restart_jobs(connection: Connection, job_ids: Collection[UUID]) -> None:
    """Makes what of ended jobs is not completed ready to run again."""
    await connection.execute(_RESTART_TASKS, (list(job_ids),))
    await connection.execute(_RESTART_JOBS, (list(job_ids),))


async def extend_leases(
    connection: Connection, leases: Sequence[tuple[UUID, UUID, UUID]], lease: timedelta
) -> dict[UUID, JobState]:
    """Extends leases (job, task, token) that are held; returns the job's state for each task still leased.

    The leases of jobs that ended are not extended: their attempts are to stop.
    """
    job_ids = [job_id for job_id, _, _ in leases]
    await connection.execute(_SHARE_JOBS, (uuids(sorted(job_ids)),))
    parameters = (
        lease,
        uuids(job_ids),
        uuids([task_id for _, task_id, _ in leases]),
        uuids([token for _, _, token in leases]),
    )
    cursor = await connection.execute(_EXTEND_LEASES, parameters)
    return {task_id: JobState(state) for task_id, state in await cursor.fetchall()}


def _job(row: Sequence[Any]) -> Job:
    job = Job(*row[1:])
    job.state = job.loaded_state = JobState(job.state)
    job.wait_reason = WaitReason(job.wait_reason) if job.wait_reason else None
    return job


def _task(row: Sequence[Any]) -> Task:
    task = Task(*row)
    task.state = TaskState(task.state)
    return task
