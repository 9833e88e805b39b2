"""Micro-batches: what arrives while one group is written is the next group."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from stoflow_service_kit.errors import ResourceExhaustedError, ServiceError, UnavailableError
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")

OVERLOAD_RETRY_SECONDS = 1.0
# About what a group takes: one that is held up, by locks of others say, must not hold up those behind it.
PATIENCE_SECONDS = 0.01


@dataclass(slots=True, eq=False)
class _Entry(Generic[T, R]):
    item: T
    outcome: asyncio.Future[R | Exception]
    time: float


def is_unexpected(error: Exception) -> bool:
    """Whether a group's failure may be one item's fault; a ServiceError is a verdict on the whole group."""
    return not isinstance(error, ServiceError)


class Batcher(Generic[T, R]):
    """Collects items of many callers into groups and hands each caller its own result.

    A worker takes everything that waits, up to a cap: under little load a group is one item and adds no delay; under
    much load groups grow by themselves. Further workers help when a whole group waits, or an item for long: any sooner,
    they would only make more and smaller groups, at the same price each.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        *,
        max_group: int = 100,
        workers: int = 1,
        max_waiting: int = 10_000,
        should_bisect: Callable[[Exception], bool] = is_unexpected,
        observe_group: Callable[[int], None] | None = None,
    ) -> None:
        """Prepares a batcher; it needs no start.

        Args:
            name: What it is called in logs and errors.
            flush: Handles one group, all or nothing, and returns one result or exception an item, in order.
                When it raises, nothing of the group may have taken effect.
            max_group: Most items of one group.
            workers: Most groups that are handled at the same time. With more than one, two items may be
                handled in another order than they came in.
            max_waiting: Most items that wait; more are refused.
            should_bisect: Whether a group that failed is tried again in halves, so that one bad item harms
                nobody else. Otherwise every item of the group gets the error: right for a lost connection,
                where halving only multiplies the tries.
            observe_group: Told the size of each group.
        """
        self._name = name
        self._flush = flush
        self._max_group = max_group
        self._max_workers = workers
        self._max_waiting = max_waiting
        self._should_bisect = should_bisect
        self._observe_group = observe_group
        self._waiting: deque[_Entry[T, R]] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        # Counted apart from the tasks: a task that found nothing more to do is done only a moment later, and
        # an item that came in that moment would wait for ever.
        self._active = 0
        self._patience: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Items that no worker has taken yet."""
        return len(self._waiting)

    async def submit(self, item: T) -> R:
        """Hands over one item and waits for its result.

        A caller that is cancelled stops waiting; its item is handled all the same.

        Raises:
            ResourceExhaustedError: Too many items wait.
            UnavailableError: The batcher is closed.
            Exception: Whatever `flush` gave this item.
        """
        outcome = (await self.submit_all([item]))[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def submit_all(self, items: Sequence[T]) -> list[R | Exception]:
        """Hands over several items, perhaps in several groups; returns results and exceptions in their order.

        Raises:
            ResourceExhaustedError: Not all of them find room; none is handled.
            UnavailableError: The batcher is closed.
        """
        if self._closed:
            raise UnavailableError(f"{self._name} is closing.", retry_after_seconds=OVERLOAD_RETRY_SECONDS)
        if len(self._waiting) + len(items) > self._max_waiting:
            raise ResourceExhaustedError(
                f"{self._name} has {len(self._waiting)} items waiting and takes at most {self._max_waiting}.",
                retry_after_seconds=OVERLOAD_RETRY_SECONDS,
            )
        loop = asyncio.get_running_loop()
        now = loop.time()
        entries = [_Entry[T, R](item, loop.create_future(), now) for item in items]
        self._waiting.extend(entries)
        self._wake_worker()
        return [await entry.outcome for entry in entries]

    async def close(self) -> None:
        """Refuses new items and waits until all that wait are handled."""
        self._closed = True
        while self._workers:
            await asyncio.wait(self._workers)

    def _wake_worker(self) -> None:
        if not self._waiting or self._active == self._max_workers:
            return
        loop = asyncio.get_running_loop()
        if not self._is_needed_beside(self._active):
            if self._patience is None:
                self._patience = loop.call_at(self._waiting[0].time + PATIENCE_SECONDS, self._lose_patience)
            return
        self._active += 1
        # Its own context: a worker serves many callers and must not log under the id of one of them.
        task = loop.create_task(self._work(), name=f"{self._name}-worker", context=contextvars.Context())
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    def _lose_patience(self) -> None:
        self._patience = None
        self._wake_worker()

    def _is_needed_beside(self, others: int) -> bool:
        """Whether something waits that is better not left to the other workers."""
        if not self._waiting:
            return False
        if others == 0 or len(self._waiting) >= self._max_group:
            return True
        return asyncio.get_running_loop().time() >= self._waiting[0].time + PATIENCE_SECONDS

    async def _work(self) -> None:
        try:
            while self._is_needed_beside(self._active - 1):
                size = min(len(self._waiting), self._max_group)
                group = [self._waiting.popleft() for _ in range(size)]
                self._wake_worker()
                if self._observe_group is not None:
                    self._observe_group(size)
                await self._handle(group)
        finally:
            self._active -= 1
        self._wake_worker()

    async def _handle(self, group: list[_Entry[T, R]]) -> None:
        try:
            outcomes = await self._flush([entry.item for entry in group])
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            aimed_at_worker = task is None or task.cancelling() > 0
            self._settle(group, [UnavailableError(f"{self._name} was interrupted.")] * len(group))
            if aimed_at_worker:
                raise
            log.warning("group_cancelled", batcher=self._name, size=len(group), error=repr(error))
        except Exception as error:  # noqa: BLE001  Each caller of the group gets it.
            await self._handle_failure(group, error)
        else:
            if len(outcomes) != len(group):
                # It may have taken effect, so it must not be tried again in halves.
                mismatch = RuntimeError(f"{self._name} got {len(outcomes)} results for {len(group)} items")
                self._settle(group, [mismatch] * len(group))
            else:
                self._settle(group, outcomes)

    async def _handle_failure(self, group: list[_Entry[T, R]], error: Exception) -> None:
        if len(group) == 1 or not self._should_bisect(error):
            self._settle(group, [error] * len(group))
            return
        log.warning("group_bisected", batcher=self._name, size=len(group), error=repr(error))
        middle = len(group) // 2
        await self._handle(group[:middle])
        await self._handle(group[middle:])

    @staticmethod
    def _settle(group: list[_Entry[T, R]], outcomes: Sequence[R | Exception]) -> None:
        for entry, outcome in zip(group, outcomes, strict=True):
            # A caller that was cancelled took its future along. Errors are results here: an exception set on
            # a future that nobody awaits any more is reported as lost.
            if not entry.outcome.done():
                entry.outcome.set_result(outcome)
