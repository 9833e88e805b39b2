"""The request log: one entry for each request on arrival, completed when it is answered, and never removed by
hand.

An effect that happens after its request was given up is an entry of its own, of kind `late_effect`, that
names the request's number in `late_for`. Secrets never enter: authorization headers and cookies are dropped,
and of a form body only the fields known to be harmless are kept.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from stoflow_sandbox.marketplaces.exchange import Call, Reply, Subject
from stoflow_sandbox.marketplaces.faults import path_matches

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "x-csrf-token"})
HARMLESS_FORM_FIELDS = frozenset(
    {"grant_type", "scope", "redirect_uri", "title", "state", "price", "quantity", "image_ids", "taxonomy_id"}
)


@dataclass(slots=True)
class LogEntry:
    """One request. `outcome` is pending, answered, client_gone, reset, given_up or failed."""

    seq: int
    kind: str
    time: float
    operation: str
    seller: str | None
    sku: str | None
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any
    rule_id: str | None = None
    late_for: int | None = None
    status: int | None = None
    outcome: str = "pending"
    effect_applied: bool = False
    created: list[dict[str, str | None]] = field(default_factory=list)
    effects: list[dict[str, str | None]] = field(default_factory=list)
    error_ids: list[int] = field(default_factory=list)
    answered_time: float | None = None

    def record_reply(self, reply: Reply) -> None:
        """Note what obeying the call did, whether or not the client ever learns of it."""
        self.effects = [effect.view() for effect in reply.effects]
        self.created = [effect.view() for effect in reply.effects if effect.kind.endswith(".created")]
        self.effect_applied = bool(reply.effects)
        self.status = reply.status
        if isinstance(reply.content, dict) and isinstance(reply.content.get("errors"), list):
            self.error_ids = [error.get("errorId", 0) for error in reply.content["errors"]]

    def view(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Conditions of a log query; None means any."""

    seller: str | None = None
    sku: str | None = None
    operation: str | None = None
    method: str | None = None
    path: str | None = None
    kind: str | None = None
    rule_id: str | None = None
    effect_applied: bool | None = None
    after_seq: int = 0

    def admits(self, entry: LogEntry) -> bool:
        wanted = (
            (self.seller, entry.seller),
            (self.sku, entry.sku),
            (self.operation, entry.operation),
            (self.method, entry.method),
            (self.kind, entry.kind),
            (self.rule_id, entry.rule_id),
            (self.effect_applied, entry.effect_applied),
        )
        if entry.seq <= self.after_seq or any(want is not None and want != have for want, have in wanted):
            return False
        return self.path is None or path_matches(self.path, entry.path)


class RequestLog:
    """Entries in order of arrival; when `limit` is reached the oldest fall out and `dropped` counts them."""

    def __init__(self, now: Callable[[], float], limit: int) -> None:
        self._now = now
        self._entries: deque[LogEntry] = deque(maxlen=limit)
        self._changed = asyncio.Condition()
        self._waiters = 0
        self._last_seq = 0
        self.dropped = 0

    def open(
        self, call: Call, subject: Subject, *, kind: str = "request", late_for: int | None = None
    ) -> LogEntry:
        """Append the entry of a request that has just arrived."""
        self._last_seq += 1
        if len(self._entries) == self._entries.maxlen:
            self.dropped += 1
        entry = LogEntry(
            seq=self._last_seq,
            kind=kind,
            time=self._now(),
            operation=subject.operation,
            seller=subject.seller,
            sku=subject.sku,
            method=call.method,
            path=call.path,
            query=call.query,
            headers={name: value for name, value in call.headers.items() if name not in SECRET_HEADERS},
            body=describe_body(call),
            late_for=late_for,
        )
        self._entries.append(entry)
        return entry

    async def close(self, entry: LogEntry, outcome: str) -> None:
        """Complete an entry and wake whoever waits for it."""
        entry.outcome = outcome
        entry.answered_time = self._now()
        if self._waiters:
            async with self._changed:
                self._changed.notify_all()

    def select(self, wanted: LogFilter) -> list[LogEntry]:
        return [entry for entry in self._entries if wanted.admits(entry)]

    async def wait_for(self, wanted: LogFilter, count: int, timeout_seconds: float) -> list[LogEntry]:
        """Return the completed entries that match once there are `count`, or what there is when time ends."""

        def done() -> list[LogEntry]:
            return [entry for entry in self.select(wanted) if entry.outcome != "pending"]

        self._waiters += 1
        try:
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(lambda: len(done()) >= count)
        except TimeoutError:
            # Whoever asked sees from the number of entries that time ran out, and what did happen.
            pass
        finally:
            self._waiters -= 1
        return done()


def describe_body(call: Call) -> Any:
    """Return the JSON body, the harmless fields of a form, or size and digest of anything else."""
    if not call.body:
        return None
    if call.json is not None:
        return call.json
    if call.form:
        return {name: value for name, value in call.form.items() if name in HARMLESS_FORM_FIELDS}
    return {
        "media_type": call.media_type,
        "size": len(call.body),
        "sha256": hashlib.sha256(call.body).hexdigest(),
    }
