"""Merges what the catalogue says into what stands at eBay, which writes whole records: a three-way merge.

A record is compared leaf by leaf; a list is one leaf. What the catalogue has not changed since it was applied last is
left as it stands at eBay, also when the seller changed it there; what the catalogue never spoke of is kept.
"""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

Json = dict[str, Any]
Digests = Mapping[str, str]

# Long enough that two values of one field are never taken for the same, short enough to be kept with each listing.
_DIGEST_CHARACTERS = 16


def digests(record: Mapping[str, Any]) -> dict[str, str]:
    """Returns a digest of each leaf, by its JSON pointer (RFC 6901)."""
    return {pointer: _digest(value) for pointer, value in _leaves(record)}


def changed(wanted: Mapping[str, Any], applied: Digests) -> set[str]:
    """Returns the pointers of leaves that differ from what was applied last, or are wanted no more."""
    now = digests(wanted)
    return {pointer for pointer in now.keys() | applied.keys() if now.get(pointer) != applied.get(pointer)}


def merge(
    current: Mapping[str, Any], wanted: Mapping[str, Any], applied: Digests, *, overwrite: bool = False
) -> Json:
    """Returns the record to write.

    Args:
        current: What stands at eBay, as far as it can be written.
        wanted: What the catalogue says.
        applied: Digests of what the catalogue said when it was applied last; empty when that is not known, and then
            everything wanted is written.
        overwrite: Whether leaves that the catalogue has not changed are written as well.
    """
    merged = copy.deepcopy(dict(current))
    leaves = dict(_leaves(wanted))
    for pointer, value in leaves.items():
        if overwrite or applied.get(pointer) != _digest(value):
            _set(merged, _parts(pointer), value)
    for pointer in applied.keys() - leaves.keys():
        # Ours, and wanted no more; one that the seller has changed meanwhile is the seller's.
        parts = _parts(pointer)
        if applied[pointer] == _digest(_get(merged, parts)):
            _remove(merged, parts)
    return merged


def _leaves(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        pointer = f"{prefix}/{name.replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, Mapping):
            yield from _leaves(value, pointer)
        else:
            yield pointer, value


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_DIGEST_CHARACTERS]


def _get(record: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(record, dict) or part not in record:
            return None
        record = record[part]
    return record


def _set(record: Json, parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        if not isinstance(record.get(part), dict):
            record[part] = {}
        record = record[part]
    record[parts[-1]] = value


def _remove(record: Json, parts: list[str]) -> None:
    owner = _get(record, parts[:-1]) if len(parts) > 1 else record
    if isinstance(owner, dict):
        owner.pop(parts[-1], None)
