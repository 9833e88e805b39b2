"""eBay's Analytics API v1_beta: what is left of the call quotas."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stoflow_connector_ebay.clients.caller import EbayCaller
from stoflow_connector_ebay.clients.seller import AccessTokens, Seller
from stoflow_connector_ebay.sites import SITES
from stoflow_connector_sdk import MarketplaceHttpClient

Json = Mapping[str, Any]

_PATH = "/developer/analytics/v1_beta"


@dataclass(frozen=True, slots=True)
class CallQuota:
    """What is left of one quota.

    Attributes:
        api: Context and name of the API: `sell.inventory`.
        window_seconds: The time it is for.
        limit: Calls in that time.
        remaining: Calls left.
        reset_time: When all are there again, aware; None when eBay does not say.
    """

    api: str
    window_seconds: float
    limit: int
    remaining: int
    reset_time: datetime | None


class AnalyticsClient:
    """Calls the Analytics API; every method may also raise what EbayCaller does."""

    def __init__(self, http: MarketplaceHttpClient, api_url: str) -> None:
        self._caller = EbayCaller(http, f"{api_url}{_PATH}")

    async def list_app_quotas(self, get_access_token: AccessTokens) -> Sequence[CallQuota]:
        """Returns the application's quotas, the tightest of each API and window."""
        return await self._list("/rate_limit", "show the application's quotas", get_access_token)

    async def list_user_quotas(self, get_access_token: AccessTokens) -> Sequence[CallQuota]:
        """Returns the quotas that a seller has by itself."""
        return await self._list("/user_rate_limit", "show the seller's quotas", get_access_token)

    async def _list(self, path: str, operation: str, token: AccessTokens) -> Sequence[CallQuota]:
        # Without any limit eBay answers 204 and nothing.
        content = await self._caller.get(Seller(SITES["EBAY_US"], token), path, operation, requires="")
        tightest: dict[tuple[str, float], CallQuota] = {}
        for quota in _quotas(content):
            key = (quota.api, quota.window_seconds)
            # The methods of an API may have quotas of their own; calls are counted by API, so the least counts.
            if key not in tightest or quota.remaining < tightest[key].remaining:
                tightest[key] = quota
        return list(tightest.values())


def _quotas(content: Json) -> Iterator[CallQuota]:
    for entry in _objects(content.get("rateLimits")):
        api = f"{entry.get('apiContext') or ''}.{entry.get('apiName') or ''}".lower()
        for resource in _objects(entry.get("resources")):
            for rate in _objects(resource.get("rates")):
                limit, remaining, window = (rate.get(name) for name in ("limit", "remaining", "timeWindow"))
                # A rate without its numbers says nothing.
                if isinstance(limit, int) and isinstance(remaining, int) and isinstance(window, int):
                    yield CallQuota(api, float(window), limit, remaining, _moment(rate.get("reset")))


def _objects(value: Any) -> list[Json]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
