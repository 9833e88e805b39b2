"""Messages of connector-vinted/PROTOCOL.md as a browser reads them. No I/O."""

import json
from collections.abc import Mapping
from typing import Any, Final

VERSION: Final = 1
SUBPROTOCOL: Final = "stoflow.browser.v1"
MALFORMED: Final = 4400

_ACCOUNT = {"account_id": str, "display_name": str}
_ROLES = frozenset({"ACTIVE", "STANDBY"})
# Field -> its type, a set of texts, or the fields of an object; a name ending in ? may be absent.
GATEWAY_MESSAGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "paired": {"token": str, "account": _ACCOUNT},
    "welcome": {"session_id": str, "epoch": int, "role": _ROLES, "reason": str, "account": _ACCOUNT},
    "role": {"epoch": int, "role": _ROLES, "reason": str},
    "command": {
        "request_id": str,
        "epoch": int,
        "operation": str,
        "parameters": dict,
        "timeout_seconds": float,
    },
    "cancel": {"request_id": str},
    "result_ack": {"request_id": str},
    "pong": {},
    "bye": {"reason": str, "message": str, "retry_after_seconds?": float},
}


class MessageError(ValueError):
    """A message that breaks the protocol; `violations` says everything that is wrong with it."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


def read_message(text: str | bytes) -> dict[str, Any]:
    """Return a gateway's message.

    Raises:
        MessageError: It is none that the protocol knows, in just the shape that it knows.
    """
    if isinstance(text, bytes):
        raise MessageError(["a binary frame"])
    try:
        message = json.loads(text)
    except ValueError:
        raise MessageError(["not JSON"]) from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise MessageError(["no object with a type"])
    shape = GATEWAY_MESSAGES.get(message["type"])
    if shape is None:
        raise MessageError([f"type: {message['type']!r} is unknown"])
    if violations := _violations({"type": str, **shape}, message, ""):
        raise MessageError(violations)
    return message


def _violations(shape: Mapping[str, Any], value: Mapping[str, Any], path: str) -> list[str]:
    names = {name.removesuffix("?"): (kind, name.endswith("?")) for name, kind in shape.items()}
    violations = [f"{path}{name}: unknown field" for name in sorted(value.keys() - names.keys())]
    for name, (kind, is_optional) in names.items():
        if name not in value:
            violations += [] if is_optional else [f"{path}{name}: missing"]
        elif isinstance(kind, Mapping) and isinstance(value[name], dict):
            violations += _violations(kind, value[name], f"{path}{name}.")
        elif not _fits(kind, value[name]):
            violations.append(f"{path}{name}: wrong type or value")
    return violations


def _fits(kind: Any, value: Any) -> bool:
    if isinstance(kind, frozenset):
        return value in kind
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind)
