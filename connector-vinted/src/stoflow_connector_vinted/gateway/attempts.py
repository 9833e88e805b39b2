"""How often an address may try to pair."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

MAX_ADDRESSES = 10_000


class PairingAttempts:
    """A sliding window of failed attempts for each address."""

    def __init__(
        self, most: int = 10, window_seconds: float = 60.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._window_seconds = window_seconds
        self._monotonic = monotonic
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """Returns how long the address must wait; 0 when it may try."""
        failures = self._failures.get(address)
        if failures is None:
            return 0.0
        oldest = self._monotonic() - self._window_seconds
        while failures and failures[0] <= oldest:
            failures.popleft()
        return 0.0 if len(failures) < self._most else failures[0] - oldest

    def count_failure(self, address: str) -> None:
        """Counts a code that was not good."""
        self._failures.setdefault(address, deque()).append(self._monotonic())
        self._failures.move_to_end(address)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
