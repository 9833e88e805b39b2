"""Timestamps of the contract and datetimes of the tables."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

# Beyond these years a time zone's offset leaves what Python and PostgreSQL can both hold.
_FIRST_YEAR, _LAST_YEAR = 1970, 9000


def to_timestamp(time: datetime) -> Timestamp:
    """Converts an aware datetime."""
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def to_datetime(timestamp: Timestamp) -> datetime:
    """Converts a Timestamp that a caller sent.

    Raises:
        ValueError: It is malformed, or not of the years 1970 to 9000.
    """
    try:
        time = timestamp.ToDatetime(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise ValueError("out of range")
    return time
