"""Keeps a marketplace's limits before it has to: per application and per account, with calls kept for endings.

Each process counts its own calls; what other replicas use is learned from the marketplace's answers
(`learn`, `pause`). An exchange with a marketplace is `await acquire(...)`, the request, then what its answer
says. Everything here runs on one event loop, and between asking and taking nothing is awaited, so two tasks
never take the same call.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from stoflow_connector_sdk.errors import RateLimitedError, RateLimitScope
from stoflow_connector_sdk.http.rates import Counter, Rate, make_counter
from stoflow_connector_sdk.http.transport import effect_so_far
from stoflow_service_kit.clock import Clock, SystemClock

CODE = "LOCAL_RATE_LIMIT"
"""Code of the errors raised here: nothing was sent, so the marketplace has none."""

# From here on the orchestrator is told whom the limit holds back, so that it starts no other jobs in vain.
LONG_WAIT_SECONDS = 30.0

RatesByResource = Mapping[str, Sequence[Rate]]


@dataclass(slots=True)
class _Scope:
    """What holds for one (account, resource)."""

    counters: dict[float, Counter] = field(default_factory=dict)
    paused_until: float = float("-inf")

    def wait_seconds(self, now: float, *, ending: bool) -> float:
        waits = (counter.wait_seconds(now, ending=ending) for counter in self.counters.values())
        return max(self.paused_until - now, 0.0, *waits)


class RateLimiter:
    """Lets calls pass at the marketplace's pace.

    A *resource* names a group of calls with a limit of its own, such as one API; "" is all of them. A call
    counts against four scopes at most: the application's and the account's, each of its resource and of all.
    """

    def __init__(
        self,
        *,
        app_rates: RatesByResource | None = None,
        account_rates: RatesByResource | None = None,
        ending_share: float = 0.05,
        longest_wait_seconds: float = 5.0,
        max_accounts: int = 10_000,
        clock: Clock | None = None,
    ) -> None:
        """Begins with nothing used.

        Args:
            app_rates: Rates of the application by resource; more are learned from answers.
            account_rates: Rates of each account by resource.
            ending_share: Part of each rate that only ending calls may use, from 0 to below 1.
            longest_wait_seconds: What a call waits at most; above that it is refused at once.
            max_accounts: Scopes of accounts remembered; the least recently used goes first.
            clock: Time.
        """
        if not 0 <= ending_share < 1:
            raise ValueError(f"ending_share must be at least 0 and below 1: {ending_share}")
        self._app_rates = app_rates or {}
        self._account_rates = account_rates or {}
        self._ending_share = ending_share
        self._longest_wait_seconds = longest_wait_seconds
        self._max_accounts = max_accounts
        self._clock = clock or SystemClock()
        self._apps: dict[str, _Scope] = {}
        self._accounts: OrderedDict[tuple[str, str], _Scope] = OrderedDict()

    @property
    def scope_count(self) -> int:
        """How many scopes are remembered."""
        return len(self._apps) + len(self._accounts)

    async def acquire(self, account: str = "", *, resource: str = "", ending: bool = False) -> None:
        """Takes one call, waiting a short while when that suffices.

        Args:
            account: On whose behalf; "" for the application's own calls.
            resource: What is called.
            ending: Whether the call ends or reduces something for sale, and so may use what is kept for that.

        Raises:
            RateLimitedError: The wait would be longer; nothing was sent and nothing is taken.
        """
        deadline = self._clock.monotonic() + self._longest_wait_seconds
        while True:
            now = self._clock.monotonic()
            scopes = list(self._scopes(account, resource))
            waits = [(scope.wait_seconds(now, ending=ending), holds_back) for scope, holds_back in scopes]
            wait = max(seconds for seconds, _ in waits)
            if wait <= 0:
                for scope, _ in scopes:
                    for counter in scope.counters.values():
                        counter.take(now)
                return
            if now + wait > deadline:
                raise self._refusal(
                    resource, wait, max(holds_back for seconds, holds_back in waits if seconds == wait)
                )
            await self._clock.sleep(wait)

    def pause(self, seconds: float, *, account: str = "", resource: str = "") -> None:
        """Lets nothing pass for a while, not even endings: what a Retry-After asks for.

        Args:
            seconds: How long from now; a pause that ends later stays.
            account: Whose calls; "" for everybody's.
            resource: Of which resource; "" for all.
        """
        scope = self._scope(account, resource)
        scope.paused_until = max(scope.paused_until, self._clock.monotonic() + seconds)

    def learn(
        self,
        window_seconds: float,
        limit: int,
        remaining: int | None = None,
        *,
        reset_seconds: float | None = None,
        account: str = "",
        resource: str = "",
    ) -> None:
        """Believes the marketplace about a limit: from the headers of an answer, or its analytics.

        Args:
            window_seconds: The window; one that was not known before is counted from now on.
            limit: Calls in a window; below 1 nothing is learned.
            remaining: Calls left; None when it did not say.
            reset_seconds: How long until all are there again; None for a window that slides.
            account: Whose; "" for the application's.
            resource: Of which resource; "" for all.
        """
        if limit < 1 or window_seconds <= 0:
            return
        counters = self._scope(account, resource).counters
        counter = counters.get(window_seconds)
        if counter is None:
            counter = counters[window_seconds] = make_counter(Rate(limit, window_seconds), self._ending_share)
            # Whatever told of the limit was a call itself, and passed uncounted.
            counter.take(self._clock.monotonic())
        counter.learn(self._clock.monotonic(), limit, remaining, reset_seconds)

    def _scopes(self, account: str, resource: str) -> Iterator[tuple[_Scope, RateLimitScope]]:
        for name in dict.fromkeys((resource, "")):
            # The limit of one resource says nothing of jobs that call others.
            yield self._scope("", name), RateLimitScope.JOB if name else RateLimitScope.MARKETPLACE
            if account:
                yield self._scope(account, name), RateLimitScope.JOB if name else RateLimitScope.ACCOUNT

    def _scope(self, account: str, resource: str) -> _Scope:
        if not account:
            if resource not in self._apps:
                self._apps[resource] = self._new_scope(self._app_rates.get(resource, ()))
            return self._apps[resource]
        key = (account, resource)
        scope = self._accounts.get(key)
        if scope is None:
            scope = self._accounts[key] = self._new_scope(self._account_rates.get(resource, ()))
            self._forget()
        self._accounts.move_to_end(key)
        return scope

    def _new_scope(self, rates: Sequence[Rate]) -> _Scope:
        return _Scope({rate.window_seconds: make_counter(rate, self._ending_share) for rate in rates})

    def _forget(self) -> None:
        # Memory is bounded even when all are in use: then the marketplace's own answers tell the forgotten again.
        while len(self._accounts) > self._max_accounts:
            self._accounts.popitem(last=False)

    def _refusal(self, resource: str, wait: float, holds_back: RateLimitScope) -> RateLimitedError:
        until = (self._clock.now() + timedelta(seconds=wait)).isoformat(timespec="seconds")
        what = f"The limit of {resource}" if resource else "The limit"
        return RateLimitedError(
            f"{what} is used up until {until}; nothing was sent.",
            # A short wait is over before anybody else would have been told of it.
            scope=holds_back if wait >= LONG_WAIT_SECONDS else RateLimitScope.JOB,
            effect=effect_so_far(),
            code=CODE,
            retry_after_seconds=wait,
        )
