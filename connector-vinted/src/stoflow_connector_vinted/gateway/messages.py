"""Messages of PROTOCOL.md as the gateway reads them. No I/O."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

VERSION: Final = 1
SUBPROTOCOL: Final = "stoflow.browser.v1"
PATH: Final = "/browser"
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
MAX_TEXT: Final = 500

# Reason of a bye -> the code that the connection is closed with.
CLOSE_CODES: Final[Mapping[str, int]] = {
    "SHUTTING_DOWN": 1001,
    "UNPAIRED": 1000,
    "MALFORMED": 4400,
    "UNAUTHORIZED": 4401,
    "PAIRING_REFUSED": 4403,
    "VERSION_UNSUPPORTED": 4406,
    "TIMEOUT": 4408,
    "REPLACED": 4409,
    "TOO_MANY_ATTEMPTS": 4429,
    "UNAVAILABLE": 4503,
}
# Why a browser stopped by itself -> why the account is stopped until its seller resumes it.
STOPS: Final[Mapping[str, str]] = {
    "NO_SESSION": "SESSION_EXPIRED",
    "CAPTCHA": "NEEDS_HUMAN",
    "FORBIDDEN": "NEEDS_HUMAN",
    "RATE_LIMITED": "NEEDS_HUMAN",
}

Message = dict[str, Any]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STATES = frozenset({"READY", "NO_TAB", "SIGNED_OUT", "PAUSED"})
_PAUSES = frozenset({"SELLER", *STOPS})
_OUTCOMES = frozenset({"ANSWERED", "NOT_SENT", "UNKNOWN"})
_USER = {"id": re.compile(r"[0-9]{1,20}"), "login": 200}
_SESSION = {"state": _STATES, "user?": _USER, "pause?": _PAUSES}
_REQUEST = {"request_id": _UUID, "epoch": int, "state": frozenset({"RUNNING", "ANSWERED"})}
_GREETING = {"version": int, "client_id": _UUID, "client_name": MAX_TEXT}
# Field -> its greatest length, a pattern or a set of texts, a type, the fields of an object, or a list of such; a name
# ending in ? may be absent.
BROWSER_MESSAGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "pair": {**_GREETING, "code": 40},
    "hello": {**_GREETING, "token": 512, "session": _SESSION, "requests": [_REQUEST]},
    "session": {"session": _SESSION},
    "pause": {"reason": _PAUSES},
    "resume": {},
    "accepted": {"request_id": _UUID},
    "progress": {"request_id": _UUID, "stage": frozenset({"FETCHING_PHOTO", "CALLING"})},
    "result": {
        "request_id": _UUID,
        "epoch": int,
        "outcome": _OUTCOMES,
        "http_status?": int,
        "headers?": {"content-type?": 1000, "retry-after?": 1000},
        "body?": MAX_MESSAGE_BYTES,
        "error?": {"kind": 64, "message": MAX_TEXT},
        "started_time?": 40,
        "finished_time": 40,
    },
    "ping": {},
    "bye": {"reason": 64, "message": MAX_TEXT, "retry_after_seconds?": float},
}


class MalformedMessageError(ValueError):
    """A message that breaks the protocol; `violations` says everything that is wrong with it."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations)[:MAX_TEXT])
        self.violations = violations


def read_message(text: str | bytes) -> Message:
    """Returns a browser's message.

    Raises:
        MalformedMessageError: It is none that the protocol knows, in just the shape that it knows.
    """
    if isinstance(text, bytes):
        raise MalformedMessageError(["a binary frame"])
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedMessageError(["not JSON"]) from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise MalformedMessageError(["no object with a type"])
    shape = BROWSER_MESSAGES.get(message["type"])
    if shape is None:
        raise MalformedMessageError([f"type: {message['type'][:64]!r} is unknown"])
    violations = _violations({"type": 64, **shape}, message, "")
    if message["type"] == "result" and not violations:
        violations = _result_violations(message)
    if violations:
        raise MalformedMessageError(violations)
    return message


def _result_violations(message: Message) -> list[str]:
    if message["outcome"] == "ANSWERED":
        wanted = ("http_status", "headers", "body")
        return [f"{name}: missing" for name in wanted if name not in message]
    return [] if "error" in message else ["error: missing"]


def _violations(shape: Mapping[str, Any], value: Mapping[str, Any], path: str) -> list[str]:
    names = {name.removesuffix("?"): (kind, name.endswith("?")) for name, kind in shape.items()}
    unknown = sorted(value.keys() - names.keys())
    violations = [f"{path}{name[:64]}: unknown field" for name in unknown]
    for name, (kind, is_optional) in names.items():
        where = f"{path}{name}"
        if name not in value:
            violations += [] if is_optional else [f"{where}: missing"]
        else:
            violations += _value_violations(kind, value[name], where)
    return violations


def _value_violations(kind: Any, value: Any, where: str) -> list[str]:
    if isinstance(kind, Mapping) and isinstance(value, dict):
        return _violations(kind, value, f"{where}.")
    if isinstance(kind, list) and isinstance(value, list):
        return [
            text
            for index, one in enumerate(value[:1000])
            for text in _value_violations(kind[0], one, f"{where}[{index}]")
        ]
    return [] if _fits(kind, value) else [f"{where}: wrong type or value"]


def _fits(kind: Any, value: Any) -> bool:
    if isinstance(kind, frozenset):
        return isinstance(value, str) and value in kind
    if isinstance(kind, re.Pattern):
        return isinstance(value, str) and kind.fullmatch(value) is not None
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(kind, int) and isinstance(value, str) and len(value) <= kind
