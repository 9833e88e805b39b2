"""Locks the jobs that commands name and loads what the commands may need: in a pipeline, one round trip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.commands import Command
from stoflow_orchestrator.engine.records import Task, effect_key
from stoflow_orchestrator.repositories import connector as connector_repository
from stoflow_orchestrator.repositories import effect as effect_repository
from stoflow_orchestrator.repositories import follow_up as follow_up_repository
from stoflow_orchestrator.repositories import live as live_repository

Connection = AsyncConnection[Any]


async def load_for_commands(connection: Connection, commands: Sequence[Command[Any]]) -> Changes:
    """Loads jobs, tasks, outputs, effects and connector instances for a group of commands."""
    job_ids = {command.job_id for command in commands}
    task_ids = {task_id for command in commands if (task_id := command.names_task) is not None}
    with_next = {command.job_id for command in commands if command.needs_next_task}
    with_outputs = {command.job_id for command in commands if command.needs_outputs}
    instance_ids = {i for command in commands if (i := command.names_instance) is not None}
    # Sent together, answered in turn: the tasks are read once the jobs are locked.
    jobs_cursor = await live_repository.lock_jobs(connection, job_ids)
    tasks_cursor = await live_repository.load_tasks(connection, job_ids, task_ids, with_next)
    outputs_cursor = await live_repository.load_outputs(connection, with_outputs) if with_outputs else None
    instances_cursor = (
        await connector_repository.load_instances(connection, instance_ids) if instance_ids else None
    )
    now, jobs = await live_repository.read_jobs(jobs_cursor)
    changes = Changes(now=now, jobs={job.job_id: job for job in jobs})
    _add_tasks(changes, await live_repository.read_tasks(tasks_cursor))
    if outputs_cursor is not None:
        changes.outputs = await live_repository.read_outputs(outputs_cursor)
    if instances_cursor is not None:
        instances = await connector_repository.read_instances(instances_cursor)
        changes.instances = {instance.instance_id: instance for instance in instances}
    await _load_effects(connection, changes)
    if appending := {command.job_id for command in commands if command.appends_tasks}:
        changes.rooms = await follow_up_repository.find_rooms(connection, appending)
    return changes


async def load_jobs(connection: Connection, job_ids: Collection[UUID]) -> Changes:
    """Loads jobs with the tasks that they stand at."""
    jobs_cursor = await live_repository.lock_jobs(connection, job_ids)
    tasks_cursor = await live_repository.load_tasks(connection, job_ids)
    now, jobs = await live_repository.read_jobs(jobs_cursor)
    changes = Changes(now=now, jobs={job.job_id: job for job in jobs})
    _add_tasks(changes, await live_repository.read_tasks(tasks_cursor))
    return changes


def _add_tasks(changes: Changes, tasks: Iterable[Task]) -> None:
    # A job that was archived when the jobs were locked may be live again when the tasks are read; nobody here
    # holds its lock.
    changes.add_tasks(task for task in tasks if task.job_id in changes.jobs)


async def _load_effects(connection: Connection, changes: Changes) -> None:
    keys = {effect_key(changes.jobs[task.job_id], task) for task in changes.tasks.values() if task.is_once}
    if keys:
        effects = await effect_repository.lock_effects(connection, keys)
        changes.effects = {effect.key: effect for effect in effects}
