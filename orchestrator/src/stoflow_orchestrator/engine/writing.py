"""Writes a group's changes in the order in which locks are taken everywhere."""

from __future__ import annotations

from collections import Counter
from typing import Any

from psycopg import AsyncConnection
from stoflow.events.v1 import event_pb2

from stoflow_orchestrator.engine.batch_counts import batch_deltas, batch_ids
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.publication import OutgoingEvents, Publication
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.repositories import batch as batch_repository
from stoflow_orchestrator.repositories import dead_letter as dead_letter_repository
from stoflow_orchestrator.repositories import effect as effect_repository
from stoflow_orchestrator.repositories import follow_up as follow_up_repository
from stoflow_orchestrator.repositories import live as live_repository
from stoflow_orchestrator.repositories import outbox as outbox_repository
from stoflow_orchestrator.repositories import tenant_effects

Connection = AsyncConnection[Any]

RESULTS_SUBJECT = "stoflow.events.results"
# Keeps a message far below NATS' limit of 1 MiB; an event carries at most a failure without its raw body.
MAX_EVENTS_A_MESSAGE = 100
DEAD_STATES = frozenset({JobState.FAILED, JobState.EXPIRED})


async def write_changes(connection: Connection, changes: Changes) -> Publication:
    """Sends everything that is to be written; returns what is to be published once the transaction has committed.

    Called in a pipeline: a statement that fails does so when the pipeline ends, before the commit counts.
    """
    # Tenant statements first: each may have to wait for a tenant's migration, and fails after a short while.
    if changes.listings:
        await tenant_effects.apply_listings(connection, changes.listings)
    if changes.refused_accounts:
        await tenant_effects.refuse_accounts(connection, changes.refused_accounts)
    if changes.changed_jobs:
        await live_repository.update_jobs(connection, list(changes.changed_jobs.values()))
    progressed = [
        job for job_id, job in changes.progressed_jobs.items() if job_id not in changes.changed_jobs
    ]
    if progressed:
        await live_repository.progress_jobs(connection, progressed)
    if changes.appended_tasks:
        await follow_up_repository.insert_tasks(connection, changes.appended_tasks)
    if changes.changed_tasks:
        await live_repository.update_tasks(connection, list(changes.changed_tasks.values()))
    if changes.restarted_jobs:
        await live_repository.restart_jobs(connection, changes.restarted_jobs)
    if changes.ended_jobs:
        await live_repository.cancel_remaining_tasks(connection, changes.ended_jobs)
    if changes.changed_effects:
        await effect_repository.save_effects(connection, list(changes.changed_effects.values()))
    if changes.history:
        await live_repository.insert_history(connection, changes.history)
    await _write_dead_letters(connection, changes)
    events = await _write_facts(connection, changes)
    # Last: every group of a batch wants this one row, and holds it until its commit.
    if deltas := batch_deltas(changes):
        await batch_repository.add_counts(connection, deltas)
    return Publication(
        dispatches=changes.dispatches,
        events=events,
        changed_jobs=[*changes.changed_jobs, *changes.progressed_jobs, *batch_ids(changes)],
        history=changes.history,
        time=changes.now,
        directives=changes.directives,
        stirred=changes.stirred,
        queued={
            (job.marketplace, job.tenant_id)
            for job in changes.changed_jobs.values()
            if job.state is not JobState.RUNNING
        },
    )


async def _write_dead_letters(connection: Connection, changes: Changes) -> None:
    turned = [job for job in changes.changed_jobs.values() if job.state is not job.loaded_state]
    if dead := [job for job in turned if job.state in DEAD_STATES]:
        await dead_letter_repository.save(connection, dead)
    if revived := [job.job_id for job in turned if job.loaded_state in DEAD_STATES]:
        await dead_letter_repository.forget(connection, revived)


async def _write_facts(connection: Connection, changes: Changes) -> list[OutgoingEvents]:
    payloads = [
        event_pb2.EventBatch(events=changes.facts[i : i + MAX_EVENTS_A_MESSAGE]).SerializeToString()
        for i in range(0, len(changes.facts), MAX_EVENTS_A_MESSAGE)
    ]
    if not payloads:
        return []
    ended = Counter(
        f"{job.marketplace}/{job.priority}" for job in map(changes.jobs.__getitem__, changes.ended_jobs)
    )
    return await outbox_repository.append(connection, RESULTS_SUBJECT, payloads, ended)
