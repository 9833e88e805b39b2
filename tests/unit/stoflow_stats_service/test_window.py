"""Windows: start inclusive, end exclusive, both widened to whole hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_stats_service.window import (
    EARLIEST,
    LATEST,
    Moment,
    Window,
    WindowError,
    hour_start,
    resolve_window,
)


def moment(text: str, nanos: int = 0) -> Moment:
    return Moment(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()), nanos)


def hour(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOW = moment("2026-01-31T10:20:30")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(
            moment("2026-01-05T00:00"),
            moment("2026-01-06T00:00"),
            Window(hour("2026-01-05T00:00"), hour("2026-01-06T00:00")),
            id="whole hours stay",
        ),
        pytest.param(
            moment("2026-01-05T10:59:59", 999_999_999),
            moment("2026-01-05T11:00:00", 1),
            Window(hour("2026-01-05T10:00"), hour("2026-01-05T12:00")),
            id="one nanosecond takes the whole hour in",
        ),
        pytest.param(
            None,
            None,
            Window(hour("2026-01-01T11:00"), hour("2026-01-31T11:00")),
            id="by default thirty days to the end of this hour",
        ),
        pytest.param(
            None,
            moment("2026-03-01T00:30"),
            Window(hour("2026-01-30T00:00"), hour("2026-03-01T01:00")),
            id="thirty days before a given end",
        ),
        pytest.param(
            moment("2026-01-31T10:00"),
            None,
            Window(hour("2026-01-31T10:00"), hour("2026-01-31T11:00")),
            id="the hour that runs",
        ),
        pytest.param(
            moment("2024-01-01T00:00"),
            moment("2025-01-01T00:00"),
            Window(hour("2024-01-01T00:00"), hour("2025-01-01T00:00")),
            id="a leap year fits",
        ),
        pytest.param(
            None,
            moment("1969-12-31T23:30"),
            Window(hour("1969-12-01T23:00"), hour("1970-01-01T00:00")),
            id="before 1970 hours are rounded down too",
        ),
    ],
)
def test_window_is_widened_to_hours(start: Moment | None, end: Moment | None, expected: Window) -> None:
    """The start goes down and the end goes up to a whole hour, after defaults are filled in."""
    assert resolve_window(start, end, NOW) == expected


@pytest.mark.parametrize(
    ("start", "end", "fields", "rule"),
    [
        (moment("2026-01-05T00:00"), moment("2026-01-05T00:00"), ["start_time"], "window.order"),
        (moment("2026-01-05T00:00", 5), moment("2026-01-05T00:00", 4), ["start_time"], "window.order"),
        (moment("2026-01-31T11:00"), None, ["start_time"], "window.order"),
        (moment("2024-01-01T00:00"), moment("2025-01-01T00:00", 1), ["start_time"], "window.length"),
        (moment("2025-01-01T00:00"), None, ["start_time"], "window.length"),
        (
            Moment(EARLIEST.seconds - 1),
            Moment(LATEST.seconds + 1),
            ["start_time", "end_time"],
            "timestamp.range",
        ),
        (Moment(0, -1), Moment(0, 1_000_000_000), ["start_time", "end_time"], "timestamp.range"),
        (None, EARLIEST, ["start_time"], "window.order"),
    ],
)
def test_unusable_windows_are_refused(
    start: Moment | None, end: Moment | None, fields: list[str], rule: str
) -> None:
    """An empty, reversed, too long or impossible window is refused, with every field at fault."""
    with pytest.raises(WindowError) as caught:
        resolve_window(start, end, NOW)
    assert [problem.field for problem in caught.value.problems] == fields
    assert {problem.rule for problem in caught.value.problems} == {rule}


MOMENTS = st.builds(Moment, st.integers(EARLIEST.seconds, LATEST.seconds), st.integers(0, 999_999_999))


@given(MOMENTS, st.integers(1, 366 * 86_400))
def test_every_window_of_up_to_366_days_holds_its_ends(start: Moment, seconds: int) -> None:
    """Any usable window becomes one that starts and ends on a whole hour and leaves out nothing it named."""
    end = Moment(start.seconds + seconds, start.nanos)
    if end > LATEST:
        return
    window = resolve_window(start, end, NOW)
    assert window.start == hour_start(start.seconds)
    assert window.start.minute == window.start.second == window.start.microsecond == 0
    last = hour_start(end.seconds) + timedelta(seconds=end.seconds % 3600, microseconds=end.nanos // 1000)
    assert last <= window.end
    assert window.end - last <= timedelta(hours=1)
