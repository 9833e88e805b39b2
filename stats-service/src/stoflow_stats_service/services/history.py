"""The orchestrator's history of events, as rebuilding and reconciling use it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from stoflow.events.v1 import event_pb2

from stoflow_service_kit.errors import FailedPreconditionError, PreconditionViolation
from stoflow_service_kit.logs import get_logger
from stoflow_stats_service.errors import MalformedEventError
from stoflow_stats_service.event_decoder import decode_event
from stoflow_stats_service.facts import Fact
from stoflow_stats_service.repositories.generation import day_after

log = get_logger(__name__)

# The history says when a message was written; its events may have happened a little earlier.
MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """What is known of the orchestrator's history.

    Attributes:
        days: How many days it goes back.
        settle_seconds: How long a rebuild waits for events that were counted and are not in it yet: it shows an
            event when no transaction is open that is older.
    """

    days: float
    settle_seconds: float

    def first_day(self, now: datetime) -> datetime:
        """Returns the first UTC day that it holds wholly."""
        return day_after(now - timedelta(days=self.days) + 2 * MARGIN)


def read_facts(events: Iterable[event_pb2.Event]) -> list[Fact]:
    """Returns the facts of listed events; what is malformed is not counted on the live way either."""
    facts: list[Fact] = []
    for event in events:
        try:
            facts.append(decode_event(event))
        except MalformedEventError as error:
            log.warning("listed_event_malformed", error=str(error))
    return facts


def orchestrator_not_set() -> FailedPreconditionError:
    """Returns the refusal of what needs the orchestrator's history."""
    return FailedPreconditionError(
        "The service does not know the orchestrator.",
        reason="ORCHESTRATOR_NOT_SET",
        preconditions=[
            PreconditionViolation(
                "SETTING", "ORCHESTRATOR_ADDRESS", "It must be set, and the service restarted."
            )
        ],
    )
