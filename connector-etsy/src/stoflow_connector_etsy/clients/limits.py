"""Etsy's limits as its answers tell them: so many calls a second, and so many in any 24 hours.

How many differs from 5 a second and 5,000 a day to 150 and 100,000, so nothing is assumed before the first answer.
Sources disagree whether an application or each of its tokens is counted, so both are.
"""

from collections.abc import Mapping
from typing import Final

import httpx

from stoflow_connector_sdk import RateLimiter, retry_after_seconds

SECOND: Final = 1.0
DAY: Final = 86_400.0
# Names seen cut off behind these beginnings: x-remaining-this-second was.
_PREFIXES: Final[Mapping[float, tuple[str, str]]] = {
    SECOND: ("x-limit-per-s", "x-remaining-this-s"),
    DAY: ("x-limit-per-d", "x-remaining-tod"),
}
# A 429 that says nothing else: the second is over soon, of a day nobody knows how much.
_SECOND_PAUSE: Final = 1.0
_DAY_PAUSE: Final = 3_600.0


class EtsyLimits:
    """Lets calls pass at the pace that Etsy's answers allow."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter

    async def acquire(self, account_id: str, *, ending: bool) -> None:
        """Takes one call.

        Raises:
            RateLimitedError: The limit is used up for longer than is waited within a task; nothing was sent.
        """
        await self._limiter.acquire(account_id, ending=ending)

    def note(self, account_id: str, response: httpx.Response) -> float | None:
        """Learns from an answer; returns how long to wait after a 429, None after any other."""
        for window, (limit_name, remaining_name) in _PREFIXES.items():
            limit = _number(response.headers, limit_name)
            remaining = _number(response.headers, remaining_name)
            if limit is None:
                continue
            for account in ("", account_id):
                self._limiter.learn(window, limit, remaining, account=account)
        if response.status_code != 429:
            return None
        is_day_over = _number(response.headers, _PREFIXES[DAY][1]) == 0
        wait = retry_after_seconds(response)
        if wait is None:
            wait = _DAY_PAUSE if is_day_over else _SECOND_PAUSE
        self._limiter.pause(wait, account=account_id)
        if is_day_over:
            self._limiter.pause(wait)
        return wait


def _number(headers: httpx.Headers, prefix: str) -> int | None:
    for name, value in headers.items():
        if name.startswith(prefix) and value.strip().isascii() and value.strip().isdigit():
            return int(value)
    return None
