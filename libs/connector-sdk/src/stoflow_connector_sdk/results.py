"""What services and probes return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stoflow.connector.v1.task_pb2 import ListingChange, OrderChange


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A task that a result appends to its job.

    Attributes:
        name: A step of the same action whose spec says `follow_up`.
        input: What the task is given, as `TaskContext.input`.
        item_index: Which element it works on, for the connector's own use.
    """

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    item_index: int | None = None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task done.

    Attributes:
        output: What later tasks of the job may need, at most 64 KiB as JSON.
        remote_id: The marketplace's id of what a ONCE effect made; such a task must give it.
        listing: What was learned of the job's listing; None when nothing was.
        follow_ups: Tasks to run next, in this order, before those that were planned behind this one; at most 100,
            with inputs of at most 256 KiB together.
        found_listings: Listings of the account that a sync found, at most 500; those with a product's SKU are linked
            to it.
        orders: Orders of the account, at most 200; nothing of who bought belongs there.
    """

    output: Mapping[str, Any] = field(default_factory=dict)
    remote_id: str = ""
    listing: ListingChange | None = None
    follow_ups: Sequence[FollowUp] = ()
    found_listings: Sequence[ListingChange] = ()
    orders: Sequence[OrderChange] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A probe found the effect: the task is done without sending anything."""

    result: TaskResult


@dataclass(frozen=True, slots=True)
class Absent:
    """A probe found that the effect is not there (yet)."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """A probe could not tell; a person must look.

    Attributes:
        reason: What is unclear, in one sentence for that person.
    """

    reason: str


ProbeResult = Found | Absent | Unclear
