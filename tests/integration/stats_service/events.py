"""Result events as the orchestrator publishes them, and a recount of them that uses nothing of the service."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from stoflow.common.v1 import failure_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2

JOB_COLUMNS = (
    "total_count, success_count, failure_count, cancelled_count, expired_count, retried_count,"
    " run_count, run_us_sum, run_us_min, run_us_max, queue_count, queue_us_sum, queue_us_min, queue_us_max"
)
TASK_COLUMNS = (
    "attempt_count, completed_count, retried_count, failed_count,"
    " duration_count, duration_us_sum, duration_us_min, duration_us_max"
)
RUN_STATES = (
    job_pb2.JOB_STATE_COMPLETED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_CANCELLED,
    job_pb2.JOB_STATE_EXPIRED,
)
ATTEMPT_OUTCOMES = (
    event_pb2.ATTEMPT_OUTCOME_COMPLETED,
    event_pb2.ATTEMPT_OUTCOME_RETRIED,
    event_pb2.ATTEMPT_OUTCOME_FAILED,
)
ERROR_CLASSES = (failure_pb2.ERROR_CLASS_RETRYABLE, failure_pb2.ERROR_CLASS_PERMANENT)
# Europe sets its clocks forward.
SHORT_DAY = datetime(2026, 3, 29, tzinfo=UTC)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def run_finished(
    *,
    state: job_pb2.JobState.ValueType = job_pb2.JOB_STATE_COMPLETED,
    at: datetime = NOON,
    tenant_id: int = 42,
    marketplace: str = "ebay",
    action: str = "publish",
    run: int = 1,
    run_us: int | None = None,
    queue_us: int | None = None,
) -> event_pb2.Event:
    """Makes the end of a run with an id of its own."""
    job_id = str(uuid.uuid4())
    event = event_pb2.Event(
        event_id=f"{job_id}:{run}",
        tenant_id=tenant_id,
        marketplace=marketplace,
        action=action,
        job_id=job_id,
        run=run,
    )
    event.occur_time.FromDatetime(at)
    event.run_finished.state = state
    if run_us is not None:
        event.run_finished.run_duration.FromMicroseconds(run_us)
    if queue_us is not None:
        event.run_finished.queue_duration.FromMicroseconds(queue_us)
    return event


def random_events(count: int, seed: int, day: datetime = SHORT_DAY) -> list[event_pb2.Event]:
    """Makes runs and attempts of a few tenants over the first hours of a day."""
    rng = random.Random(seed)
    return [_random_event(rng, day) for _ in range(count)]


def _random_event(rng: random.Random, day: datetime) -> event_pb2.Event:
    event = run_finished(
        state=rng.choice(RUN_STATES),
        at=day.replace(
            hour=rng.randrange(4), minute=rng.randrange(60), second=rng.randrange(60), microsecond=999_999
        ),
        tenant_id=rng.randrange(1, 4),
        marketplace=rng.choice(["ebay", "etsy"]),
        action=rng.choice(["publish", "update"]),
        run=rng.choice([1, 1, 2]),
        run_us=rng.choice([None, rng.randrange(10**9)]),
        queue_us=rng.choice([None, rng.randrange(10**9)]),
    )
    if rng.random() < 0.6:
        attempt = event.attempt_finished
        attempt.task_name = rng.choice(["upload_image", "create_offer", "publish_offer"])
        attempt.outcome = rng.choice(ATTEMPT_OUTCOMES)
        attempt.duration.FromMicroseconds(rng.randrange(10**8))
        if attempt.outcome != event_pb2.ATTEMPT_OUTCOME_COMPLETED:
            attempt.failure.error_class = rng.choice(ERROR_CLASSES)
            attempt.failure.code = rng.choice(["", "25002"])
    elif event.run_finished.state in {job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_EXPIRED}:
        event.run_finished.failure.error_class = rng.choice(ERROR_CLASSES)
        event.run_finished.failure.code = "25002"
    return event


def recount(events: Iterable[event_pb2.Event]) -> dict[str, dict[Any, tuple[Any, ...]]]:
    """Counts events whose ids differ: rows of the three tables by key, in the order of their columns."""
    jobs, tasks, errors = defaultdict(list), defaultdict(list), defaultdict(list)
    for event in events:
        hour = event.occur_time.ToDatetime(tzinfo=UTC).replace(minute=0, second=0, microsecond=0)
        key = (event.tenant_id, hour, event.marketplace, event.action)
        is_run = event.WhichOneof("fact") == "run_finished"
        fact: Any = event.run_finished if is_run else event.attempt_finished
        if is_run:
            jobs[key].append(event)
        else:
            tasks[(*key, fact.task_name)].append(fact)
        if fact.HasField("failure"):
            scope = "RUN" if is_run else "ATTEMPT"
            errors[(*key, scope, fact.failure.error_class, fact.failure.code)].append(fact)
    return {
        "jobs": {key: _job_row(members) for key, members in jobs.items()},
        "tasks": {key: _task_row(members) for key, members in tasks.items()},
        "errors": {key: (len(members),) for key, members in errors.items()},
    }


def _job_row(events: list[event_pb2.Event]) -> tuple[Any, ...]:
    runs = [event.run_finished for event in events]
    run_us = [run.run_duration.ToMicroseconds() for run in runs if run.HasField("run_duration")]
    queue_us = [run.queue_duration.ToMicroseconds() for run in runs if run.HasField("queue_duration")]
    return (
        len(runs),
        *(sum(run.state == state for run in runs) for state in RUN_STATES),
        sum(event.run > 1 for event in events),
        *(len(run_us), sum(run_us), min(run_us, default=None), max(run_us, default=None)),
        *(len(queue_us), sum(queue_us), min(queue_us, default=None), max(queue_us, default=None)),
    )


def _task_row(attempts: list[event_pb2.AttemptFinished]) -> tuple[Any, ...]:
    durations = [attempt.duration.ToMicroseconds() for attempt in attempts]
    return (
        len(attempts),
        *(sum(attempt.outcome == outcome for attempt in attempts) for outcome in ATTEMPT_OUTCOMES),
        *(len(durations), sum(durations), min(durations), max(durations)),
    )
