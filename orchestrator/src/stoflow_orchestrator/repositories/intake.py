"""Creates jobs: request ids, jobs, tasks and first events, a group at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.engine.intake import NewJob

Connection = AsyncConnection[Any]

_CLAIM_REQUESTS: LiteralString = """
    INSERT INTO public.mutation_requests (tenant_id, request_id, method, body_sha256, result_id)
    SELECT u.tenant_id, u.request_id, u.method, u.body_sha256, u.result_id
      FROM unnest(%b::bigint[], %b::uuid[], %b::text[], %b::bytea[], %b::text[])
        AS u(tenant_id, request_id, method, body_sha256, result_id)
     ORDER BY u.tenant_id, u.request_id
        ON CONFLICT (tenant_id, request_id) DO NOTHING
    RETURNING tenant_id, request_id"""

_READ_REQUESTS: LiteralString = """
    SELECT m.tenant_id, m.request_id, m.method, m.body_sha256, m.result_id
      FROM unnest(%b::bigint[], %b::uuid[]) AS u(tenant_id, request_id)
      JOIN public.mutation_requests AS m USING (tenant_id, request_id)"""

_FORGET_REQUESTS: LiteralString = """
    DELETE FROM public.mutation_requests AS m
     USING unnest(%b::bigint[], %b::uuid[]) AS u(tenant_id, request_id)
     WHERE m.tenant_id = u.tenant_id AND m.request_id = u.request_id"""

# The order of insertion is the order of creation: identity values follow it.
_INSERT_JOBS: LiteralString = """
    INSERT INTO public.live_jobs (job_id, tenant_id, marketplace, account_id, product_id, site, action,
        manifest_version, assignment, is_duplicate, priority, max_retries, not_before_time, next_time, expire_time,
        create_time, state, run, task_position, event_sequence)
    SELECT u.job_id, u.tenant_id, u.marketplace, u.account_id, u.product_id, u.site, u.action,
           u.manifest_version, u.assignment, u.is_duplicate, u.priority, u.max_retries, u.not_before_time,
           coalesce(u.not_before_time, now()),
           greatest(u.not_before_time, now()) + make_interval(secs => u.expire_after_seconds), now(), 'PENDING', 1, 0, 1
      FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::uuid[], %b::uuid[], %b::text[], %b::text[],
                  %b::text[], %b::bytea[], %b::boolean[], %b::smallint[], %b::int[], %b::timestamptz[],
                  %b::float8[])
           WITH ORDINALITY
        AS u(job_id, tenant_id, marketplace, account_id, product_id, site, action, manifest_version, assignment,
             is_duplicate, priority, max_retries, not_before_time, expire_after_seconds, place)
     ORDER BY u.place
        ON CONFLICT (account_id, product_id, action, site)
           WHERE state IN ('PENDING', 'RUNNING', 'PAUSED') AND NOT is_duplicate
           DO NOTHING
    RETURNING job_id"""

_INSERT_TASKS: LiteralString = """
    INSERT INTO public.live_tasks (task_id, job_id, position, name, item_index, once_name, settle_seconds,
        start_to_close_seconds, schedule_to_start_seconds, state, attempt_count, failure_count, dispatch)
    SELECT u.task_id, u.job_id, u.position, u.name, u.item_index, u.once_name, u.settle_seconds,
           u.start_to_close_seconds, u.schedule_to_start_seconds, 'PENDING', 0, 0, 0
      FROM unnest(%b::uuid[], %b::uuid[], %b::int[], %b::text[], %b::int[], %b::text[], %b::float8[],
                  %b::float8[], %b::float8[])
        AS u(task_id, job_id, position, name, item_index, once_name, settle_seconds, start_to_close_seconds,
             schedule_to_start_seconds)"""

_INSERT_CREATED: LiteralString = """
    INSERT INTO public.live_events (job_id, sequence, type, occur_time, job_state, attempt, actor)
    SELECT unnest(%b::uuid[]), 1, 'CREATED', now(), 'PENDING', 0, 'caller'"""

_FIND_SUBJECTS: LiteralString = """
    SELECT u.job_id, l.job_id
      FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::text[], %b::text[])
        AS u(job_id, account_id, product_id, action, site)
      JOIN public.live_jobs AS l
        ON l.account_id = u.account_id AND l.product_id IS NOT DISTINCT FROM u.product_id
       AND l.action = u.action AND l.site = u.site
     WHERE l.state IN ('PENDING', 'RUNNING', 'PAUSED') AND NOT l.is_duplicate"""

RequestKey = tuple[int, UUID]


async def claim_requests(connection: Connection, jobs: Sequence[NewJob]) -> set[RequestKey]:
    """Records request ids; returns those that were new. Waits for concurrent transactions on the same ids."""
    columns = [
        [job.tenant_id for job in jobs],
        [job.request_id for job in jobs],
        [job.method for job in jobs],
        [job.body_sha256 for job in jobs],
        [str(job.job_id) for job in jobs],
    ]
    cursor = await connection.execute(_CLAIM_REQUESTS, columns)
    return {(tenant_id, request_id) for tenant_id, request_id in await cursor.fetchall()}


async def read_requests(
    connection: Connection, keys: Sequence[RequestKey]
) -> dict[RequestKey, tuple[str, bytes, str]]:
    """Returns method, body hash and result id of request ids that were used before."""
    cursor = await connection.execute(_READ_REQUESTS, ([k[0] for k in keys], [k[1] for k in keys]))
    return {(row[0], row[1]): (row[2], bytes(row[3]), row[4]) for row in await cursor.fetchall()}


async def forget_requests(connection: Connection, keys: Sequence[RequestKey]) -> None:
    """Takes back request ids whose mutation turned out to be refused."""
    await connection.execute(_FORGET_REQUESTS, ([k[0] for k in keys], [k[1] for k in keys]))


async def insert_jobs(connection: Connection, jobs: Sequence[NewJob]) -> set[UUID]:
    """Inserts jobs in the given order with their tasks and first events.

    Returns:
        The jobs created; one whose subject has a live job already is left out.
    """
    rows = [
        (
            j.job_id,
            j.tenant_id,
            j.marketplace,
            j.account_id,
            j.product_id,
            j.site,
            j.action,
            j.manifest_version,
            j.assignment,
            j.is_duplicate,
            j.priority,
            j.max_retries,
            j.not_before_time,
            j.expire_after_seconds,
        )
        for j in jobs
    ]
    cursor = await connection.execute(_INSERT_JOBS, [list(column) for column in zip(*rows, strict=True)])
    created = {row[0] for row in await cursor.fetchall()}
    if created:
        await _insert_tasks(connection, [job for job in jobs if job.job_id in created])
        await connection.execute(_INSERT_CREATED, (list(created),))
    return created


async def _insert_tasks(connection: Connection, jobs: Sequence[NewJob]) -> None:
    rows = [
        (
            task.task_id,
            job.job_id,
            position,
            task.name,
            task.item_index,
            task.once_name,
            task.settle_seconds,
            task.start_to_close_seconds,
            task.schedule_to_start_seconds,
        )
        for job in jobs
        for position, task in enumerate(job.tasks)
    ]
    await connection.execute(_INSERT_TASKS, [list(column) for column in zip(*rows, strict=True)])


async def find_live_subjects(connection: Connection, jobs: Sequence[NewJob]) -> dict[UUID, UUID]:
    """Returns, for each refused job, the live job that has its subject."""
    columns = (
        [job.job_id for job in jobs],
        [job.account_id for job in jobs],
        [job.product_id for job in jobs],
        [job.action for job in jobs],
        [job.site for job in jobs],
    )
    cursor = await connection.execute(_FIND_SUBJECTS, columns)
    return {row[0]: row[1] for row in await cursor.fetchall()}
