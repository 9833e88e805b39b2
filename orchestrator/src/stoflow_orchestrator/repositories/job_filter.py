"""What ListJobs and CountJobs narrow by, as conditions on either home of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql

from stoflow_orchestrator.lifecycle import TERMINAL_JOB_STATES, JobState

# Ids begin with the time at which an orchestrator made them, so that a range of times is a range of ids, and lists need
# no index on times. Its clock and the database's differ by far less.
CLOCK_SLACK = timedelta(days=1)
_EQUAL = ("marketplace", "action", "account_id", "product_id", "batch_id", "wait_reason")


class JobFilter(NamedTuple):
    """Empty fields narrow nothing."""

    states: Sequence[JobState] = ()
    marketplace: str = ""
    action: str = ""
    account_id: UUID | None = None
    product_id: UUID | None = None
    batch_id: UUID | None = None
    wait_reason: str = ""
    create_time_from: datetime | None = None
    create_time_to: datetime | None = None

    @property
    def archived_states(self) -> Sequence[JobState | None]:
        """The states to look for in the history, one read each; a single None for all at once.

        One state at a time, so that an index on (state, job_id) gives each read in order.
        """
        if self.wait_reason:
            return ()
        if not self.states:
            return (None,)
        return [state for state in self.states if state in TERMINAL_JOB_STATES]

    def live_conditions(self) -> sql.Composable:
        """Conditions on public.live_jobs, beside the tenant."""
        states = [sql.SQL("state = ANY(%(states)s)")] if self.states else []
        return _join([*states, *self._common()])

    def archived_conditions(self, state: JobState | None) -> sql.Composable:
        """Conditions on a tenant's marketplace_jobs, which have no wait_reason."""
        states = [sql.SQL("state = {}").format(sql.Literal(state.value))] if state is not None else []
        return _join([*states, *self._common()])

    def parameters(self) -> dict[str, Any]:
        """Values of the conditions."""
        return {
            **self._asdict(),
            "states": [state.value for state in self.states],
            "job_id_from": _first_id(self.create_time_from, -CLOCK_SLACK),
            "job_id_to": _first_id(self.create_time_to, CLOCK_SLACK),
        }

    def _common(self) -> list[sql.Composable]:
        found: list[sql.Composable] = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
            for name in _EQUAL
            if getattr(self, name)
        ]
        if self.create_time_from is not None:
            found.append(sql.SQL("create_time >= %(create_time_from)s AND job_id >= %(job_id_from)s"))
        if self.create_time_to is not None:
            found.append(sql.SQL("create_time < %(create_time_to)s AND job_id < %(job_id_to)s"))
        return found


def _first_id(time: datetime | None, slack: timedelta) -> UUID | None:
    """Returns what is below every id made after a time; None for no time."""
    if time is None:
        return None
    milliseconds = max(int((time + slack).timestamp() * 1000), 0)
    return UUID(int=milliseconds << 80)


def _join(conditions: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")
