"""One table from eBay's error ids to what follows from them: ERROR_CLASSES.

    RateLimitedError     429, or an id of class RATE_LIMITED
    AuthRequiredError    401 after a refresh, or an id of class AUTH_REQUIRED: the seller must connect again
    RetryableError       5xx, 408, 409 or 425 without an id of another class; or ids of class RETRYABLE alone
    EbayRefusedError     every other 4xx; a PermanentError with a violation for each of eBay's errors

An id that is not in the table is classed by the HTTP status; eBay's answer is always kept in `raw_body`. A 5xx is
tried again even with a permanent id: eBay failed while it looked.
Sources: x-response-codes of eBay's OpenAPI documents (Inventory 1.18.5, Media v1_beta.5.1, Fulfillment, Account,
Notification, Analytics), its OAuth guide.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    EffectOutcome,
    ErrorClass,
    PermanentError,
    RateLimitedError,
    RetryableError,
    Violation,
)

ERROR_CLASSES: Final[Mapping[int, ErrorClass]] = {
    # Too many requests, whatever the status.
    2001: ErrorClass.RATE_LIMITED,
    # The token is invalid, missing or expired, or lacks a scope that only a new consent can add.
    **dict.fromkeys((1001, 1002, 1003, 1100, 190013), ErrorClass.AUTH_REQUIRED),
    # eBay's own faults, and concurrent access to one SKU (25025), which eBay asks to repeat later.
    **dict.fromkeys((20500, 25001, 25025, 30500, 105000, 190000, 195000), ErrorClass.RETRYABLE),
    # What the seller's data, policies, pictures or limits do not allow.
    **dict.fromkeys(range(25002, 25023), ErrorClass.PERMANENT),
    **dict.fromkeys((25026, 25029, 25501, 25502), ErrorClass.PERMANENT),
    **dict.fromkeys((190201, 190202, 190203, 190204), ErrorClass.PERMANENT),
    # There is no such thing, or there is one already; who asks decides what that means.
    **dict.fromkeys((25702, 25710, 25713, 25729, 32100, 195001), ErrorClass.PERMANENT),
    # Our own mistake in a request: an SKU, a header, a page, a filter, a date.
    **dict.fromkeys((25706, 25707, 25708, 25709), ErrorClass.PERMANENT),
    **dict.fromkeys((30700, 30800, 30810, 30820, 30830, 30840, 30850, 31000, 31100), ErrorClass.PERMANENT),
}

OFFER_NOT_FOUND: Final = frozenset({25702, 25710, 25713})
"""There is no such SKU, entity or offer. Only with one of these is a 404 eBay's word on it, not a proxy's."""

USER_ERROR: Final = 25002
"""Generic; with a parameter `offerId` it says that the offer exists already."""

_FIELDS: Final[Mapping[int, str]] = {
    25003: "product.content.price",
    25004: "product.content.stockQuantity",
    25005: "mappings.category",
    25007: "account.settings.fulfillmentPolicyId",
    25008: "account.settings.paymentPolicyId",
    25009: "account.settings.returnPolicyId",
    25012: "account.settings.merchantLocationKey",
    25014: "product.images",
    25015: "product.images",
    25018: "account",
    25021: "mappings.condition",
    25026: "account",
    25501: "product.images",
    25707: "product.content.sku",
    25708: "product.content.sku",
    190201: "product.images",
    190202: "product.images",
    190203: "product.images",
    190204: "product.images",
}
# These name an item specific of the category, or a field of eBay's own request.
_ASPECT_IDS: Final = frozenset({25022, 25029, 25502})
_OWN_NAMES: Final[Mapping[str, str]] = {
    "title": "product.content.title",
    "description": "product.content.description",
    "brand": "product.content.brand",
    "sku": "product.content.sku",
}


@dataclass(frozen=True, slots=True)
class EbayFault:
    """One entry of `errors` or `warnings`.

    Attributes:
        error_id: eBay's number; 0 when it gave none.
        message: Its longest message.
        parameters: What the message speaks of, by name.
    """

    error_id: int
    message: str
    parameters: Mapping[str, str]

    @property
    def field(self) -> str:
        """Path in the task's input of what is wrong; empty when eBay does not say."""
        if self.error_id in _FIELDS:
            return _FIELDS[self.error_id]
        named = self.parameters.get("field") or self.parameters.get("fieldName") or ""
        if self.error_id in _ASPECT_IDS:
            return f"product.content.attributes.{named}" if named else "product.content.attributes"
        known = [_OWN_NAMES[name] for name in (named, *self.parameters) if name in _OWN_NAMES]
        return known[0] if known else named


@dataclass(frozen=True, slots=True)
class EbayAnswer:
    """An answer of eBay that is not the one hoped for.

    Attributes:
        status: HTTP status.
        body: The body as received.
        effect: What the exchange lets one say of the task's effect.
        retry_after_seconds: What the header Retry-After asks for; None without one.
    """

    status: int
    body: bytes
    effect: EffectOutcome = EffectOutcome.UNKNOWN
    retry_after_seconds: float | None = None

    @property
    def faults(self) -> list[EbayFault]:
        """Every error in the body; empty when it is not in eBay's shape."""
        return read_faults(_read_json(self.body).get("errors"))


class EbayRefusedError(PermanentError):
    """eBay looked at the request and will not have it.

    Attributes:
        faults: What eBay said, in its own words.
    """

    def __init__(self, message: str, *, faults: Sequence[EbayFault], **details: Any) -> None:
        super().__init__(message, violations=violations_of(faults), **details)
        self.faults = tuple(faults)

    def has(self, error_ids: Iterable[int]) -> bool:
        """Whether one of these is among the errors."""
        return not {fault.error_id for fault in self.faults}.isdisjoint(error_ids)


def read_faults(entries: Any) -> list[EbayFault]:
    """Reads `errors` or `warnings`; whatever is not in eBay's shape is left out."""
    if not isinstance(entries, list):
        return []
    return [_read_fault(entry) for entry in entries if isinstance(entry, dict)]


def error_of(answer: EbayAnswer, operation: str) -> ConnectorError:
    """Turns an answer into the error to raise.

    Args:
        answer: The answer.
        operation: What was asked of eBay, in words for the message: "create the offer".
    """
    faults = answer.faults
    ids = {fault.error_id for fault in faults}
    classes = {ERROR_CLASSES.get(error_id) for error_id in ids}
    details: dict[str, Any] = {
        "effect": answer.effect,
        "code": _code(answer, faults),
        "http_status": answer.status,
        "raw_body": answer.body,
        "retry_after_seconds": answer.retry_after_seconds,
    }
    message = _message(answer, faults, operation)
    if answer.status == 429 or ErrorClass.RATE_LIMITED in classes:
        return RateLimitedError(message, **details)
    if answer.status == 401 or (answer.status < 500 and ErrorClass.AUTH_REQUIRED in classes):
        return AuthRequiredError(message, **details)
    if _is_retryable(answer.status, classes):
        return RetryableError(message, **details)
    return EbayRefusedError(message, faults=faults, **details)


def violations_of(faults: Iterable[EbayFault]) -> list[Violation]:
    """Returns one violation an error."""
    return [
        Violation(fault.field, fault.message or "eBay gave no reason", _number(fault.error_id))
        for fault in faults
    ]


def _is_retryable(status: int, classes: set[ErrorClass | None]) -> bool:
    if not 400 <= status < 500:
        return True
    if status in {408, 409, 425} and not classes & {ErrorClass.PERMANENT}:
        return True
    return classes == {ErrorClass.RETRYABLE}


def _code(answer: EbayAnswer, faults: Sequence[EbayFault]) -> str:
    numbers = [_number(fault.error_id) for fault in faults if fault.error_id]
    return numbers[0] if numbers else f"HTTP_{answer.status}"


def _message(answer: EbayAnswer, faults: Sequence[EbayFault], operation: str) -> str:
    reasons = "; ".join(fault.message for fault in faults if fault.message)
    said = f": {reasons}" if reasons else "."
    return f"eBay answered HTTP {answer.status} when asked to {operation}{said}"[:2000]


def _number(error_id: int) -> str:
    return str(error_id) if error_id else ""


def _read_json(body: bytes) -> Mapping[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        # A proxy or gateway answers in HTML; the status still tells the class, and the body is kept.
        return {}
    return content if isinstance(content, dict) else {}


def _read_fault(entry: Mapping[str, Any]) -> EbayFault:
    number = entry.get("errorId")
    message = entry.get("longMessage") or entry.get("message")
    parameters = entry.get("parameters")
    pairs = parameters if isinstance(parameters, list) else []
    return EbayFault(
        error_id=number if isinstance(number, int) else 0,
        message=str(message or ""),
        parameters={
            str(pair["name"]): str(pair.get("value", ""))
            for pair in pairs
            if isinstance(pair, dict) and "name" in pair
        },
    )
