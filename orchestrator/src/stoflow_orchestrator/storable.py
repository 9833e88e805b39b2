"""What protobuf can carry and PostgreSQL cannot hold: NUL characters in texts, infinite numbers, NaN."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.message import Message

from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError


def check_storable(message: Message) -> None:
    """Refuses a message with values that cannot be stored.

    Raises:
        InvalidArgumentError: Lists every such field.
    """
    violations = storable_violations(message)
    if violations:
        raise InvalidArgumentError(violations)


def storable_violations(message: Message, path: str = "") -> list[FieldViolation]:
    """Lists the fields of a message whose values cannot be stored.

    Args:
        message: Any message; its depth is bounded by protobuf's own parser.
        path: Where it stands in the request.
    """
    # Of what is refused, NUL has a zero byte in the wire form, and infinity and NaN end in 7F or FF; most messages have
    # none of these, and looking is far cheaper than walking.
    raw = message.SerializeToString()
    if b"\0" not in raw and b"\x7f" not in raw and b"\xff" not in raw:
        return []
    return list(_walk_message(message, path))


def _walk_message(message: Message, path: str) -> Iterator[FieldViolation]:
    for descriptor, value in message.ListFields():
        name = f"{path}.{descriptor.name}" if path else descriptor.name
        yield from _walk_value(value, name)


def _walk_value(value: Any, path: str) -> Iterator[FieldViolation]:
    if isinstance(value, Message):
        yield from _walk_message(value, path)
    elif isinstance(value, str):
        if "\0" in value:
            yield FieldViolation(path, "must not contain NUL characters")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield FieldViolation(path, "must be a finite number")
    elif hasattr(value, "items"):
        # Not isinstance: protobuf's own map containers are no Mappings.
        for key, entry in value.items():
            if isinstance(key, str) and "\0" in key:
                yield FieldViolation(path, "must not have keys with NUL characters")
            shown = str(key).replace("\0", "\\0")
            yield from _walk_value(entry, f'{path}["{shown}"]')
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for index, entry in enumerate(value):
            yield from _walk_value(entry, f"{path}[{index}]")
