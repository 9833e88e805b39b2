"""One table from eBay's error ids to what follows from them.

    RateLimitedError     429, or one of LIMIT
    AuthRequiredError    401 after a refresh, or one of AUTHORIZATION: the seller must connect again
    RetryableError       5xx, 408, 409, 425, or nothing but RETRY
    EbayRefusedError     every other 4xx; a PermanentError with a violation for each of eBay's errors

An id that is not in the table is classed by the HTTP status; eBay's answer is always kept in `raw_body`.
Sources: x-response-codes of eBay's OpenAPI documents (Inventory 1.18.5, Media v1_beta.5.1), its OAuth guide.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    EffectOutcome,
    PermanentError,
    RateLimitedError,
    RetryableError,
    Violation,
)

LIMIT: Final = frozenset({2001})
"""Too many requests, whatever the status."""

AUTHORIZATION: Final = frozenset({1001, 1002, 1003, 1100, 190013})
"""The token is invalid, missing or expired, or lacks a scope that only a new consent can add."""

RETRY: Final = frozenset({25001, 25025, 30500, 190000})
"""eBay's own faults, and concurrent access to one SKU, which eBay asks to repeat later."""

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
    details: dict[str, Any] = {
        "effect": answer.effect,
        "code": _code(answer, faults),
        "http_status": answer.status,
        "raw_body": answer.body,
        "retry_after_seconds": answer.retry_after_seconds,
    }
    message = _message(answer, faults, operation)
    if answer.status == 429 or ids & LIMIT:
        return RateLimitedError(message, **details)
    if answer.status == 401 or (answer.status < 500 and ids & AUTHORIZATION):
        return AuthRequiredError(message, **details)
    if _is_retryable(answer.status, ids):
        return RetryableError(message, **details)
    return EbayRefusedError(message, faults=faults, **details)


def violations_of(faults: Iterable[EbayFault]) -> list[Violation]:
    """Returns one violation an error."""
    return [
        Violation(fault.field, fault.message or "eBay gave no reason", _number(fault.error_id))
        for fault in faults
    ]


def _is_retryable(status: int, ids: set[int]) -> bool:
    if status >= 500 or status in {408, 409, 425} or not 400 <= status < 500:
        return True
    return bool(ids) and ids <= RETRY


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
