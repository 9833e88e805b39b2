"""What a row of the kill matrix says of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
        request: Has the step's effect at the marketplace, or is its first question; None for a step that asks the
            marketplace nothing.
        before: Has the effect of the step before; while its answer is held, this step has not begun. None for a job's
            first step, and then the grant itself is withheld.
        item_index: Which element of a fanned-out step.
        once: Name of the effect that must happen once; empty for a repeatable step.
        action: What the job does; other actions than publish begin with a product that is live already.
        options: The job's.
        change: What is changed of the product before the job: "" nothing, "price" price and stock, "texts" the title
            and a picture as well.
        ends: Whether the product is not for sale afterwards.
        columns: Names of the faults that can be placed; empty for all.
        stray: What one more request leaves at a marketplace that refuses none, when it is obeyed after the job has
            ended, where nobody cleans up any more: "draft", "picture", or empty for nothing.
    """

    marketplace: str
    task: str
    request: Request | None
    before: Request | None
    item_index: int | None = None
    once: str = ""
    action: str = "publish"
    options: Mapping[str, str] = field(default_factory=dict)
    change: str = ""
    ends: bool = False
    columns: tuple[str, ...] = ()
    stray: str = ""

    @property
    def label(self) -> str:
        """Names the row."""
        if self.action == "publish":
            return self.task
        return "-".join([self.action, self.task, *self.options.values()])
