"""From a request's window to a selection, with every violation at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.stats.v1 import stats_pb2

from stoflow_service_kit.clock import Clock
from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError
from stoflow_stats_service.paging import Position
from stoflow_stats_service.repositories.selection import Granularity, Selection
from stoflow_stats_service.window import Moment, Window, WindowError, resolve_window

MAX_HOURLY_DAYS = 31
_GRANULARITIES: dict[stats_pb2.Granularity.ValueType, Granularity] = {
    stats_pb2.GRANULARITY_DAY: Granularity.DAY,
    stats_pb2.GRANULARITY_HOUR: Granularity.HOUR,
}


class Windows:
    """Reads windows of requests that have start_time, end_time and days."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def selection(self, request: Any, position: Position | None = None) -> Selection:
        """Returns what a request selects.

        Args:
            request: With tenant_id, marketplace, action and a window; granularity and task_name when it has them.
            position: Of a later page, whose window was fixed by the first.

        Raises:
            InvalidArgumentError: The window cannot be used.
        """
        window = Window(position.start, position.end) if position else self._window(request)
        return Selection(
            request.tenant_id,
            request.marketplace,
            request.action,
            window.start,
            window.end,
            _GRANULARITIES.get(_granularity(request), Granularity.TOTAL),
            getattr(request, "task_name", ""),
        )

    def violations(self, request: Any) -> list[FieldViolation]:
        """Lists what is wrong with the window."""
        try:
            self._window(request)
        except InvalidArgumentError as error:
            return list(error.violations)
        return []

    def today(self) -> datetime:
        """Returns the start of the UTC day that runs."""
        return self._clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def _window(self, request: Any) -> Window:
        try:
            window = resolve_window(
                _moment(request.start_time) if request.HasField("start_time") else None,
                _moment(request.end_time) if request.HasField("end_time") else None,
                Moment(int(self._clock.now().timestamp())),
                # What is out of range is said by the rules of the field.
                request.days if 0 < request.days <= 366 else 0,
            )
        except WindowError as error:
            raise InvalidArgumentError([FieldViolation(*problem) for problem in error.problems]) from error
        is_hourly = _granularity(request) == stats_pb2.GRANULARITY_HOUR
        if is_hourly and window.end - window.start > timedelta(days=MAX_HOURLY_DAYS):
            text = f"by hour the window must be at most {MAX_HOURLY_DAYS} days long"
            raise InvalidArgumentError([FieldViolation("granularity", text, "window.hourly")])
        return window


def _granularity(request: Any) -> stats_pb2.Granularity.ValueType:
    found: stats_pb2.Granularity.ValueType = getattr(request, "granularity", stats_pb2.GRANULARITY_TOTAL)
    return found


def parse_day(text: str, field: str) -> datetime:
    """Returns the start of a UTC day.

    Raises:
        InvalidArgumentError: There is no such day.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        violation = FieldViolation(field, "must be a day of the calendar, such as 2026-01-05", "day")
        raise InvalidArgumentError([violation]) from error


def _moment(timestamp: Timestamp) -> Moment:
    return Moment(timestamp.seconds, timestamp.nanos)
