"""The right to act for a task, as this process knows it."""

import asyncio
import time
from collections.abc import Callable

from stoflow_connector_sdk.errors import LeaseTooShortError


class Lease:
    """A lease counted from the moment it was asked for, on the monotonic clock.

    Only the orchestrator takes a lease away. This clock runs from the moment StartTasks was sent, so it ends
    no later than the orchestrator's, also when the process was stopped in between.
    """

    __slots__ = ("_changed", "_deadline", "_is_lost", "_monotonic", "duration_seconds")

    def __init__(
        self, duration_seconds: float, *, sent_at: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Begins a lease.

        Args:
            duration_seconds: How long it holds without a heartbeat.
            sent_at: Reading of `monotonic` when the request that brought it was sent.
            monotonic: The clock.
        """
        self.duration_seconds = duration_seconds
        self._monotonic = monotonic
        self._deadline = sent_at + duration_seconds
        self._is_lost = False
        self._changed: asyncio.Future[None] | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the orchestrator said that the lease is gone."""
        return self._is_lost

    def remaining_seconds(self) -> float:
        """Returns how long the lease certainly holds; zero once it is lost."""
        return 0.0 if self._is_lost else max(self._deadline - self._monotonic(), 0.0)

    def require(self, timeout_seconds: float) -> None:
        """Makes sure that a remote request with this timeout ends within the lease.

        Raises:
            LeaseTooShortError: It might not; nothing may be sent. Its effect is UNKNOWN, because a lease
                does not know what was sent before; the HTTP client, which does, says NOT_SENT where that is
                so.
        """
        remaining = self.remaining_seconds()
        if timeout_seconds > remaining:
            raise LeaseTooShortError(
                f"A request of up to {timeout_seconds:.1f} s does not fit"
                f" the {remaining:.1f} s left of the lease.",
                code="LEASE_TOO_SHORT",
            )

    async def wait_for_room(self, timeout_seconds: float) -> None:
        """Makes sure that a request fits, after the next heartbeat if it does not now but would in a fresh lease.

        Raises:
            LeaseTooShortError: It fits no lease of this length, the lease is lost, or it ran out meanwhile.
        """
        while timeout_seconds > (remaining := self.remaining_seconds()):
            if remaining <= 0 or timeout_seconds > self.duration_seconds:
                self.require(timeout_seconds)
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._changed], timeout=remaining)

    def extend(self, sent_at: float) -> None:
        """Counts the lease anew from a heartbeat that was sent at `sent_at`; for the runtime."""
        self._deadline = max(self._deadline, sent_at + self.duration_seconds)
        self._tell()

    def lose(self) -> None:
        """Ends the lease for good; for the runtime."""
        self._is_lost = True
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None
