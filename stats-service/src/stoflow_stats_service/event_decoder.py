"""From the bytes of a message to facts; everything is checked here, so that what is behind it can be trusted.

The checks are also what keeps one wrong event from making PostgreSQL refuse a whole batch, again and again.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.common.v1 import failure_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_stats_service.errors import MalformedEventError, MalformedMessageError
from stoflow_stats_service.facts import (
    ActionHour,
    AttemptEnded,
    AttemptOutcome,
    ErrorKind,
    Fact,
    RunEnded,
    RunOutcome,
    UnknownFact,
)
from stoflow_stats_service.window import hour_start

MAX_EVENT_ID_CHARACTERS = 200
MAX_CODE_CHARACTERS = 200
# Longer is a fault of a clock, and a few thousand such sums would leave the range of a 64-bit integer.
MAX_DURATION_SECONDS = 10 * 366 * 86_400
_LAST_SECOND = 253_402_300_799

_MARKETPLACE = re.compile(r"[a-z][a-z0-9-]{0,31}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

# Numbers, not enum values: the generated values are plain integers, and unknown ones must be looked up too.
_RUN_OUTCOMES: dict[int, RunOutcome] = {
    job_pb2.JOB_STATE_COMPLETED: RunOutcome.COMPLETED,
    job_pb2.JOB_STATE_FAILED: RunOutcome.FAILED,
    job_pb2.JOB_STATE_CANCELLED: RunOutcome.CANCELLED,
    job_pb2.JOB_STATE_EXPIRED: RunOutcome.EXPIRED,
}
_ATTEMPT_OUTCOMES: dict[int, AttemptOutcome] = {
    event_pb2.ATTEMPT_OUTCOME_COMPLETED: AttemptOutcome.COMPLETED,
    event_pb2.ATTEMPT_OUTCOME_RETRIED: AttemptOutcome.RETRIED,
    event_pb2.ATTEMPT_OUTCOME_FAILED: AttemptOutcome.FAILED,
}


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """What a message holds.

    Attributes:
        facts: What can be counted, in the order of the message.
        malformed: What cannot, each with its reasons.
        newest_second: Seconds since 1970 of the newest of the facts; 0 for none.
    """

    facts: list[Fact]
    malformed: list[MalformedEventError]
    newest_second: int


def decode_batch(payload: bytes) -> DecodedBatch:
    """Reads a message.

    Raises:
        MalformedMessageError: The bytes are no EventBatch, or one without events.
    """
    try:
        batch = event_pb2.EventBatch.FromString(payload)
    except DecodeError as error:
        raise MalformedMessageError("the payload is no EventBatch") from error
    # Foreign bytes often parse, as nothing but fields that nobody knows.
    if not batch.events:
        raise MalformedMessageError("the batch holds no event")
    facts: list[Fact] = []
    malformed: list[MalformedEventError] = []
    newest_second = 0
    for event in batch.events:
        try:
            facts.append(decode_event(event))
        except MalformedEventError as error:
            malformed.append(error)
        else:
            newest_second = max(newest_second, event.occur_time.seconds)
    return DecodedBatch(facts, malformed, newest_second)


def decode_event(event: event_pb2.Event) -> Fact:
    """Reads one event.

    Raises:
        MalformedEventError: It cannot be counted; the text lists everything that is wrong.
    """
    problems: list[str] = []
    if not 0 < len(event.event_id) <= MAX_EVENT_ID_CHARACTERS or "\0" in event.event_id:
        problems.append(f"event_id must hold 1 to {MAX_EVENT_ID_CHARACTERS} characters, none of them NUL")
    kind = event.WhichOneof("fact")
    fact: Fact
    if kind == "run_finished":
        fact = _run(event, event.run_finished, problems)
    elif kind == "attempt_finished":
        fact = _attempt(event, event.attempt_finished, problems)
    else:
        fact = UnknownFact(event.event_id)
    if problems:
        raise MalformedEventError(
            f"event {event.event_id[:MAX_EVENT_ID_CHARACTERS]!r}: {'; '.join(problems)}"
        )
    return fact


def _run(event: event_pb2.Event, run: event_pb2.RunFinished, problems: list[str]) -> RunEnded:
    outcome = _RUN_OUTCOMES.get(run.state)
    if outcome is None:
        problems.append(f"run_finished.state {run.state} is no state in which a run ends")
    if event.run < 1:
        problems.append(f"run must be at least 1, not {event.run}")
    has_run, has_queue = run.HasField("run_duration"), run.HasField("queue_duration")
    return RunEnded(
        event_id=event.event_id,
        at=_action_hour(event, problems),
        outcome=outcome or RunOutcome.FAILED,
        is_retry=event.run > 1,
        run_us=_microseconds(run.run_duration, "run_duration", problems) if has_run else None,
        queue_us=_microseconds(run.queue_duration, "queue_duration", problems) if has_queue else None,
        error=_error_kind(run.failure) if run.HasField("failure") else None,
    )


def _attempt(event: event_pb2.Event, attempt: event_pb2.AttemptFinished, problems: list[str]) -> AttemptEnded:
    outcome = _ATTEMPT_OUTCOMES.get(attempt.outcome)
    if outcome is None:
        problems.append(f"attempt_finished.outcome {attempt.outcome} is unknown")
    if _NAME.fullmatch(attempt.task_name) is None:
        problems.append(f"attempt_finished.task_name must match {_NAME.pattern}")
    has_duration = attempt.HasField("duration")
    return AttemptEnded(
        event_id=event.event_id,
        at=_action_hour(event, problems),
        task_name=attempt.task_name,
        outcome=outcome or AttemptOutcome.FAILED,
        duration_us=_microseconds(attempt.duration, "duration", problems) if has_duration else None,
        error=_error_kind(attempt.failure) if attempt.HasField("failure") else None,
    )


def _action_hour(event: event_pb2.Event, problems: list[str]) -> ActionHour:
    if event.tenant_id < 1:
        problems.append(f"tenant_id must be at least 1, not {event.tenant_id}")
    problems.extend(_name_problems(event.marketplace, event.action))
    return ActionHour(event.tenant_id, _hour(event.occur_time, problems), event.marketplace, event.action)


# Tenants share a handful of actions: patterns are matched once for each.
@lru_cache(maxsize=1024)
def _name_problems(marketplace: str, action: str) -> tuple[str, ...]:
    named = (("marketplace", marketplace, _MARKETPLACE), ("action", action, _NAME))
    return tuple(
        f"{field} must match {pattern.pattern}"
        for field, value, pattern in named
        if pattern.fullmatch(value) is None
    )


_hour_start = lru_cache(maxsize=1024)(hour_start)


def _hour(time: Timestamp, problems: list[str]) -> datetime:
    seconds = time.seconds
    if not 0 < seconds <= _LAST_SECOND:
        problems.append("occur_time must be set, after 1970 and before the year 10000")
        seconds = 0
    return _hour_start(seconds - seconds % 3600)


def _microseconds(duration: Duration, name: str, problems: list[str]) -> int:
    if duration.seconds > MAX_DURATION_SECONDS:
        problems.append(f"{name} must not be longer than ten years")
        return 0
    # A database's clock may be set back between two readings; the run ended all the same and must be counted.
    return max(duration.seconds * 1_000_000 + duration.nanos // 1_000, 0)


def _error_kind(failure: failure_pb2.Failure) -> ErrorKind:
    # PostgreSQL stores no NUL; a marketplace's code is worth less than the count of the failure.
    return ErrorKind(failure.error_class, failure.code.replace("\0", "")[:MAX_CODE_CHARACTERS])
