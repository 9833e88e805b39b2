"""The only calls that a browser performs at the site. No I/O."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

Check = Callable[[Any], bool]

_DIGITS = re.compile(r"[0-9]{1,20}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _number(most: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 2000


_ID = _matches(_DIGITS)
_PAGE = _number(100_000)


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: `query` are fixed parameters, every parameter in `in_query` is added to them."""

    method: str
    path: str
    parameters: Mapping[str, Check]
    query: Mapping[str, str] = field(default_factory=dict)
    in_query: tuple[str, ...] = ()

    def target(self, parameters: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Return path and query for parameters that were checked."""
        path = "/api/v2" + self.path.format(**parameters)
        return path, {**self.query, **{name: str(parameters[name]) for name in self.in_query}}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_PAGED = ("page", "per_page")
OPERATIONS: Final[Mapping[str, Operation]] = {
    "upload_photo": Operation(
        "POST",
        "/photos",
        {
            "url": _is_text,
            "content_sha256": _matches(_DIGEST),
            "media_type": lambda value: value in _MEDIA_TYPES,
            "file_name": _is_text,
            "temp_uuid": _is_text,
        },
    ),
    "create_item": Operation("POST", "/item_upload/items", {"body": _is_object}),
    "get_item": Operation("GET", "/item_upload/items/{item_id}", {"item_id": _ID}),
    "update_item": Operation("PUT", "/item_upload/items/{item_id}", {"item_id": _ID, "body": _is_object}),
    "delete_item": Operation("POST", "/items/{item_id}/delete", {"item_id": _ID}),
    "list_wardrobe": Operation(
        "GET",
        "/wardrobe/{user_id}/items",
        {"user_id": _ID, "page": _PAGE, "per_page": _number(96)},
        in_query=_PAGED,
    ),
    "list_orders": Operation(
        "GET",
        "/my_orders",
        {"page": _PAGE, "per_page": _number(100)},
        {"type": "sold", "status": "all"},
        _PAGED,
    ),
    "get_transaction": Operation("GET", "/transactions/{transaction_id}", {"transaction_id": _ID}),
    "get_shipment_label": Operation("GET", "/shipments/{shipment_id}/label_url", {"shipment_id": _ID}),
}


def command_violations(name: str, parameters: Mapping[str, Any], image_origins: frozenset[str]) -> list[str]:
    """Return everything for which a command is not performed."""
    operation = OPERATIONS.get(name)
    if operation is None:
        return [f"operation {name!r} is not allowed"]
    checks = operation.parameters
    violations = [f"{field}: unknown parameter" for field in sorted(parameters.keys() - checks.keys())]
    for field_name, check in checks.items():
        if field_name not in parameters or not check(parameters[field_name]):
            violations.append(f"{field_name}: missing or not allowed")
    if name == "upload_photo" and not violations and origin_of(parameters["url"]) not in image_origins:
        violations.append("url: this origin is not allowed")
    return violations


def origin_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        # What is no address has no origin that could be allowed.
        return ""
    return f"{parts.scheme}://{parts.netloc}"
