"""Call quotas: counted, enforced, and shown by the Analytics API.

An application has a quota a day for each API; a control call sets others, also for a single seller. All begin anew
at the end of their window, a day's at midnight Pacific, for which UTC-8 stands all year.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stoflow_sandbox.marketplaces.exchange import Reply

DAY_SECONDS = 86_400
PACIFIC_SECONDS = 8 * 3600
# By API: what applications have by default, from eBay's page "API call limits"; others have 5,000.
DAILY = {
    "sell.inventory": 2_000_000,
    "sell.fulfillment": 100_000,
    "sell.account": 25_000,
    "commerce.notification": 10_000,
}
DEFAULT_DAILY = 5_000
Key = tuple[str, str, str]


@dataclass(slots=True)
class Quota:
    """Calls in a window. `reset_time` is when they begin anew."""

    limit: int
    window_seconds: int
    count: int = 0
    reset_time: float = 0.0

    def roll(self, now: float) -> None:
        """Begin anew when the window is over."""
        if now >= self.reset_time:
            start = (now + PACIFIC_SECONDS) // self.window_seconds * self.window_seconds
            self.reset_time = start + self.window_seconds - PACIFIC_SECONDS
            self.count = 0

    def view(self) -> dict[str, Any]:
        reset = datetime.fromtimestamp(self.reset_time, UTC)
        return {
            "count": self.count,
            "limit": self.limit,
            "remaining": max(self.limit - self.count, 0),
            "reset": reset.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "timeWindow": self.window_seconds,
        }


@dataclass(slots=True)
class Quotas:
    """By owner ("app" or "user" and its name) and API."""

    by_key: dict[Key, Quota] = field(default_factory=dict)

    def set(self, key: Key, limit: int, window_seconds: int, used: int, now: float) -> None:
        """Give an owner another quota for an API, of which some is used already."""
        quota = self.by_key[key] = Quota(limit, window_seconds)
        quota.roll(now)
        quota.count = used

    def take(self, client_id: str, username: str | None, path: str, now: float) -> bool:
        """Count a call; False when a quota is used up, and then nothing is counted."""
        api = api_of(path)
        app = self._of_app(client_id, api)
        user = self.by_key.get(("user", username or "", api))
        quotas = [app] if user is None else [app, user]
        for quota in quotas:
            quota.roll(now)
        if any(quota.count >= quota.limit for quota in quotas):
            return False
        for quota in quotas:
            quota.count += 1
        return True

    def _of_app(self, client_id: str, api: str) -> Quota:
        key = ("app", client_id, api)
        if key not in self.by_key:
            self.by_key[key] = Quota(DAILY.get(api, DEFAULT_DAILY), DAY_SECONDS)
        return self.by_key[key]

    def show(self, kind: str, owner: str, parameters: dict[str, str], now: float) -> Reply:
        """Answer getRateLimits or getUserRateLimits; 204 without a limit."""
        if kind == "app":
            for api in DAILY:
                self._of_app(owner, api)
        shown = []
        for (its_kind, its_owner, api), quota in self.by_key.items():
            context, _, name = api.partition(".")
            if (its_kind, its_owner) != (kind, owner):
                continue
            if parameters.get("api_context", context) != context or parameters.get("api_name", name) != name:
                continue
            quota.roll(now)
            resources = [{"name": api, "rates": [quota.view()]}]
            shown.append({"apiContext": context, "apiName": name, "apiVersion": "v1", "resources": resources})
        return Reply(200, {"rateLimits": shown}) if shown else Reply(204)


def api_of(path: str) -> str:
    """Return the API that a path belongs to, as in sell.inventory."""
    _, context, name, *_ = [*path.split("/"), "", ""]
    return f"{context}.{name}"
