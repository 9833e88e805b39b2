"""Keeps eBay's limits before eBay has to.

eBay's answers carry no numbers, so what is left of the quotas is read from its Analytics API, seldom, and counted in
between. A share of each quota is kept for the action "delete": what was sold elsewhere must come off eBay even on a
day on which everything else is used up.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx

from stoflow_connector_ebay.clients.analytics import AnalyticsClient, CallQuota
from stoflow_connector_ebay.clients.application import ApplicationTokens
from stoflow_connector_ebay.clients.caller import RATE_LIMIT_SECONDS
from stoflow_connector_sdk import (
    ConnectorError,
    MarketplaceHttpClient,
    Rate,
    RateLimiter,
    TaskContext,
    current_task,
    retry_after_seconds,
)
from stoflow_service_kit.clock import Clock, SystemClock
from stoflow_service_kit.logs import get_logger

log = get_logger(__name__)

ENDING_ACTION = "delete"
MEDIA_API = "commerce.media"
# "50 POST requests per 5 seconds for each user" (Media API overview).
MEDIA_RATE = Rate(50, 5.0)
# How long what the Analytics API said is counted on from there before it is asked again.
QUOTA_SECONDS = 600.0
# Few sellers have limits of their own, so each is asked about less often.
USER_QUOTA_SECONDS = 3600.0
# After a 429 it is asked earlier: somebody else uses the same application.
QUOTA_AFTER_REFUSAL_SECONDS = 60.0
_MAX_ACCOUNTS = 10_000


def make_limiter(clock: Clock | None = None) -> RateLimiter:
    """Returns the limiter of one process, which knows no quotas yet."""
    return RateLimiter(account_rates={MEDIA_API: [MEDIA_RATE]}, clock=clock)


class QuotaReader:
    """Tells the limiter what eBay says of the quotas."""

    def __init__(
        self,
        analytics: AnalyticsClient,
        application: ApplicationTokens,
        limiter: RateLimiter,
        clock: Clock | None = None,
    ) -> None:
        self._analytics = analytics
        self._application = application
        self._limiter = limiter
        self._clock = clock or SystemClock()
        # By account, "" for the application: when it was asked last.
        self._asked: OrderedDict[str, float] = OrderedDict()

    async def refresh(self, task: TaskContext | None, *, was_refused: bool = False) -> None:
        """Asks eBay where what is known is too old; whoever comes meanwhile does not wait.

        A failure changes nothing: the quotas are an economy, and eBay still refuses by itself.
        """
        after, user_after = QUOTA_SECONDS, USER_QUOTA_SECONDS
        if was_refused:
            after = user_after = QUOTA_AFTER_REFUSAL_SECONDS
        if self._is_due("", after):
            await self._learn("", lambda: self._analytics.list_app_quotas(self._application.get_access_token))
        if task is not None and self._is_due(task.account_id, user_after):
            await self._learn(
                task.account_id, lambda: self._analytics.list_user_quotas(task.get_access_token)
            )

    def _is_due(self, account: str, after_seconds: float) -> bool:
        now = self._clock.monotonic()
        asked = self._asked.get(account)
        if asked is not None and now - asked < after_seconds:
            return False
        # Noted before the answer: two tasks at once ask once.
        self._asked[account] = now
        self._asked.move_to_end(account)
        while len(self._asked) > _MAX_ACCOUNTS:
            self._asked.popitem(last=False)
        return True

    async def _learn(self, account: str, ask: Callable[[], Awaitable[Sequence[CallQuota]]]) -> None:
        try:
            quotas = await ask()
        except ConnectorError as error:
            log.warning("quotas_not_read", account_id=account, code=error.code, error=error.message)
            return
        for quota in quotas:
            reset = quota.reset_time
            self._limiter.learn(
                quota.window_seconds,
                quota.limit,
                quota.remaining,
                reset_seconds=None if reset is None else (reset - self._clock.now()).total_seconds(),
                account=account,
                resource=quota.api,
            )


class PacedHttpClient(MarketplaceHttpClient):
    """Sends what the limiter lets pass, on behalf of the task that runs here."""

    def __init__(self, limiter: RateLimiter, quotas: QuotaReader, **options: Any) -> None:
        super().__init__(**options)
        self._limiter = limiter
        self._quotas = quotas

    async def request(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        """Sends one request as MarketplaceHttpClient does, at eBay's pace.

        Raises:
            RateLimitedError: Not sent: the quota is used up, but for what is kept for endings.
        """
        task = current_task()
        account, api = "" if task is None else task.account_id, api_of(url)
        await self._quotas.refresh(task)
        is_ending = task is not None and task.action == ENDING_ACTION
        await self._limiter.acquire(account, resource=api, ending=is_ending)
        response = await super().request(method, url, **arguments)
        if response.status_code == 429:
            wait = retry_after_seconds(response)
            # eBay does not say whose limit it was. The account rests; whether the application has to, its quotas tell.
            self._limiter.pause(RATE_LIMIT_SECONDS if wait is None else wait, account=account, resource=api)
            await self._quotas.refresh(task, was_refused=True)
        return response


def api_of(url: str) -> str:
    """Returns context and name of the API that an address belongs to: `sell.inventory`."""
    _, context, name, *_ = [*httpx.URL(url).path.split("/"), "", ""]
    return f"{context}.{name}"
