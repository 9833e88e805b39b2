"""What follows from Etsy's answers."""

from __future__ import annotations

import pytest

from stoflow_connector_etsy.errors import EtsyAnswer, EtsyRefusedError, error_of, read_reasons
from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    EffectOutcome,
    RateLimitedError,
    RetryableError,
)


def classify(status: int, body: bytes = b'{"error": "No."}') -> ConnectorError:
    return error_of(EtsyAnswer(status, body, EffectOutcome.NOT_SENT, 7.0), "create a draft")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"error": "No."}', EtsyRefusedError),
        (401, b'{"error": "invalid_token"}', AuthRequiredError),
        (403, b'{"error": "No."}', EtsyRefusedError),
        (403, b'{"error": "insufficient_scope", "error_description": "lacks the scope"}', AuthRequiredError),
        (403, b'{"error": "Shared secret is required in x-api-key header."}', RetryableError),
        (404, b'{"error": "Resource not found"}', EtsyRefusedError),
        (408, b"", RetryableError),
        (409, b'{"error": "No."}', EtsyRefusedError),
        (429, b'{"error": "Exceeded"}', RateLimitedError),
        (500, b'{"error": "Server error"}', RetryableError),
        (502, b"<html>", RetryableError),
        (302, b"", RetryableError),
    ],
)
def test_answer_has_its_class(status: int, body: bytes, expected: type[ConnectorError]) -> None:
    """Each answer leads to one class; what was asked, said and learned of the effect goes with it."""
    error = classify(status, body)
    assert type(error) is expected
    assert (error.http_status, error.effect, error.code) == (status, EffectOutcome.NOT_SENT, f"HTTP_{status}")
    assert "create a draft" in error.message


def test_application_key_is_no_sellers_fault() -> None:
    """A refused API key waits for an operator in place of failing products or asking sellers to reconnect."""
    error = classify(403, b'{"error": "API key not found or not active"}')
    assert error.retry_after_seconds == 300


def test_every_reason_is_a_violation_with_its_field() -> None:
    """A list of reasons becomes as many violations; what a sentence speaks of is the field."""
    body = b'[{"path": "title", "type": "string", "message": "too long"}, {"message": "bad shipping_profile_id"}]'
    error = classify(400, body)
    assert isinstance(error, EtsyRefusedError)
    assert [(one.field, one.description) for one in error.violations] == [
        ("product.content.title", "title: too long"),
        ("account.settings.shippingProfileId", "bad shipping_profile_id"),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": "One."}', ["One."]),
        (b'{"error": "invalid_grant", "error_description": "used"}', ["invalid_grant: used"]),
        (b'{"error": [{"path": "sku", "message": "no"}]}', ["sku: no"]),
        (b'["One.", "Two."]', ["One.", "Two."]),
        (b"<html>", []),
        (b"17", []),
        (b"{}", []),
    ],
)
def test_every_shape_of_error_is_read(body: bytes, expected: list[str]) -> None:
    """A sentence, OAuth's pair, a list: whatever shape Etsy chose."""
    assert read_reasons(body) == expected


def test_only_etsy_says_that_something_is_absent() -> None:
    """A 404 of a proxy proves nothing; one with Etsy's own sentence does."""
    of_etsy, of_proxy = classify(404, b'{"error": "Resource not found"}'), classify(404, b"<html>")
    assert isinstance(of_etsy, EtsyRefusedError)
    assert isinstance(of_proxy, EtsyRefusedError)
    assert (of_etsy.is_absent, of_proxy.is_absent) == (True, False)
