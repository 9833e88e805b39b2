"""Sets protobuf's times without the helpers of its message classes, which cost more than the rest of an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def set_duration(target: Duration, duration: timedelta) -> None:
    """Sets a duration; a negative one, of a clock that was set back, becomes zero."""
    if duration.days < 0:
        duration = timedelta(0)
    target.seconds = duration.days * 86_400 + duration.seconds
    target.nanos = duration.microseconds * 1_000


def set_timestamp(target: Timestamp, time: datetime) -> None:
    """Sets the time of an aware datetime since 1970."""
    since = time - _EPOCH
    target.seconds = since.days * 86_400 + since.seconds
    target.nanos = since.microseconds * 1_000
