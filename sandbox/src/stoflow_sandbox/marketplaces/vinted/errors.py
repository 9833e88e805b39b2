"""The bodies of refusals. Vinted documents none; the shape is the one that third-party clients read: a number,
a message code, and for wrong input the fields with what is wrong.
"""

from typing import Any

from stoflow_sandbox.marketplaces.exchange import Reply

CODES = {
    "validation_error": 99,
    "invalid_authentication_token": 100,
    "not_found": 104,
    "access_denied": 106,
    "too_many_requests": 429,
    "server_error": 500,
}
MESSAGES = {
    "validation_error": "Sorry, there are some errors",
    "invalid_authentication_token": "Invalid authentication token",
    "not_found": "Content not found",
    "access_denied": "Access denied",
    "too_many_requests": "Too many requests",
    "server_error": "Something went wrong",
}
_BY_STATUS = {
    400: "validation_error",
    401: "invalid_authentication_token",
    403: "access_denied",
    404: "not_found",
    429: "too_many_requests",
}


def refuse(
    status: int, errors: list[dict[str, str]] | None = None, headers: dict[str, str] | None = None
) -> Reply:
    """Returns a refusal; `errors` are {"field", "value"}, where the value says what is wrong."""
    return Reply(status, refusal_body(status, errors), headers or {})


def refusal_body(status: int, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    code = _BY_STATUS.get(status, "server_error")
    return {"code": CODES[code], "message": MESSAGES[code], "message_code": code, "errors": errors or []}


def problem(field: str, value: str) -> dict[str, str]:
    return {"field": field, "value": value}
