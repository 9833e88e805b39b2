"""Client of a marketplace sandbox's control API, for tests and the demo.

`SandboxControl` is synchronous, `AsyncSandboxControl` has the same calls to be awaited. Both raise
`SandboxControlError` with every violation that the sandbox names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

JsonObject = dict[str, Any]

# Beyond what a wait asks for, so that the sandbox says that time is up and not the socket.
WAIT_MARGIN_SECONDS = 10.0


class SandboxControlError(Exception):
    """The sandbox refused a control call; `status` 408 means that a wait ran out of time."""

    def __init__(self, status: int, violations: list[str]) -> None:
        super().__init__(f"{status}: {'; '.join(violations)}")
        self.status = status
        self.violations = violations


@dataclass(frozen=True, slots=True)
class SeededSeller:
    """What a connector needs to act for a seller. `policies` is by site, as in policies["EBAY_US"]."""

    username: str
    client_id: str
    client_secret: str
    refresh_token: str
    scopes: list[str]
    policies: dict[str, dict[str, str]]
    locations: list[str]


@dataclass(frozen=True, slots=True)
class _Ask:
    """One control call; both clients send it and read the answer alike."""

    method: str
    path: str
    json: JsonObject | None = None
    params: Mapping[str, str] | None = None
    wait_seconds: float = 0

    def request(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        timeout = httpx.Timeout(self.wait_seconds + WAIT_MARGIN_SECONDS)
        return client.build_request(
            self.method, f"/_sandbox/{self.path}", json=self.json, params=self.params, timeout=timeout
        )


def _read(response: httpx.Response) -> JsonObject:
    if response.is_success:
        content: JsonObject = response.json() if response.content else {}
        return content
    try:
        violations = response.json()["violations"]
    except (ValueError, KeyError, TypeError):
        violations = [response.text[:500]]
    raise SandboxControlError(response.status_code, violations)


def _ask_seed(username: str, client_id: str, client_secret: str, options: JsonObject) -> _Ask:
    identity = {"username": username, "client_id": client_id, "client_secret": client_secret}
    given = {name: value for name, value in options.items() if value is not None}
    return _Ask("POST", "sellers", identity | given)


def _seeded(content: JsonObject, client_secret: str) -> SeededSeller:
    return SeededSeller(
        username=content["username"],
        client_id=content["client_id"],
        client_secret=client_secret,
        refresh_token=content["refresh_token"],
        scopes=content["scopes"],
        policies=content["policies"],
        locations=content["locations"],
    )


def _ask_wait_for_hit(rule: str, timeout: float, hits: int) -> _Ask:
    params = {"hits": str(hits), "timeout": f"{timeout:g}"}
    return _Ask("GET", f"faults/{rule}/wait", params=params, wait_seconds=timeout)


def _ask_requests(wait_count: int, timeout: float, filters: JsonObject) -> _Ask:
    params = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in filters.items()
        if value is not None
    }
    if wait_count:
        params |= {"wait_count": str(wait_count), "timeout": f"{timeout:g}"}
    return _Ask("GET", "requests", params=params, wait_seconds=timeout if wait_count else 0)


def _ask_state(seller: str | None) -> _Ask:
    return _Ask("GET", "state", params={"seller": seller} if seller else None)


class SandboxControl:
    """Synchronous control of one sandbox at `base_url`, as in http://127.0.0.1:8081."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._client = httpx.Client(base_url=self.base_url, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def _do(self, ask: _Ask) -> JsonObject:
        return _read(self._client.send(ask.request(self._client)))

    def call(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Make a control call of one marketplace's own; `path` is what follows /_sandbox/."""
        return self._do(_Ask(method, path, body))

    def seed_seller(
        self, username: str, *, client_id: str, client_secret: str, **options: Any
    ) -> SeededSeller:
        """Make or renew a seller; options are those of the control call, None meaning its default."""
        content = self._do(_ask_seed(username, client_id, client_secret, options))
        return _seeded(content, client_secret)

    def forget_seller(self, username: str) -> None:
        self._do(_Ask("DELETE", f"sellers/{username}"))

    def make_authorization_code(self, username: str) -> str:
        """Return a code as eBay's consent page would hand to the redirect address."""
        code: str = self._do(_Ask("POST", f"sellers/{username}/authorization_codes"))["code"]
        return code

    def revoke(self, username: str) -> None:
        """Withdraw the seller's consent: refreshing answers invalid_grant from now on."""
        self._do(_Ask("POST", f"sellers/{username}/revoke"))

    def expire_access_tokens(self, username: str) -> None:
        """End the seller's access tokens; refreshing still works."""
        self._do(_Ask("POST", f"sellers/{username}/expire_access_tokens"))

    def add_fault(self, kind: str, **rule: Any) -> str:
        """Add a fault rule and return its id; `faults.FaultRule` names the fields."""
        rule_id: str = self._do(_Ask("POST", "faults", {"kind": kind} | rule))["id"]
        return rule_id

    def fault(self, rule: str) -> JsonObject:
        """Return a rule with its hits and the request numbers that it holds."""
        return self._do(_Ask("GET", f"faults/{rule}"))

    def wait_for_hit(self, rule: str, timeout: float = 10, *, hits: int = 1) -> JsonObject:
        """Return the rule once it was hit; raises SandboxControlError with status 408 when time is up."""
        return self._do(_ask_wait_for_hit(rule, timeout, hits))

    def release(self, rule: str) -> int:
        """Let the answers go that the rule holds and return how many there were."""
        released: int = self._do(_Ask("POST", f"faults/{rule}/release"))["released"]
        return released

    def remove_fault(self, rule: str) -> None:
        self._do(_Ask("DELETE", f"faults/{rule}"))

    def clear_faults(self) -> None:
        self._do(_Ask("DELETE", "faults"))

    def requests(self, *, wait_count: int = 0, timeout: float = 10, **filters: Any) -> list[JsonObject]:
        """Return log entries, oldest first; with `wait_count`, once that many completed ones match."""
        entries: list[JsonObject] = self._do(_ask_requests(wait_count, timeout, filters))["requests"]
        return entries

    def state(self, seller: str | None = None) -> JsonObject:
        """Return {"sellers": {username: {items, offers, listings, images, locations, created}}}."""
        return self._do(_ask_state(seller))

    def created(self, seller: str) -> dict[str, dict[str, int]]:
        """Return the numbers ever created: {"offers": {sku: n}, "listings": {sku: n}}."""
        counts: dict[str, dict[str, int]] = self.state(seller)["sellers"][seller]["created"]
        return counts

    def set_redirect(self, ru_name: str, url: str) -> None:
        """Say where eBay sends sellers after a consent that was asked for with this RuName."""
        self._do(_Ask("POST", "redirects", {"ru_name": ru_name, "url": url}))

    def set_quota(self, api: str, limit: int, **options: Any) -> None:
        """Give an application (client_id) or a seller another quota at eBay; options: used, window_seconds."""
        self._do(_Ask("POST", "quotas", {"api": api, "limit": limit} | options))

    def notify(self, url: str, topic: str, seller: str, **options: Any) -> JsonObject:
        """Send a signed notification of eBay; options: order_id, notification_id, signature. Returns status."""
        return self._do(
            _Ask(
                "POST",
                "notifications",
                {"url": url, "topic": topic, "seller": seller} | options,
                wait_seconds=WAIT_MARGIN_SECONDS,
            )
        )

    def challenge(self, url: str, endpoint: str, verification_token: str) -> bool:
        """Ask a receiver of eBay's notifications for the verification token; returns whether it knows it."""
        fields = {"url": url, "endpoint": endpoint, "verification_token": verification_token}
        asked = _Ask("POST", "challenges", fields, wait_seconds=WAIT_MARGIN_SECONDS)
        return bool((self._do(asked))["passed"])

    def place_order(self, username: str, listing_id: str, **options: Any) -> JsonObject:
        """Let a buyer buy from a live eBay listing; options are quantity, buyer, payment. Returns the order."""
        return self._do(_Ask("POST", f"sellers/{username}/orders", {"listing_id": listing_id} | options))

    def change_order(self, username: str, order_id: str, **change: Any) -> JsonObject:
        """Let an order go on: payment, fulfillment, cancellation, counts_as_change. Returns the order."""
        return self._do(_Ask("POST", f"sellers/{username}/orders/{order_id}", change))

    def listing(self, listing_id: str) -> JsonObject:
        return self._do(_Ask("GET", f"listings/{listing_id}"))

    def advance_clock(self, seconds: float) -> None:
        self._do(_Ask("POST", "clock", {"advance_seconds": seconds}))


class AsyncSandboxControl:
    """The calls of SandboxControl, to be awaited."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._client = httpx.AsyncClient(base_url=self.base_url, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def _do(self, ask: _Ask) -> JsonObject:
        return _read(await self._client.send(ask.request(self._client)))

    async def call(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Make a control call of one marketplace's own; `path` is what follows /_sandbox/."""
        return await self._do(_Ask(method, path, body))

    async def seed_seller(
        self, username: str, *, client_id: str, client_secret: str, **options: Any
    ) -> SeededSeller:
        """Make or renew a seller; options are those of the control call, None meaning its default."""
        content = await self._do(_ask_seed(username, client_id, client_secret, options))
        return _seeded(content, client_secret)

    async def forget_seller(self, username: str) -> None:
        await self._do(_Ask("DELETE", f"sellers/{username}"))

    async def make_authorization_code(self, username: str) -> str:
        """Return a code as eBay's consent page would hand to the redirect address."""
        code: str = (await self._do(_Ask("POST", f"sellers/{username}/authorization_codes")))["code"]
        return code

    async def revoke(self, username: str) -> None:
        """Withdraw the seller's consent: refreshing answers invalid_grant from now on."""
        await self._do(_Ask("POST", f"sellers/{username}/revoke"))

    async def expire_access_tokens(self, username: str) -> None:
        """End the seller's access tokens; refreshing still works."""
        await self._do(_Ask("POST", f"sellers/{username}/expire_access_tokens"))

    async def add_fault(self, kind: str, **rule: Any) -> str:
        """Add a fault rule and return its id; `faults.FaultRule` names the fields."""
        rule_id: str = (await self._do(_Ask("POST", "faults", {"kind": kind} | rule)))["id"]
        return rule_id

    async def fault(self, rule: str) -> JsonObject:
        """Return a rule with its hits and the request numbers that it holds."""
        return await self._do(_Ask("GET", f"faults/{rule}"))

    async def wait_for_hit(self, rule: str, timeout: float = 10, *, hits: int = 1) -> JsonObject:  # noqa: ASYNC109 - sent to the sandbox
        """Return the rule once it was hit; raises SandboxControlError with status 408 when time is up."""
        return await self._do(_ask_wait_for_hit(rule, timeout, hits))

    async def release(self, rule: str) -> int:
        """Let the answers go that the rule holds and return how many there were."""
        released: int = (await self._do(_Ask("POST", f"faults/{rule}/release")))["released"]
        return released

    async def remove_fault(self, rule: str) -> None:
        await self._do(_Ask("DELETE", f"faults/{rule}"))

    async def clear_faults(self) -> None:
        await self._do(_Ask("DELETE", "faults"))

    async def requests(
        self,
        *,
        wait_count: int = 0,
        timeout: float = 10,  # noqa: ASYNC109 - sent to the sandbox
        **filters: Any,
    ) -> list[JsonObject]:
        """Return log entries, oldest first; with `wait_count`, once that many completed ones match."""
        entries: list[JsonObject] = (await self._do(_ask_requests(wait_count, timeout, filters)))["requests"]
        return entries

    async def state(self, seller: str | None = None) -> JsonObject:
        """Return {"sellers": {username: {items, offers, listings, images, locations, created}}}."""
        return await self._do(_ask_state(seller))

    async def created(self, seller: str) -> dict[str, dict[str, int]]:
        """Return the numbers ever created: {"offers": {sku: n}, "listings": {sku: n}}."""
        counts: dict[str, dict[str, int]] = (await self.state(seller))["sellers"][seller]["created"]
        return counts

    async def set_redirect(self, ru_name: str, url: str) -> None:
        """Say where eBay sends sellers after a consent that was asked for with this RuName."""
        await self._do(_Ask("POST", "redirects", {"ru_name": ru_name, "url": url}))

    async def set_quota(self, api: str, limit: int, **options: Any) -> None:
        """Give an application (client_id) or a seller another quota at eBay; options: used, window_seconds."""
        await self._do(_Ask("POST", "quotas", {"api": api, "limit": limit} | options))

    async def notify(self, url: str, topic: str, seller: str, **options: Any) -> JsonObject:
        """Send a signed notification of eBay; options: order_id, notification_id, signature. Returns status."""
        return await self._do(
            _Ask(
                "POST",
                "notifications",
                {"url": url, "topic": topic, "seller": seller} | options,
                wait_seconds=WAIT_MARGIN_SECONDS,
            )
        )

    async def challenge(self, url: str, endpoint: str, verification_token: str) -> bool:
        """Ask a receiver of eBay's notifications for the verification token; returns whether it knows it."""
        fields = {"url": url, "endpoint": endpoint, "verification_token": verification_token}
        asked = _Ask("POST", "challenges", fields, wait_seconds=WAIT_MARGIN_SECONDS)
        return bool((await self._do(asked))["passed"])

    async def place_order(self, username: str, listing_id: str, **options: Any) -> JsonObject:
        """Let a buyer buy from a live eBay listing; options are quantity, buyer, payment. Returns the order."""
        return await self._do(
            _Ask("POST", f"sellers/{username}/orders", {"listing_id": listing_id} | options)
        )

    async def change_order(self, username: str, order_id: str, **change: Any) -> JsonObject:
        """Let an order go on: payment, fulfillment, cancellation, counts_as_change. Returns the order."""
        return await self._do(_Ask("POST", f"sellers/{username}/orders/{order_id}", change))

    async def listing(self, listing_id: str) -> JsonObject:
        return await self._do(_Ask("GET", f"listings/{listing_id}"))

    async def advance_clock(self, seconds: float) -> None:
        await self._do(_Ask("POST", "clock", {"advance_seconds": seconds}))
