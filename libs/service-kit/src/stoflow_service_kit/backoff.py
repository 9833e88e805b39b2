"""Delays between tries, as pure data."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential growth to a cap, with jitter so that replicas do not come back all at once.

    Attributes:
        initial_seconds: The delay before the second try, without jitter.
        maximum_seconds: No delay is longer.
        factor: Growth from one try to the next.
        jitter: The share of a delay that is random: 0 is none, 1 is "full jitter".
    """

    initial_seconds: float = 0.2
    maximum_seconds: float = 5.0
    factor: float = 2.0
    jitter: float = 0.5

    def delay_seconds(self, failures: int, uniform: Callable[[], float] = random.random) -> float:
        """Returns how long to wait after `failures` failures in a row (at least one).

        Args:
            failures: Failures so far, counted from one.
            uniform: A source of numbers from 0 to 1.
        """
        # Bounded: a float overflows after some thousand failures, and outages last days.
        exponent = min(max(failures - 1, 0), 64)
        delay = min(self.initial_seconds * self.factor**exponent, self.maximum_seconds)
        return delay * (1 - self.jitter) + delay * self.jitter * uniform()
