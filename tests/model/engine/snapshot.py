"""What the database says, and what the reference says, in one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import sql
from stoflow.common.v1 import failure_pb2

from stoflow_orchestrator.lifecycle import JobState, TaskState
from tests.model.engine.calls import Calls
from tests.model.engine.engine import Place
from tests.model.engine.rows import MINUTE, JobRow, TaskRow

# Times as whole minutes from now: jumps are whole minutes, and an example takes far less than half of one.
_JOBS = """
    SELECT job_id, state, wait_reason, run, task_position, admit_time IS NOT NULL, event_sequence, failure,
           CASE WHEN state IN ('PENDING', 'PAUSED') AND next_time > queue_time
                THEN round(extract(epoch FROM next_time - now()) / 60)::bigint END,
           round(extract(epoch FROM expire_time - now()) / 60)::bigint,
           start_time IS NOT NULL, finish_time IS NOT NULL, false
      FROM public.live_jobs"""
_ARCHIVED_JOBS = """
    SELECT job_id, state, NULL, run, task_position, false, event_sequence, failure, NULL,
           round(extract(epoch FROM expire_time - now()) / 60)::bigint, start_time IS NOT NULL, true, true
      FROM {schema}.marketplace_jobs"""
_TASKS = """
    SELECT task_id, state, attempt_count, failure_count, dispatch,
           round(extract(epoch FROM dispatch_time - now()) / 60)::bigint, lease_token,
           round(extract(epoch FROM lease_expire_time - now()) / 60)::bigint,
           round(extract(epoch FROM deadline_time - now()) / 60)::bigint,
           instance_id, accepted_token, output ->> 'v', finish_time IS NOT NULL
      FROM public.live_tasks"""
_ARCHIVED_TASKS = """
    SELECT task_id, state, attempt_count, failure_count, dispatch, NULL, NULL, NULL, NULL, NULL,
           accepted_token, output ->> 'v', true
      FROM {schema}.marketplace_tasks"""
_EVENTS = (
    "SELECT job_id, sequence, type, job_state, wait_reason, task_position, attempt FROM public.live_events"
)
_ARCHIVED_EVENTS = """
    SELECT job_id, sequence, type, job_state, wait_reason, task_position, attempt FROM {schema}.job_events"""
_EFFECTS = """
    SELECT account_id, product_id, name, state, mode, generation, remote_id, task_id,
           CASE WHEN last_send_time > now() - interval '10 years'
                THEN round(extract(epoch FROM last_send_time - now()) / 60)::bigint END
      FROM public.effects"""
_ACCOUNTS = """
    SELECT g.account_id, g.state = 'CONNECTED', a.state = 'CONNECTED'
      FROM public.account_gates AS g JOIN {schema}.accounts AS a USING (account_id)"""

_DEAD_LETTERS = "SELECT job_id, run, state FROM public.dead_letters"

Rows = list[tuple[Any, ...]]


class Snapshots:
    """The statements for one tenant."""

    def __init__(self, place: Place) -> None:
        schema = sql.Identifier(f"user_{place.tenant_id}")
        self._place = place
        live = (_JOBS, _TASKS, _EVENTS)
        archived = (_ARCHIVED_JOBS, _ARCHIVED_TASKS, _ARCHIVED_EVENTS)
        rest = (sql.SQL(_EFFECTS), sql.SQL(_ACCOUNTS).format(schema=schema), sql.SQL(_DEAD_LETTERS))
        both = (
            sql.SQL("{} UNION ALL {}").format(sql.SQL(one), sql.SQL(other).format(schema=schema))
            for one, other in zip(live, archived, strict=True)
        )
        self._live = [statement.as_bytes() for statement in (*map(sql.SQL, live), *rest)]
        self._all = [statement.as_bytes() for statement in (*both, *rest)]

    async def read(self, *, with_history: bool) -> list[Rows]:
        """Reads everything in one round trip."""
        statements = self._all if with_history else self._live
        async with self._place.pool.connection() as connection, connection.pipeline():
            cursors = [await connection.execute(statement, binary=True) for statement in statements]
            return [await cursor.fetchall() for cursor in cursors]


def compare(found: list[Rows], reference: Calls) -> None:
    """Asserts that the database says what the reference says, and what must hold whatever happened."""
    jobs, tasks, events, effects, accounts, dead_letters = found
    expected_jobs = {job.job_id: _expected_job(job, reference.now) for job in reference.jobs.values()}
    expect_same("jobs", {row[0]: _job(row) for row in jobs}, expected_jobs)
    expected_tasks = {
        task.task_id: _expected_task(task, reference.now)
        for job in reference.jobs.values()
        for task in job.tasks
    }
    expect_same("tasks", {row[0]: row[1:] for row in tasks}, expected_tasks)
    _compare_histories(events, reference)
    expected_effects = {
        tuple(key): (
            effect.state,
            effect.mode,
            effect.generation,
            effect.remote_id,
            effect.task,
            _minutes(effect.last_send, reference.now),
        )
        for key, effect in reference.effects.items()
    }
    expect_same("effects", {tuple(row[:3]): row[3:] for row in effects}, expected_effects)
    # Admission's gate and the tenant's own row agree.
    expected_accounts = {account: (state, state) for account, state in reference.accounts.items()}
    expect_same("accounts", {row[0]: row[1:] for row in accounts}, expected_accounts)
    failed = (JobState.FAILED, JobState.EXPIRED)
    dead = {job.job_id: (job.run, job.state) for job in reference.jobs.values() if job.state in failed}
    expect_same("dead letters", {row[0]: row[1:] for row in dead_letters}, dead)
    _check_slots(jobs, tasks, reference)


def expect_same(what: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Asserts that two mappings are equal; names what differs."""
    keys = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
    lines = [f"{key}\n  found    {found.get(key)}\n  expected {expected.get(key)}" for key in keys]
    assert not keys, "\n".join([f"{what} differ", *lines])


def _job(row: tuple[Any, ...]) -> tuple[Any, ...]:
    failure = failure_pb2.Failure.FromString(row[7]).code if row[7] is not None else None
    return (*row[1:7], failure, *row[8:])


def _expected_job(job: JobRow, now: int) -> tuple[Any, ...]:
    is_held = job.state in (JobState.PENDING, JobState.PAUSED)
    was_admitted = "ADMITTED" in _run_of(job)
    return (
        job.state,
        job.wait_reason,
        job.run,
        job.position,
        job.has_slot,
        len(job.history),
        job.failure,
        _minutes(job.held_until, now) if is_held else None,
        _minutes(job.expire_at, now),
        was_admitted,
        not job.is_live,
        job.is_archived,
    )


def _run_of(job: JobRow) -> list[str]:
    """Returns the types of the entries of the newest run."""
    types = [entry.type for entry in job.history]
    begins = [place for place, type_ in enumerate(types) if type_ == "RETRIED"]
    return types[begins[-1] :] if begins else types


def _expected_task(task: TaskRow, now: int) -> tuple[Any, ...]:
    return (
        task.state,
        task.attempts,
        task.failures,
        task.dispatch,
        _minutes(task.dispatched_at, now),
        task.token,
        _minutes(task.lease_until, now),
        _minutes(task.deadline, now),
        task.instance,
        task.accepted,
        task.output,
        task.state.is_terminal,
    )


def _minutes(time: int | None, now: int) -> int | None:
    return None if time is None else (time - now) // MINUTE


def _compare_histories(events: Rows, reference: Calls) -> None:
    histories: dict[UUID, list[tuple[Any, ...]]] = {}
    for job_id, *entry in sorted(events, key=lambda row: row[:2]):
        histories.setdefault(job_id, []).append(tuple(entry))
    expected = {
        job.job_id: [(number, *entry) for number, entry in enumerate(job.history, start=1)]
        for job in reference.jobs.values()
    }
    # Numbered without gaps, and nothing written twice.
    expect_same("histories", histories, expected)


def _check_slots(jobs: Rows, tasks: Rows, reference: Calls) -> None:
    admitted = [reference.jobs[row[0]] for row in jobs if row[5]]
    subjects = [(job.account, job.product or job.action) for job in admitted]
    assert len(subjects) == len(set(subjects)), "one admitted job for an account and product"
    leased = [row for row in tasks if row[6] is not None]
    assert all(row[1] == TaskState.RUNNING for row in leased)
    assert len(leased) == sum(row[1] == TaskState.RUNNING for row in tasks), "what runs has a lease"
    running = {job.job_id for job in admitted}
    owners = {task.task_id: job.job_id for job in reference.jobs.values() for task in job.tasks}
    assert {owners[row[0]] for row in leased} <= running, "a lease holds its job's slot"
    for row in jobs:
        ends = sum(event in _ENDS for event in _run_of(reference.jobs[row[0]]))
        assert ends == (row[1] in _ENDS), "one terminal event a run"


_ENDS = {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}
