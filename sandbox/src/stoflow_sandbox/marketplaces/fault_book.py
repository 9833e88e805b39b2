"""The fault rules in force, who waits for a hit, and the answers being held."""

import asyncio
from dataclasses import dataclass, field

from stoflow_sandbox.marketplaces.exchange import Call, Subject
from stoflow_sandbox.marketplaces.faults import FaultRule


class UnknownFaultError(LookupError):
    """No rule has this id."""


@dataclass(slots=True)
class _Entry:
    rule: FaultRule
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    held: dict[int, asyncio.Event] = field(default_factory=dict)
    is_removed: bool = False


class FaultBook:
    """Rules in the order in which they were added."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._next_id = 1

    def add(self, rule: FaultRule) -> FaultRule:
        rule.id = f"fault-{self._next_id}"
        self._next_id += 1
        self._entries[rule.id] = _Entry(rule)
        return rule

    def get(self, rule_id: str) -> FaultRule:
        return self._entry(rule_id).rule

    def all(self) -> list[FaultRule]:
        return [entry.rule for entry in self._entries.values()]

    def take(self, call: Call, subject: Subject) -> FaultRule | None:
        """Return the rule that catches this call and count the catch."""
        for entry in self._entries.values():
            rule = entry.rule
            if rule.is_spent or not rule.catches(call, subject):
                continue
            if rule.skipped < rule.skip:
                rule.skipped += 1
                continue
            rule.caught += 1
            return rule
        return None

    async def announce(self, rule: FaultRule, seq: int) -> None:
        """Tell whoever waits that request `seq` was caught and has reached the point that the rule names."""
        rule.hits.append(seq)
        entry = self._entries.get(rule.id)
        if entry is not None:
            async with entry.changed:
                entry.changed.notify_all()

    async def wait_for_hits(self, rule_id: str, count: int, timeout_seconds: float) -> FaultRule:
        """Return once the rule has `count` hits; raises TimeoutError, or UnknownFaultError when it is
        removed.
        """
        entry = self._entry(rule_id)
        async with asyncio.timeout(timeout_seconds), entry.changed:
            await entry.changed.wait_for(lambda: entry.is_removed or len(entry.rule.hits) >= count)
        if len(entry.rule.hits) < count:
            raise UnknownFaultError(rule_id)
        return entry.rule

    def hold(self, rule: FaultRule, seq: int) -> asyncio.Event:
        """Return the event that a release of the rule sets."""
        event = asyncio.Event()
        entry = self._entries.get(rule.id)
        if entry is None:
            event.set()
        else:
            entry.held[seq] = event
        return event

    def forget_hold(self, rule: FaultRule, seq: int) -> None:
        entry = self._entries.get(rule.id)
        if entry is not None:
            entry.held.pop(seq, None)

    def held(self, rule_id: str) -> list[int]:
        """Return the request numbers whose answers are held now."""
        return sorted(self._entry(rule_id).held)

    def release(self, rule_id: str) -> int:
        """Let every answer go that the rule holds now; later catches are held anew."""
        entry = self._entry(rule_id)
        events = list(entry.held.values())
        entry.held.clear()
        for event in events:
            event.set()
        return len(events)

    async def remove(self, rule_id: str) -> None:
        entry = self._entry(rule_id)
        self.release(rule_id)
        entry.is_removed = True
        del self._entries[rule_id]
        async with entry.changed:
            entry.changed.notify_all()

    async def clear(self) -> None:
        for rule_id in list(self._entries):
            await self.remove(rule_id)

    def _entry(self, rule_id: str) -> _Entry:
        try:
            return self._entries[rule_id]
        except KeyError:
            raise UnknownFaultError(rule_id) from None
