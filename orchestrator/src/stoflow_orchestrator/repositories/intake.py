"""Creates jobs: request ids, jobs, tasks and first events, a group at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.engine.intake import NewJob
from stoflow_orchestrator.repositories.arrays import bigints, blobs, bools, floats, ints, texts, times, uuids

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

# The order of insertion is the order of creation: identity values follow it. A job whose subject has a live job is left
# out, with its tasks.
_INSERT_JOBS: LiteralString = """
    WITH created AS (
        INSERT INTO public.live_jobs (job_id, tenant_id, marketplace, account_id, product_id, site, action,
            manifest_version, assignment, is_duplicate, priority, max_retries, not_before_time, next_time, expire_time,
            create_time, state, run, task_position, event_sequence)
        SELECT u.job_id, u.tenant_id, u.marketplace, u.account_id, u.product_id, u.site, u.action,
               u.manifest_version, u.assignment, u.is_duplicate, u.priority, u.max_retries, u.not_before_time,
               coalesce(u.not_before_time, now()),
               greatest(u.not_before_time, now()) + make_interval(secs => u.expire_after_seconds), now(), 'PENDING',
               1, 0, 1
          FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b) WITH ORDINALITY
            AS u(job_id, tenant_id, marketplace, account_id, product_id, site, action, manifest_version, assignment,
                 is_duplicate, priority, max_retries, not_before_time, expire_after_seconds, place)
         ORDER BY u.place
            ON CONFLICT (account_id, product_id, action, site)
               WHERE state IN ('PENDING', 'RUNNING', 'PAUSED') AND NOT is_duplicate
               DO NOTHING
        RETURNING job_id, create_time
    ), tasks AS (
        INSERT INTO public.live_tasks (task_id, job_id, position, name, item_index, once_name, settle_seconds,
            start_to_close_seconds, schedule_to_start_seconds, state, attempt_count, failure_count, dispatch)
        SELECT u.task_id, u.job_id, u.position, u.name, u.item_index, u.once_name, u.settle_seconds,
               u.start_to_close_seconds, u.schedule_to_start_seconds, 'PENDING', 0, 0, 0
          FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b)
            AS u(task_id, job_id, position, name, item_index, once_name, settle_seconds, start_to_close_seconds,
                 schedule_to_start_seconds)
         WHERE u.job_id IN (SELECT job_id FROM created)
    ), history AS (
        INSERT INTO public.live_events (job_id, sequence, type, occur_time, job_state, attempt, actor)
        SELECT job_id, 1, 'CREATED', now(), 'PENDING', 0, 'caller' FROM created
    )
    SELECT job_id, create_time FROM created"""

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
    columns = (
        bigints([job.tenant_id for job in jobs]),
        uuids([job.request_id for job in jobs]),
        texts([job.method for job in jobs]),
        blobs([job.body_sha256 for job in jobs]),
        texts([str(job.job_id) for job in jobs]),
    )
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


async def insert_jobs(connection: Connection, jobs: Sequence[NewJob]) -> dict[UUID, datetime]:
    """Inserts jobs in the given order with their tasks and first events.

    Returns:
        When they were created, by job; one whose subject has a live job already is left out.
    """
    tasks = [(job.job_id, position, task) for job in jobs for position, task in enumerate(job.tasks)]
    columns = (
        uuids([j.job_id for j in jobs]),
        bigints([j.tenant_id for j in jobs]),
        texts([j.marketplace for j in jobs]),
        uuids([j.account_id for j in jobs]),
        uuids([j.product_id for j in jobs]),
        texts([j.site for j in jobs]),
        texts([j.action for j in jobs]),
        texts([j.manifest_version for j in jobs]),
        blobs([j.assignment for j in jobs]),
        bools([j.is_duplicate for j in jobs]),
        ints([j.priority for j in jobs]),
        ints([j.max_retries for j in jobs]),
        times([j.not_before_time for j in jobs]),
        floats([j.expire_after_seconds for j in jobs]),
        uuids([task.task_id for _, _, task in tasks]),
        uuids([job_id for job_id, _, _ in tasks]),
        ints([position for _, position, _ in tasks]),
        texts([task.name for _, _, task in tasks]),
        ints([task.item_index for _, _, task in tasks]),
        texts([task.once_name for _, _, task in tasks]),
        floats([task.settle_seconds for _, _, task in tasks]),
        floats([task.start_to_close_seconds for _, _, task in tasks]),
        floats([task.schedule_to_start_seconds for _, _, task in tasks]),
    )
    cursor = await connection.execute(_INSERT_JOBS, columns, binary=True)
    return dict(await cursor.fetchall())


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
