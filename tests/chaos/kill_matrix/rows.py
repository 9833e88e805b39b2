"""What a row of the kill matrix says of a task."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One of a seller's requests to the marketplace.

    Attributes:
        method: GET, POST, ...
        path: As the sandbox's fault rules take it: `*` is one segment.
        skip: How many alike come before it.
    """

    method: str
    path: str
    skip: int = 0


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task and the request that has its effect.

    Attributes:
        marketplace: The connector's own name.
        task: The step's name.
        request: Has the step's effect at the marketplace.
        before: Has the effect of the step before; while its answer is held, this step has not begun.
        item_index: Which element of a fanned-out step.
        once: Name of the effect that must happen once; empty for a repeatable step.
    """

    marketplace: str
    task: str
    request: Request
    before: Request
    item_index: int | None = None
    once: str = ""
