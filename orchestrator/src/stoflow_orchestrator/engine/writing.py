"""Writes a group's changes in the order in which locks are taken everywhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuid_utils
from psycopg import AsyncConnection
from stoflow.events.v1 import event_pb2

from stoflow_orchestrator.engine.batch_counts import batch_deltas, batch_ids
from stoflow_orchestrator.engine.changes import Changes
from stoflow_orchestrator.engine.publication import OutgoingEvents, Publication
from stoflow_orchestrator.lifecycle import JobState
from stoflow_orchestrator.repositories import batch as batch_repository
from stoflow_orchestrator.repositories import dead_letter as dead_letter_repository
from stoflow_orchestrator.repositories import effect as effect_repository
from stoflow_orchestrator.repositories import findings as findings_repository
from stoflow_orchestrator.repositories import follow_up as follow_up_repository
from stoflow_orchestrator.repositories import gate as gate_repository
from stoflow_orchestrator.repositories import live as live_repository
from stoflow_orchestrator.repositories import tenant_effects

Connection = AsyncConnection[Any]

RESULTS_SUBJECT = "stoflow.events.results"
# Keeps a message far below NATS' limit of 1 MiB; an event carries at most a failure without its raw body.
MAX_EVENTS_A_MESSAGE = 100
DEAD_STATES = frozenset({JobState.FAILED, JobState.EXPIRED})


async def write_changes(
    connection: Connection, changes: Changes, acknowledged: Sequence[UUID] = ()
) -> Publication:
    """Sends everything that is to be written; returns what is to be published once the transaction has committed.

    Called in a pipeline: a statement that fails does so when the pipeline ends, before the commit counts.

    Args:
        connection: In the transaction that loaded the changes.
        changes: What was decided.
        acknowledged: Messages that may leave the outbox.
    """
    # Tenant statements first: each may have to wait for a tenant's migration, and fails after a short while.
    if changes.listings:
        await tenant_effects.apply_listings(connection, changes.listings)
    if changes.findings:
        await findings_repository.apply_findings(connection, changes.findings)
    if changes.refused_accounts:
        await tenant_effects.refuse_accounts(connection, changes.refused_accounts)
    if changes.limited_accounts or changes.limited_marketplaces:
        await gate_repository.hold_back(connection, changes.limited_accounts, changes.limited_marketplaces)
    if changes.appended_tasks:
        await follow_up_repository.insert_tasks(connection, changes.appended_tasks)
    rows = live_repository.Rows(
        jobs=list({**changes.progressed_jobs, **changes.changed_jobs}.values()),
        tasks=list(changes.changed_tasks.values()),
        history=changes.history,
        messages=_outgoing_events(changes),
        ended_counts=_ended_counts(changes),
        acknowledged=acknowledged,
    )
    await live_repository.write(connection, rows)
    if changes.restarted_jobs:
        await live_repository.restart_jobs(connection, changes.restarted_jobs)
    if changes.ended_jobs:
        await live_repository.cancel_remaining_tasks(connection, changes.ended_jobs)
    if changes.changed_effects:
        await effect_repository.save_effects(connection, list(changes.changed_effects.values()))
    if changes.late_remote_ids:
        await effect_repository.add_late_remote_ids(connection, changes.late_remote_ids)
    await _write_dead_letters(connection, changes)
    # Last: every group of a batch wants this one row, and holds it until its commit.
    if deltas := batch_deltas(changes):
        await batch_repository.add_counts(connection, deltas)
    return Publication(
        dispatches=changes.dispatches,
        events=rows.messages,
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


def _outgoing_events(changes: Changes) -> list[OutgoingEvents]:
    groups = (
        changes.facts[start : start + MAX_EVENTS_A_MESSAGE]
        for start in range(0, len(changes.facts), MAX_EVENTS_A_MESSAGE)
    )
    return [
        OutgoingEvents(
            uuid_utils.uuid7(), RESULTS_SUBJECT, event_pb2.EventBatch(events=group).SerializeToString()
        )
        for group in groups
    ]


def _ended_counts(changes: Changes) -> str | None:
    """Returns how many runs ended, by "marketplace/priority"."""
    if not changes.ended_jobs:
        return None
    return json.dumps(
        Counter(
            f"{job.marketplace}/{job.priority}" for job in map(changes.jobs.__getitem__, changes.ended_jobs)
        )
    )
