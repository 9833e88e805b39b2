"""Rate limits: so many calls a second and so many in any 24 hours, for each application and each seller.

Etsy's own sources disagree whether the limits count for the key or for the token, so both can be set; the
answer's headers tell of the tighter one.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from stoflow_sandbox.marketplaces.etsy.errors import refuse
from stoflow_sandbox.marketplaces.exchange import Reply

DAY_SECONDS = 24 * 3600
DEFAULT_PER_SECOND = 150
DEFAULT_PER_DAY = 100_000


@dataclass(slots=True)
class Limit:
    """One subject's limits and the moments of its calls.

    `retry_after_seconds` replaces what is computed when the day is used up (86400 was seen in the wild);
    `is_header_truncated` sends x-remaining-this-secon, as was seen too.
    """

    per_second: int = DEFAULT_PER_SECOND
    per_day: int = DEFAULT_PER_DAY
    retry_after_seconds: int | None = None
    is_header_truncated: bool = False
    last_second: deque[float] = field(default_factory=deque)
    last_day: deque[float] = field(default_factory=deque)

    def drop_old(self, now: float) -> None:
        for moments, length in ((self.last_second, 1.0), (self.last_day, DAY_SECONDS)):
            while moments and moments[0] <= now - length:
                moments.popleft()

    def count(self, now: float) -> None:
        self.last_second.append(now)
        self.last_day.append(now)

    def use(self, calls: int, now: float) -> None:
        """Pretend that so many calls were made at this moment, outside the current second."""
        self.last_day.clear()
        self.last_day.extend([now] * calls)

    @property
    def remaining_this_second(self) -> int:
        return max(0, self.per_second - len(self.last_second))

    @property
    def remaining_today(self) -> int:
        return max(0, self.per_day - len(self.last_day))


class RateLimiter:
    """The limits of every application and seller, by ("app", client id) and ("seller", username)."""

    def __init__(self) -> None:
        self._limits: dict[tuple[str, str], Limit] = {}

    def of_app(self, client_id: str) -> Limit:
        return self._limits.setdefault(("app", client_id), Limit())

    def of_seller(self, username: str) -> Limit:
        return self._limits.setdefault(("seller", username), Limit())

    def forget_seller(self, username: str) -> None:
        self._limits.pop(("seller", username), None)

    def admit(self, client_id: str, username: str | None, now: float) -> tuple[Reply | None, dict[str, str]]:
        """Count a call; return a 429 when it is one too many, and the headers that every answer carries."""
        limits = [self.of_app(client_id)]
        if username is not None:
            limits.append(self.of_seller(username))
        for limit in limits:
            limit.drop_old(now)
        refused = next((reply for limit in limits if (reply := _refusal(limit, now))), None)
        if refused is None:
            for limit in limits:
                limit.count(now)
        return refused, _headers(limits)


def _refusal(limit: Limit, now: float) -> Reply | None:
    if limit.remaining_today == 0:
        wait = math.ceil(limit.last_day[0] + DAY_SECONDS - now) if limit.last_day else DAY_SECONDS
        reply = refuse(429, "Exceeded daily rate limit")
        reply.headers["retry-after"] = str(limit.retry_after_seconds or wait)
        return reply
    if limit.remaining_this_second == 0:
        reply = refuse(429, "Exceeded per second rate limit")
        reply.headers["retry-after"] = "1"
        return reply
    return None


def _headers(limits: list[Limit]) -> dict[str, str]:
    second = min(limits, key=lambda limit: limit.remaining_this_second)
    day = min(limits, key=lambda limit: limit.remaining_today)
    is_truncated = any(limit.is_header_truncated for limit in limits)
    return {
        "x-limit-per-second": str(second.per_second),
        f"x-remaining-this-secon{'' if is_truncated else 'd'}": str(second.remaining_this_second),
        "x-limit-per-day": str(day.per_day),
        "x-remaining-today": str(day.remaining_today),
    }
