"""Events become facts, and everything wrong with one is told at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stoflow.common.v1 import failure_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_stats_service.errors import MalformedEventError, MalformedMessageError
from stoflow_stats_service.event_decoder import MAX_DURATION_SECONDS, decode_batch, decode_event
from stoflow_stats_service.facts import (
    ActionHour,
    AttemptEnded,
    AttemptOutcome,
    ErrorKind,
    RunEnded,
    RunOutcome,
    UnknownFact,
)

OCCUR_SECONDS = int(datetime(2026, 1, 5, 10, 59, 59, tzinfo=UTC).timestamp())
AT = ActionHour(42, datetime(2026, 1, 5, 10, tzinfo=UTC), "ebay", "publish")


def new_event() -> event_pb2.Event:
    event = event_pb2.Event(
        event_id="run:1", tenant_id=42, marketplace="ebay", action="publish", job_id="job", run=1
    )
    event.occur_time.seconds = OCCUR_SECONDS
    event.occur_time.nanos = 999_999_999
    return event


def run_event(state: job_pb2.JobState.ValueType = job_pb2.JOB_STATE_COMPLETED) -> event_pb2.Event:
    event = new_event()
    event.run_finished.state = state
    return event


def attempt_event() -> event_pb2.Event:
    event = new_event()
    event.attempt_finished.task_name = "publish_offer"
    event.attempt_finished.attempt = 2
    event.attempt_finished.outcome = event_pb2.ATTEMPT_OUTCOME_RETRIED
    return event


def test_a_run_keeps_its_hour_outcome_durations_and_error() -> None:
    """A finished run becomes one fact in whole microseconds, in the UTC hour in which it ended."""
    event = run_event(job_pb2.JOB_STATE_FAILED)
    event.run = 2
    event.run_finished.run_duration.FromNanoseconds(1_500_000_999)
    event.run_finished.queue_duration.FromMicroseconds(0)
    event.run_finished.failure.error_class = failure_pb2.ERROR_CLASS_PERMANENT
    event.run_finished.failure.code = "25002"
    assert decode_event(event) == RunEnded(
        event_id="run:1",
        at=AT,
        outcome=RunOutcome.FAILED,
        is_retry=True,
        run_us=1_500_000,
        queue_us=0,
        error=ErrorKind(4, "25002"),
    )


def test_an_attempt_keeps_its_task_name() -> None:
    """A finished attempt becomes one fact; what is absent stays absent."""
    assert decode_event(attempt_event()) == AttemptEnded(
        event_id="run:1",
        at=AT,
        task_name="publish_offer",
        outcome=AttemptOutcome.RETRIED,
        duration_us=None,
        error=None,
    )


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (job_pb2.JOB_STATE_COMPLETED, RunOutcome.COMPLETED),
        (job_pb2.JOB_STATE_FAILED, RunOutcome.FAILED),
        (job_pb2.JOB_STATE_CANCELLED, RunOutcome.CANCELLED),
        (job_pb2.JOB_STATE_EXPIRED, RunOutcome.EXPIRED),
    ],
)
def test_each_terminal_state_is_an_outcome(state: job_pb2.JobState.ValueType, outcome: RunOutcome) -> None:
    """Every state in which a run can end is counted as what it is."""
    fact = decode_event(run_event(state))
    assert isinstance(fact, RunEnded)
    assert fact.outcome is outcome
    assert (fact.run_us, fact.queue_us, fact.is_retry) == (None, None, False)


def test_an_unknown_kind_of_fact_is_only_seen() -> None:
    """A fact of a later release needs nothing but its id."""
    assert decode_event(event_pb2.Event(event_id="new")) == UnknownFact("new")


@pytest.mark.parametrize("state", [0, 1, 2, 3, 99])
def test_a_run_that_did_not_end_is_malformed(state: int) -> None:
    """A state in which no run ends cannot be counted."""
    event = run_event()
    event.run_finished.state = state  # type: ignore[assignment]
    with pytest.raises(MalformedEventError, match=f"state {state} is no state in which a run ends"):
        decode_event(event)


def test_everything_wrong_is_told_at_once() -> None:
    """One error lists every fault of an event."""
    event = event_pb2.Event(event_id="x" * 201, tenant_id=-1, marketplace="eBay", action="")
    event.attempt_finished.task_name = "A"
    event.attempt_finished.outcome = 77  # type: ignore[assignment]
    with pytest.raises(MalformedEventError) as caught:
        decode_event(event)
    for part in (
        "event_id",
        "outcome 77",
        "task_name",
        "tenant_id",
        "marketplace",
        "action must",
        "occur_time",
    ):
        assert part in str(caught.value)


def set_nul_id(event: event_pb2.Event) -> None:
    event.event_id = "a\0b"


def set_empty_id(event: event_pb2.Event) -> None:
    event.event_id = ""


def set_run_zero(event: event_pb2.Event) -> None:
    event.run = 0


def set_no_time(event: event_pb2.Event) -> None:
    event.ClearField("occur_time")


def set_late_time(event: event_pb2.Event) -> None:
    event.occur_time.seconds = 253_402_300_800


def set_long_run(event: event_pb2.Event) -> None:
    event.run_finished.run_duration.seconds = MAX_DURATION_SECONDS + 1


def set_newline_action(event: event_pb2.Event) -> None:
    event.action = "publish\n"


@pytest.mark.parametrize(
    "spoil",
    [set_nul_id, set_empty_id, set_run_zero, set_no_time, set_late_time, set_long_run, set_newline_action],
)
def test_what_the_database_would_refuse_is_malformed(spoil: Callable[[event_pb2.Event], None]) -> None:
    """No event that PostgreSQL or its constraints would refuse gets past the decoder."""
    event = run_event()
    decode_event(event)
    spoil(event)
    with pytest.raises(MalformedEventError):
        decode_event(event)


def test_a_clock_set_back_counts_as_no_time() -> None:
    """A run that ended before it began by the database's clock is still counted, with a duration of zero."""
    event = run_event()
    event.run_finished.run_duration.FromMicroseconds(-3_000_000)
    fact = decode_event(event)
    assert isinstance(fact, RunEnded)
    assert fact.run_us == 0


def test_an_error_code_is_made_storable() -> None:
    """NUL characters and excess length are cut from a marketplace's code."""
    event = attempt_event()
    event.attempt_finished.failure.code = "\0" + "9" * 300
    fact = decode_event(event)
    assert isinstance(fact, AttemptEnded)
    assert fact.error == ErrorKind(0, "9" * 200)


def test_a_batch_keeps_its_good_events() -> None:
    """A malformed event harms none of its neighbours."""
    second = run_event()
    second.event_id = "run:2"
    second.occur_time.seconds += 5
    decoded = decode_batch(
        event_pb2.EventBatch(events=[run_event(), event_pb2.Event(), second]).SerializeToString()
    )
    assert [fact.event_id for fact in decoded.facts] == ["run:1", "run:2"]
    assert len(decoded.malformed) == 1
    assert decoded.newest_second == OCCUR_SECONDS + 5


@pytest.mark.parametrize("payload", [b"", b"\xff\xff", b"not a message", b'{"events": []}', b"\x50\x01"])
def test_foreign_bytes_are_a_malformed_message(payload: bytes) -> None:
    """Bytes that are no batch, or a batch of nothing that is known, cannot be counted."""
    with pytest.raises(MalformedMessageError):
        decode_batch(payload)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(payload: bytes) -> None:
    """Whatever arrives is decoded or refused by the one error made for it."""
    try:
        decoded = decode_batch(payload)
    except MalformedMessageError:
        return
    assert decoded.facts or decoded.malformed
