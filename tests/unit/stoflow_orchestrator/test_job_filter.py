"""Filters as conditions on the two homes of jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import uuid_utils.compat as uuid_utils
from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.lifecycle import TERMINAL_JOB_STATES, JobState
from stoflow_orchestrator.repositories.job_filter import CLOCK_SLACK, JobFilter

TIMES = st.datetimes(datetime(1971, 1, 1), datetime(8999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    bound=TIMES,
    skew=st.timedeltas(-CLOCK_SLACK / 2, CLOCK_SLACK / 2),
    after=st.timedeltas(timedelta(0), CLOCK_SLACK),
)
def test_range_of_ids_never_excludes_a_job_that_the_times_admit(
    bound: datetime, skew: timedelta, after: timedelta
) -> None:
    """Whatever clocks say within the slack, the ids' bounds are wider than the times'."""
    create_time = bound + after
    milliseconds = int((create_time + skew).timestamp() * 1000)
    job_id = uuid_utils.UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))
    assert JobFilter(create_time_from=bound).parameters()["job_id_from"] <= job_id
    milliseconds = int((bound - after + skew).timestamp() * 1000)
    job_id = uuid_utils.UUID(int=(max(milliseconds, 0) << 80) | (7 << 76) | (2 << 62))
    assert job_id < JobFilter(create_time_to=bound).parameters()["job_id_to"]


def test_ids_of_this_process_lie_in_the_range_of_now() -> None:
    """The bounds are made for the ids that the orchestrator makes."""
    now = datetime.now(UTC)
    parameters = JobFilter(create_time_from=now, create_time_to=now).parameters()
    assert parameters["job_id_from"] < uuid_utils.uuid7() < parameters["job_id_to"]


@given(states=st.lists(st.sampled_from(JobState), unique=True), waits=st.booleans())
def test_history_is_read_for_states_that_it_may_hold(states: list[JobState], waits: bool) -> None:
    """One read a terminal state, all at once without states, and none for jobs that wait."""
    narrow = JobFilter(states=states, wait_reason="NEEDS_HUMAN" if waits else "")
    if waits:
        assert list(narrow.archived_states) == []
    elif not states:
        assert list(narrow.archived_states) == [None]
    else:
        assert list(narrow.archived_states) == [s for s in states if s in TERMINAL_JOB_STATES]
