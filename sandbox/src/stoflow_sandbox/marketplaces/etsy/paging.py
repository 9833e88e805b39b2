"""The query parameters that many operations share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

from stoflow_sandbox.marketplaces.exchange import Call

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Offset counts records, not pages."""

    limit: int
    offset: int

    def cut(self, found: Sequence[T]) -> Sequence[T]:
        return found[self.offset : self.offset + self.limit]


def read_page(call: Call, violations: list[str], default_limit: int = 25, highest_limit: int = 100) -> Page:
    limit = read_integer(call, "limit", violations, lowest=1, highest=highest_limit, default=default_limit)
    offset = read_integer(call, "offset", violations, lowest=0, default=0)
    return Page(limit or default_limit, offset or 0)


def read_integer(
    call: Call,
    name: str,
    violations: list[str],
    *,
    lowest: int,
    highest: int | None = None,
    default: int | None = None,
) -> int | None:
    text = call.parameters.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < lowest or (highest is not None and int(text) > highest):
        limits = f"at least {lowest}" if highest is None else f"between {lowest} and {highest}"
        violations.append(f"Invalid value for {name}: expected an integer {limits}.")
        return default
    return int(text)


def read_boolean(call: Call, name: str, violations: list[str]) -> bool | None:
    text = call.parameters.get(name)
    if text is None:
        return None
    if text not in ("true", "false"):
        violations.append(f"Invalid value for {name}: expected true or false.")
        return None
    return text == "true"


def read_array(call: Call, name: str) -> list[str]:
    """Return an array parameter, comma-separated or repeated."""
    pairs = parse_qsl(call.query, keep_blank_values=True)
    return [part for key, value in pairs if key in (name, f"{name}[]") for part in value.split(",") if part]
