"""One table from Etsy's answers to what follows from them.

    RateLimitedError     429
    AuthRequiredError    401 after a refresh, or a 403 for a scope that only a new consent can add
    RetryableError       5xx, 408, 425, a 403 for the application's own key, and whatever is no answer of Etsy's
    EtsyRefusedError     every other 4xx; a PermanentError with a violation for each thing that Etsy names

Etsy has no error codes: an answer is {"error": "<sentence>"}, sometimes a list of {path, type, message}. What
the sentence speaks of leads to the field; the answer is always kept in `raw_body`.
Sources: ErrorSchema of the Open API v3 document; the lists are reported by users of the API.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    EffectOutcome,
    PermanentError,
    RateLimitedError,
    RateLimitScope,
    RetryableError,
    Violation,
)

# The first that a sentence speaks of counts: the longer names stand before what they contain.
_FIELDS: Final[Sequence[tuple[str, str]]] = (
    ("shipping_profile", "account.settings.shippingProfileId"),
    ("shipping profile", "account.settings.shippingProfileId"),
    ("return_policy", "account.settings.returnPolicyId"),
    ("return policy", "account.settings.returnPolicyId"),
    ("readiness_state", "account.settings.readinessStateId"),
    ("processing profile", "account.settings.readinessStateId"),
    ("shop_section", "account.settings.shopSectionId"),
    ("taxonomy", "mappings.category"),
    ("who_made", "product.content.origin.whoMade"),
    ("when_made", "product.content.origin"),
    ("is_supply", "product.content.origin.isSupply"),
    ("image", "product.images"),
    ("title", "product.content.title"),
    ("description", "product.content.description"),
    ("price", "product.content.price"),
    ("quantity", "product.content.stockQuantity"),
    ("sku", "product.content.sku"),
    ("material", "product.content.materials"),
    ("tag", "product.content.attributes.Tags"),
    ("propert", "product.content.attributes"),
)


_CONFIGURATION_RETRY_SECONDS = 300.0
_LONG_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class EtsyAnswer:
    """An answer of Etsy that is not the one hoped for.

    Attributes:
        status: HTTP status.
        body: The body as received.
        effect: What the exchange lets one say of the task's effect.
        retry_after_seconds: What the headers ask for; None when they ask for nothing.
    """

    status: int
    body: bytes
    effect: EffectOutcome = EffectOutcome.UNKNOWN
    retry_after_seconds: float | None = None

    @property
    def reasons(self) -> list[str]:
        """Every sentence in the body; empty when it is not in one of Etsy's shapes."""
        return read_reasons(self.body)


class EtsyRefusedError(PermanentError):
    """Etsy looked at the request and will not have it."""

    @property
    def is_absent(self) -> bool:
        """Whether Etsy itself says that what was asked about does not exist, rather than a proxy."""
        return self.http_status == 404 and bool(self.violations)

    @property
    def is_conflict(self) -> bool:
        """Whether the state of what was asked about does not allow it."""
        return self.http_status == 409


def read_reasons(body: bytes) -> list[str]:
    """Returns every sentence of an error body."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        # A proxy or gateway answers in HTML; the status still tells the class, and the body is kept.
        return []
    if isinstance(content, Mapping):
        listed = content.get("error")
        if isinstance(listed, str):
            described = content.get("error_description")
            return [f"{listed}: {described}" if isinstance(described, str) and described else listed]
        content = listed
    return (
        [reason for entry in content if (reason := _read_entry(entry))] if isinstance(content, list) else []
    )


def error_of(answer: EtsyAnswer, operation: str) -> ConnectorError:
    """Turns an answer into the error to raise.

    Args:
        answer: The answer.
        operation: What was asked of Etsy, in words for the message: "create a draft".
    """
    reasons = answer.reasons
    said = f": {'; '.join(reasons)}" if reasons else "."
    message = f"Etsy answered HTTP {answer.status} when asked to {operation}{said}"[:2000]
    details: dict[str, Any] = {
        "effect": answer.effect,
        "code": f"HTTP_{answer.status}",
        "http_status": answer.status,
        "raw_body": answer.body,
        "retry_after_seconds": answer.retry_after_seconds,
    }
    if answer.status == 429:
        # A day that is used up ends nothing either, so it holds back all jobs of the account.
        is_long = (answer.retry_after_seconds or 0) > _LONG_WAIT_SECONDS
        scope = RateLimitScope.ACCOUNT if is_long else RateLimitScope.JOB
        return RateLimitedError(message, scope=scope, **details)
    if answer.status == 401 or (answer.status == 403 and _lacks_scope(reasons)):
        return AuthRequiredError(message, **details)
    if answer.status == 403 and _is_about_application(reasons):
        # Repaired by an operator, and no fault of any seller's product.
        return RetryableError(message, **{**details, "retry_after_seconds": _CONFIGURATION_RETRY_SECONDS})
    if answer.status in {408, 425} or not 400 <= answer.status < 500:
        return RetryableError(message, **details)
    return EtsyRefusedError(message, violations=[_violation(reason) for reason in reasons], **details)


def _lacks_scope(reasons: Sequence[str]) -> bool:
    return any("scope" in reason.lower() for reason in reasons)


def _is_about_application(reasons: Sequence[str]) -> bool:
    return any("api key" in reason.lower() or "x-api-key" in reason.lower() for reason in reasons)


def _violation(reason: str) -> Violation:
    lower = reason.lower()
    field = next((field for word, field in _FIELDS if word in lower), "")
    return Violation(field, reason)


def _read_entry(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    if not isinstance(entry, Mapping):
        return ""
    path, message = entry.get("path"), entry.get("message") or entry.get("type")
    return ": ".join(str(part) for part in (path, message) if part)
