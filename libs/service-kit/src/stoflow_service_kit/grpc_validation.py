"""Requests are parsed and checked against their protovalidate rules before a handler sees them."""

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import DecodeError, Message
from protovalidate import Validator, Violation

from stoflow_service_kit.errors import FieldViolation, InvalidArgumentError

# One for the process: it compiles a message's rules once and keeps them.
_validator = Validator()


Check = Callable[[Any], Sequence[FieldViolation]]
"""Lists what is wrong with a message beyond its protovalidate rules."""


def parse_request(raw: bytes, deserialize: Callable[[bytes], Any], check: Check | None = None) -> Any:
    """Parses one request message and checks it.

    Raises:
        InvalidArgumentError: The bytes are no such message, or rules are broken; it lists every violation.
    """
    try:
        request = deserialize(raw)
    except DecodeError as error:
        raise InvalidArgumentError([FieldViolation("", "The request body cannot be parsed.")]) from error
    if isinstance(request, Message):
        check_message(request, check)
    return request


def check_message(message: Message, check: Check | None = None) -> None:
    """Checks a message against its protovalidate rules, and what else is asked of it.

    Raises:
        InvalidArgumentError: Rules are broken; it lists every violation.
    """
    violations = list_violations(message)
    if check is not None:
        violations += check(message)
    if violations:
        raise InvalidArgumentError(violations)


def list_violations(message: Message, path: str = "") -> list[FieldViolation]:
    """Lists how a message breaks its protovalidate rules.

    Args:
        message: Such as a part of a request that its own rules leave to the handler.
        path: Where it stands in the request.
    """
    return [_field_violation(violation, path) for violation in _validator.collect_violations(message)]


def _field_violation(violation: Violation, path: str) -> FieldViolation:
    proto = violation.proto
    return FieldViolation(
        field=".".join(filter(None, (path, _field_path(proto.field)))),
        description=proto.message or proto.rule_id,
        rule=proto.rule_id,
    )


def _field_path(path: Any) -> str:
    parts: list[str] = []
    for element in path.elements if path is not None else ():
        subscript = element.subscript
        text = element.field_name
        if subscript is not None:
            text += f'["{subscript.value}"]' if isinstance(subscript.value, str) else f"[{subscript.value}]"
        parts.append(text)
    return ".".join(parts)
