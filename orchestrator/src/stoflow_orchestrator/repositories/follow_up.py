"""Appends tasks to live jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from stoflow.connector.v1.manifest_pb2 import Manifest

from stoflow_orchestrator.engine.follow_ups import Room
from stoflow_orchestrator.engine.records import Task

Connection = AsyncConnection[Any]

_FIND_ROOMS: LiteralString = """
    SELECT j.job_id, j.action, m.manifest, t.task_count, t.byte_count
      FROM public.live_jobs AS j
      JOIN public.connector_manifests AS m ON m.marketplace = j.marketplace AND m.version = j.manifest_version
      CROSS JOIN LATERAL (
          SELECT count(*), coalesce(sum(coalesce(octet_length(output::text), 0)
                                        + coalesce(octet_length(input::text), 0)), 0)::bigint
            FROM public.live_tasks WHERE job_id = j.job_id) AS t(task_count, byte_count)
     WHERE j.job_id = ANY(%s)"""

# The unique key on (job_id, position) is checked at the end of the statement.
_MAKE_ROOM: LiteralString = """
    UPDATE public.live_tasks AS t SET position = t.position + u.count
      FROM unnest(%b::uuid[], %b::int[], %b::int[]) AS u(job_id, position, count)
     WHERE t.job_id = u.job_id AND t.position >= u.position"""

_INSERT: LiteralString = """
    INSERT INTO public.live_tasks (task_id, job_id, position, name, item_index, once_name, settle_seconds,
        start_to_close_seconds, schedule_to_start_seconds, input, state, finish_time, attempt_count,
        failure_count, dispatch)
    SELECT u.task_id, u.job_id, u.position, u.name, u.item_index, u.once_name, u.settle_seconds,
           u.start_to_close_seconds, u.schedule_to_start_seconds, u.input::jsonb, u.state, u.finish_time, 0, 0, 0
      FROM unnest(%b::uuid[], %b::uuid[], %b::int[], %b::text[], %b::int[], %b::text[], %b::float8[], %b::float8[],
                  %b::float8[], %b::text[], %b::text[], %b::timestamptz[])
        AS u(task_id, job_id, position, name, item_index, once_name, settle_seconds, start_to_close_seconds,
             schedule_to_start_seconds, input, state, finish_time)"""


async def find_rooms(connection: Connection, job_ids: Collection[UUID]) -> dict[UUID, Room]:
    """Returns what may be appended to locked jobs; a job whose manifest is gone is absent."""
    cursor = await connection.execute(_FIND_ROOMS, (list(job_ids),))
    rooms: dict[UUID, Room] = {}
    for job_id, action, manifest, task_count, byte_count in await cursor.fetchall():
        actions = {spec.name: spec for spec in Manifest.FromString(manifest).actions}
        specs = {spec.name: spec for spec in actions[action].tasks if spec.follow_up}
        rooms[job_id] = Room(specs, task_count, byte_count)
    return rooms


async def insert_tasks(connection: Connection, tasks: Sequence[Task]) -> None:
    """Inserts tasks at their positions and moves those behind; the tasks of one job follow one another."""
    counts = Counter(task.job_id for task in tasks)
    firsts = {job_id: min(task.position for task in tasks if task.job_id == job_id) for job_id in counts}
    await connection.execute(_MAKE_ROOM, (list(counts), list(firsts.values()), list(counts.values())))
    rows = [
        (
            task.task_id,
            task.job_id,
            task.position,
            task.name,
            task.item_index,
            task.once_name,
            task.settle_seconds,
            task.start_to_close_seconds,
            task.schedule_to_start_seconds,
            task.input,
            task.state.value,
            task.finish_time,
        )
        for task in tasks
    ]
    await connection.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
