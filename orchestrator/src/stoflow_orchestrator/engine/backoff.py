"""How long a job waits before another attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter and a cap.

    Attributes:
        base_seconds: Upper bound of the first delay.
        cap_seconds: Upper bound of every delay.
        rate_limited_seconds: Wait after a rate limit that named no time.
    """

    base_seconds: float = 1.0
    cap_seconds: float = 300.0
    rate_limited_seconds: float = 60.0

    def delay(self, failure_count: int, at_least: timedelta = timedelta(0)) -> timedelta:
        """Returns a random delay after the given number of failures, from 1."""
        # Beyond 2**30 the cap rules anyway, and a float would overflow.
        bound = min(self.cap_seconds, self.base_seconds * 2 ** min(failure_count - 1, 30))
        # Full jitter spreads the retries of many jobs that failed together.
        return max(at_least, timedelta(seconds=random.uniform(0, bound)))  # noqa: S311 - not for secrets
