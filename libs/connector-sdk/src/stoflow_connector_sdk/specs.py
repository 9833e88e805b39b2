"""How a handler declares the steps of its action."""

import enum
from dataclasses import dataclass
from typing import Literal


class Priority(enum.IntEnum):
    """Priority of a job that names none; the numbers are those of stoflow.jobs.v1.Priority."""

    CRITICAL = 1
    HIGH = 2
    NORMAL = 3
    LOW = 4


class Routing(enum.IntEnum):
    """Which instance an action's commands go to; the numbers are those of stoflow.connector.v1.Routing."""

    ANY = 1
    """Whichever has a free slot."""
    SESSION = 2
    """The one that holds the session of the account's browser; without one the job waits."""


class ConnectionKind(enum.IntEnum):
    """How sellers connect accounts; the numbers are those of stoflow.connector.v1.Connection."""

    OAUTH = 1
    """The account has the tokens that the marketplace's OAuth gave."""
    BROWSER = 2
    """The account has no credentials: a browser that the seller paired acts in the seller's own session."""


@dataclass(frozen=True, slots=True)
class Once:
    """An effect that must happen once for one (account, product, site).

    Attributes:
        name: Names the effect: "listing". Steps of different actions with the same name speak of the same
            effect.
        probe: Name of the service method that looks whether the effect is there.
        settle_seconds: How long after the last possible send a probe that finds nothing proves that nothing
            will appear.
        adopt: Name of the service method that gives the step's result when a person has said that the effect is done;
            `task.effect.remote_id` is what they named. Without it the result is that id and no output.
    """

    name: str
    probe: str
    settle_seconds: float
    adopt: str = ""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One durable step of an action.

    Attributes:
        name: "upload_image"; also the name of the service method unless the handler says otherwise.
        start_to_close_timeout_seconds: How long one attempt may take in all, a probe's settling included.
        for_each: "images" repeats the step for each image of the product.
        once: None for a step that may repeat.
        schedule_to_start_timeout_seconds: How long an attempt may wait from its dispatch until a connector starts it;
            None for as long as the job lives.
        follow_up: Whether the step is not planned with the job but appended by results: the next page of a sync.
    """

    name: str
    start_to_close_timeout_seconds: float
    for_each: Literal["", "images"] = ""
    once: Once | None = None
    schedule_to_start_timeout_seconds: float | None = None
    follow_up: bool = False
