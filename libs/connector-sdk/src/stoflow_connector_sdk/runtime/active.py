"""What this process works on at the moment."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from stoflow.connector.v1.connector_service_pb2 import TaskLease, TaskStartResult
from stoflow.connector.v1.task_pb2 import TaskCommand

from stoflow_connector_sdk.runtime.conversion import task_context
from stoflow_connector_sdk.task import ListingSource, TaskContext, TokenSource
from stoflow_service_kit.clock import Clock


@dataclass(slots=True, eq=False)
class ActiveTask:
    """One granted attempt, from its grant until its report was answered.

    Attributes:
        context: What the service method is given.
        start_to_close_seconds: How long the attempt may take, counted from `started_at`.
        started_at: Monotonic time at which its lease was first asked for.
        reported_at: Monotonic time at which its report was first sent.
        is_executing: Whether the service method runs: only then does a cancellation harm nothing else.
        is_released: Whether the lease is being given back, so nothing is to be reported.
        runner: The asyncio task.
    """

    context: TaskContext
    start_to_close_seconds: float
    started_at: float
    reported_at: float = 0.0
    is_executing: bool = False
    is_released: bool = False
    runner: asyncio.Task[None] | None = field(default=None, repr=False)

    @classmethod
    def granted(
        cls,
        command: TaskCommand,
        result: TaskStartResult,
        *,
        sent_at: float,
        token_source: TokenSource,
        listing_source: ListingSource,
        clock: Clock,
    ) -> Self:
        """Builds the attempt that a grant allows.

        Args:
            command: Names the task.
            result: The grant.
            sent_at: Monotonic time of the first try to ask for it: the lease may have been taken by a try whose
                answer was lost.
            token_source: Handed to the service method.
            listing_source: Handed to it as well.
            clock: Time.
        """
        assignment = result.assignment
        context = task_context(
            command,
            result.lease_token,
            assignment,
            sent_at=sent_at,
            token_source=token_source,
            listing_source=listing_source,
            clock=clock,
        )
        seconds = assignment.start_to_close_timeout.ToNanoseconds() / 1e9
        return cls(context=context, start_to_close_seconds=seconds, started_at=sent_at)

    def lease_message(self) -> TaskLease:
        """Returns the lease as the contract names it."""
        context = self.context
        return TaskLease(job_id=context.job_id, task_id=context.task_id, lease_token=context.lease_token)

    def cancel_execution(self) -> None:
        """Interrupts the service method; a result on its way to the orchestrator is left alone."""
        if self.is_executing and self.runner is not None:
            self.runner.cancel()


class ActiveTasks:
    """All granted attempts of this process."""

    def __init__(self) -> None:
        self._tasks: dict[str, ActiveTask] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, active: ActiveTask) -> None:
        """Adds an attempt."""
        self._tasks[active.context.lease_token] = active
        self._empty.clear()

    def remove(self, active: ActiveTask) -> None:
        """Removes an attempt that has come to its end."""
        self._tasks.pop(active.context.lease_token, None)
        if not self._tasks:
            self._empty.set()

    def replace(self, active: ActiveTask, following: ActiveTask | None) -> None:
        """Removes an attempt and adds the one that follows it, without being empty in between."""
        if following is not None:
            self.add(following)
        self.remove(active)

    def __len__(self) -> int:
        return len(self._tasks)

    def list(self) -> list[ActiveTask]:
        """Returns the attempts of this moment, the oldest first."""
        return list(self._tasks.values())

    async def wait_until_empty(self) -> None:
        """Waits until nothing is worked on."""
        await self._empty.wait()


class Slots:
    """How many commands this process may hold: each from its arrival until its result was answered."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._taken = 0
        self._listeners: list[Callable[[], None]] = []

    def free(self) -> int:
        """Returns how many more commands are welcome."""
        return max(self.size - self._taken, 0)

    def listen(self, wakers: Iterable[Callable[[], None]]) -> None:
        """Says whom to tell that a slot came free, in place of those told before."""
        self._listeners = list(wakers)

    def take(self, count: int) -> None:
        """Counts commands that arrived."""
        self._taken += count

    def give_back(self, count: int = 1) -> None:
        """Counts commands that are done with."""
        self._taken -= count
        for wake in self._listeners:
            wake()
