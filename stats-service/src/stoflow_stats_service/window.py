"""Time windows of questions, widened to whole UTC hours. Pure, and in integers: no float, no rounding."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

HOUR_SECONDS = 3600
DEFAULT_DAYS = 30
MAX_DAYS = 366
_DAY_SECONDS = 24 * HOUR_SECONDS
_NANOS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(NamedTuple):
    """Seconds since 1970 in UTC and nanoseconds after them, as a protobuf Timestamp has them."""

    seconds: int
    nanos: int = 0


# The years 1 to 9999, which a protobuf Timestamp is limited to as well.
EARLIEST = Moment(-62_135_596_800)
LATEST = Moment(253_402_300_799, _NANOS - 1)


class WindowProblem(NamedTuple):
    """What is wrong with a window, and which of its two ends to change."""

    field: str
    description: str
    rule: str


class WindowError(ValueError):
    """The window cannot be used; `problems` lists everything that is wrong."""

    def __init__(self, problems: list[WindowProblem]) -> None:
        super().__init__("; ".join(problem.description for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Window:
    """Whole hours: from `start` to before `end`."""

    start: datetime
    end: datetime


def hour_start(seconds: int) -> datetime:
    """Returns the start of the UTC hour of a time given in seconds since 1970."""
    return _EPOCH + timedelta(hours=seconds // HOUR_SECONDS)


def resolve_window(start: Moment | None, end: Moment | None, now: Moment, days: int = 0) -> Window:
    """Fills in what is absent, checks, and widens to whole hours.

    Args:
        start: Inclusive; None means 30 days before the end.
        end: Exclusive; None means the end of the hour that runs.
        now: The time.
        days: Instead of both ends: the UTC day that runs, and so many less one before it; 0 for none.

    Raises:
        WindowError: An end is out of range, or the window is empty or longer than 366 days, or given twice.
    """
    problems = [
        WindowProblem(name, "must be a time in the years 1 to 9999", "timestamp.range")
        for name, moment in (("start_time", start), ("end_time", end))
        if moment is not None and not _in_range(moment)
    ]
    if days and (start or end):
        problems.append(WindowProblem("days", "must be 0 beside start_time or end_time", "window.days"))
    if problems:
        raise WindowError(problems)
    if days:
        today = now.seconds - now.seconds % _DAY_SECONDS
        start = Moment(today - (days - 1) * _DAY_SECONDS)
    last = end or Moment((now.seconds // HOUR_SECONDS + 1) * HOUR_SECONDS)
    first = start or max(EARLIEST, Moment(last.seconds - DEFAULT_DAYS * _DAY_SECONDS, last.nanos))
    if first >= last:
        problem = "must be before end_time" if end else "must be before the end of the current hour"
        raise WindowError([WindowProblem("start_time", problem, "window.order")])
    if _length_nanos(first, last) > MAX_DAYS * _DAY_SECONDS * _NANOS:
        text = f"must be at most {MAX_DAYS} days before the end of the window"
        raise WindowError([WindowProblem("start_time", text, "window.length")])
    return Window(hour_start(first.seconds), _hour_end(last))


def _in_range(moment: Moment) -> bool:
    return EARLIEST <= moment <= LATEST and 0 <= moment.nanos < _NANOS


def _length_nanos(first: Moment, last: Moment) -> int:
    return (last.seconds - first.seconds) * _NANOS + last.nanos - first.nanos


def _hour_end(moment: Moment) -> datetime:
    """Rounds up to a whole hour; the last hour of the year 9999 has no end that a datetime can hold."""
    whole = moment.seconds % HOUR_SECONDS == 0 and moment.nanos == 0
    start = hour_start(moment.seconds)
    if whole:
        return start
    try:
        return start + timedelta(hours=1)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
