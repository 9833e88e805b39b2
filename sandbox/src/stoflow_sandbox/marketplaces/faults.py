"""Fault rules: which requests they catch and what they do to them. No I/O here.

A rule catches a request when every condition that it sets holds; the oldest rule with catches left wins.
In `path` a `*` stands for one segment and `**` for any rest.
"""

import re
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from stoflow_sandbox.marketplaces.exchange import Call, Subject

_Member = TypeVar("_Member", bound=StrEnum)


class FaultKind(StrEnum):
    """What happens to a caught request; `fault_strategies` obeys, its table of the same names explains."""

    STATUS = "status"
    TIMEOUT_BEFORE_EFFECT = "timeout_before_effect"
    TIMEOUT_AFTER_EFFECT = "timeout_after_effect"
    LATE_EFFECT = "late_effect"
    HOLD = "hold"
    RESET_BEFORE_EFFECT = "reset_before_effect"
    RESET_AFTER_EFFECT = "reset_after_effect"
    LATENCY = "latency"
    MALFORMED_BODY = "malformed_body"


class Apply(StrEnum):
    """When the effect of a caught request happens, seen from the fault."""

    BEFORE = "before"
    AFTER = "after"
    NEVER = "never"


APPLY_CHOICES = {
    FaultKind.STATUS: (Apply.NEVER, Apply.BEFORE),
    FaultKind.HOLD: (Apply.BEFORE, Apply.AFTER, Apply.NEVER),
    FaultKind.MALFORMED_BODY: (Apply.BEFORE, Apply.NEVER),
}


class FaultRuleError(ValueError):
    """A rule that makes no sense; `violations` says everything that is wrong with it."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


@dataclass(slots=True)
class FaultRule:
    """One fault on demand. `times` None catches for ever; `skip` lets that many matches pass first."""

    kind: FaultKind
    id: str = ""
    method: str | None = None
    path: str = "**"
    seller: str | None = None
    sku: str | None = None
    body_contains: str | None = None
    skip: int = 0
    times: int | None = 1
    status: int | None = None
    retry_after_seconds: int | None = None
    apply: Apply | None = None
    delay_seconds: float = 2.0
    limit_seconds: float = 120.0
    content: Any = None
    caught: int = 0
    skipped: int = 0
    hits: list[int] = field(default_factory=list)

    def catches(self, call: Call, subject: Subject) -> bool:
        """Say whether the conditions hold, whatever is left of `times` and `skip`."""
        return (
            (self.method is None or self.method.upper() == call.method)
            and (self.seller is None or self.seller == subject.seller)
            and (self.sku is None or self.sku == subject.sku)
            and path_matches(self.path, call.path)
            and (self.body_contains is None or self.body_contains.encode() in call.body)
        )

    @property
    def is_spent(self) -> bool:
        return self.times is not None and self.caught >= self.times

    def view(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"is_spent": self.is_spent}


def path_matches(pattern: str, path: str) -> bool:
    return _compile(pattern).fullmatch(path) is not None


@lru_cache(maxsize=512)
def _compile(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))


_TYPES: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "path": (str,),
    "seller": (str,),
    "sku": (str,),
    "body_contains": (str,),
    "skip": (int,),
    "times": (int,),
    "status": (int,),
    "retry_after_seconds": (int,),
    "delay_seconds": (int, float),
    "limit_seconds": (int, float),
}


def parse_rule(source: Any) -> FaultRule:
    """Make a rule of a JSON object; raises FaultRuleError with every violation."""
    if not isinstance(source, dict):
        raise FaultRuleError(["a fault rule is a JSON object"])
    violations = [
        f"{name}: unknown field" for name in source.keys() - _TYPES.keys() - {"kind", "apply", "content"}
    ]
    for name, types in _TYPES.items():
        value = source.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, types):
            violations.append(f"{name}: expected {types[-1].__name__}")
        elif isinstance(value, int | float) and value < 0:
            violations.append(f"{name}: must not be negative")
    kind = _member(FaultKind, source.get("kind"), "kind", violations)
    apply = _member(Apply, source["apply"], "apply", violations) if source.get("apply") else None
    if kind and apply and apply not in APPLY_CHOICES.get(kind, ()):
        violations.append(f"apply: {apply} has no meaning for {kind}")
    if kind is None or violations:
        raise FaultRuleError(violations)
    values = {name: source[name] for name in source if name not in ("kind", "apply")}
    return FaultRule(kind=kind, apply=apply or next(iter(APPLY_CHOICES.get(kind, ())), None), **values)


def _member(enum: type[_Member], value: Any, name: str, violations: list[str]) -> _Member | None:
    try:
        return enum(value)
    except ValueError:
        violations.append(f"{name}: expected one of {', '.join(enum)}")
        return None
