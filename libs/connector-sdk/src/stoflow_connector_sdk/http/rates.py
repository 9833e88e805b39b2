"""How many calls a marketplace allows, counted; pure: whoever asks says what time it is.

Both counters keep a share of every allowance for calls that end something, so that a busy day of publishing
never uses up the calls by which a sold article is taken off the market.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

# Up to this length a window is waited out within a task; a longer one is a quota, and its end a long way off.
LONGEST_SHORT_WINDOW_SECONDS = 60.0
# A quota's calls leave its window in so many groups: few enough to keep, fine enough for 24 hours.
_GROUPS = 48


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in any so many seconds.

    Attributes:
        limit: Calls, at least 1.
        window_seconds: Seconds; above a minute it is a quota.
    """

    limit: int
    window_seconds: float

    def __post_init__(self) -> None:
        if self.limit < 1 or self.window_seconds <= 0:
            raise ValueError(f"no rate: {self.limit} calls in {self.window_seconds} s")


class Counter(Protocol):
    """Counts calls against one rate; times are seconds of one monotonic clock that never go back."""

    def wait_seconds(self, now: float, *, ending: bool) -> float:
        """Returns how long until a call is allowed; 0 when it is now."""
        ...

    def take(self, now: float) -> None:
        """Counts a call that `wait_seconds` allowed."""
        ...

    def learn(self, now: float, limit: int, remaining: int | None, reset_seconds: float | None) -> None:
        """Believes the marketplace about its own limit.

        Args:
            now: The time.
            limit: Calls in a window.
            remaining: Calls left; None when it did not say. Answers overtake one another, so a number above
                our own count is not believed within the same window.
            reset_seconds: How long until all calls are there again; None for a window that slides.
        """
        ...


class TokenBucket:
    """A rate over a short window.

    A fifth of the window's calls may come at once and the others flow evenly, so that no window of that
    length, wherever it begins, ever sees more than the limit.
    """

    __slots__ = ("_burst", "_ending_share", "_level", "_limit", "_per_second", "_reserve", "_time", "_window")

    def __init__(self, rate: Rate, ending_share: float) -> None:
        self._ending_share = ending_share
        self._window = rate.window_seconds
        self._time = float("-inf")
        self._set_limit(rate.limit)
        self._level = float(self._burst)

    def wait_seconds(self, now: float, *, ending: bool) -> float:
        self._flow(now)
        lacking = 1 + (0 if ending else self._reserve) - self._level
        # Less than a millionth of a call is the rounding of floats, not a call too many.
        return 0.0 if lacking <= 1e-6 else lacking / self._per_second

    def take(self, now: float) -> None:
        self._flow(now)
        self._level -= 1

    def learn(self, now: float, limit: int, remaining: int | None, _reset_seconds: float | None) -> None:
        self._flow(now)
        if limit != self._limit:
            self._set_limit(limit)
        self._level = min(self._level, float(self._burst))
        if remaining is not None:
            self._level = min(self._level, float(remaining))

    def _set_limit(self, limit: int) -> None:
        self._limit = max(limit, 1)
        self._burst = max(1, self._limit // 5)
        # In a window that is half open at most ceil(burst + rate * window) - 1 calls fit.
        self._per_second = (self._limit + 1 - self._burst) / self._window
        self._reserve = _reserve(self._burst, self._ending_share)

    def _flow(self, now: float) -> None:
        if now > self._time:
            self._level = min(float(self._burst), self._level + (now - self._time) * self._per_second)
            self._time = now


class Quota:
    """A rate over a long window, such as a day.

    Without a known reset time the window slides: a call counts until the window's length has passed. With one,
    all calls are there again at that time, and then once a window.
    """

    __slots__ = ("_ending_share", "_group", "_groups", "_limit", "_reset_time", "_used", "_window")

    def __init__(self, rate: Rate, ending_share: float) -> None:
        self._limit = rate.limit
        self._window = rate.window_seconds
        self._group = rate.window_seconds / _GROUPS
        self._ending_share = ending_share
        self._reset_time: float | None = None
        # Pairs of when a group of calls stops counting, and how many they are; in the order of those times.
        self._groups: deque[list[float]] = deque()
        self._used = 0

    @property
    def remaining(self) -> int:
        """Calls left at the time it was last asked about."""
        return max(self._limit - self._used, 0)

    def wait_seconds(self, now: float, *, ending: bool) -> float:
        self._drop(now)
        too_many = self._used + 1 + (0 if ending else _reserve(self._limit, self._ending_share)) - self._limit
        if too_many <= 0:
            return 0.0
        for leave_time, count in self._groups:
            too_many -= int(count)
            if too_many <= 0:
                return leave_time - now
        return self._window

    def take(self, now: float) -> None:
        self._drop(now)
        self._add(now, 1)

    def learn(self, now: float, limit: int, remaining: int | None, reset_seconds: float | None) -> None:
        self._drop(now)
        self._limit = max(limit, 1)
        used = self._used if remaining is None else max(limit - remaining, 0)
        if reset_seconds is not None:
            reset_time = now + min(max(reset_seconds, 0.0), self._window)
            # A new window's count is believed; within the same one nothing may be given back.
            is_same = self._reset_time is not None and abs(self._reset_time - reset_time) < self._group
            used = max(used, self._used) if is_same else used
            self._reset_time = reset_time
            self._groups.clear()
            self._used = 0
            self._add(now, used)
        elif used > self._used:
            self._spread(now, used - self._used)

    def _spread(self, now: float, count: int) -> None:
        """Counts calls that somebody else made, or we before a restart, as made evenly over the window that is over.

        When they were made is not known. Taken as made just now, they would close a sliding window for its whole
        length, and nothing would be asked that could tell otherwise; what was too hopeful the next answer corrects.
        """
        if self._reset_time is not None:
            self._add(now, count)
            return
        first = now // self._group + 1
        whole, rest = divmod(count, _GROUPS)
        added = {(first + n) * self._group: whole + (n >= _GROUPS - rest) for n in range(_GROUPS)}
        for leave_time, calls in self._groups:
            added[leave_time] = added.get(leave_time, 0) + int(calls)
        self._groups = deque([leave_time, calls] for leave_time, calls in sorted(added.items()) if calls)
        self._used += count

    def _add(self, now: float, count: int) -> None:
        if count <= 0:
            return
        self._used += count
        if self._reset_time is not None:
            leave_time = self._reset_time
        else:
            leave_time = (now // self._group + 1 + _GROUPS) * self._group
        if self._groups and self._groups[-1][0] >= leave_time:
            self._groups[-1][1] += count
        else:
            self._groups.append([leave_time, count])

    def _drop(self, now: float) -> None:
        while self._groups and self._groups[0][0] <= now:
            self._used -= int(self._groups.popleft()[1])
        if self._reset_time is not None and self._reset_time <= now:
            passed = (now - self._reset_time) // self._window + 1
            self._reset_time += passed * self._window


def make_counter(rate: Rate, ending_share: float) -> Counter:
    """Returns what counts a rate: a bucket for a short window, a quota for a long one."""
    kind = TokenBucket if rate.window_seconds <= LONGEST_SHORT_WINDOW_SECONDS else Quota
    return kind(rate, ending_share)


def _reserve(size: int, share: float) -> int:
    # At least one call stays for everybody else.
    return min(int(size * share), size - 1)
