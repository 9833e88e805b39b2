"""From eBay's answers to error classes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_connector_ebay.errors import ERROR_CLASSES, EbayAnswer, EbayRefusedError, error_of
from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    EffectOutcome,
    ErrorClass,
    PermanentError,
    RateLimitedError,
    RetryableError,
)


def fault(error_id: int, message: str = "Something is wrong.", **parameters: str) -> dict[str, Any]:
    return {
        "errorId": error_id,
        "domain": "API_INVENTORY",
        "category": "REQUEST",
        "message": "short",
        "longMessage": message,
        "parameters": [{"name": name, "value": value} for name, value in parameters.items()],
    }


def answer(status: int, *faults: dict[str, Any], **more: Any) -> EbayAnswer:
    return EbayAnswer(status, orjson.dumps({"errors": list(faults)}), **more)


@pytest.mark.parametrize(
    ("status", "ids", "expected"),
    [
        (429, [], RateLimitedError),
        (429, [2001], RateLimitedError),
        (400, [2001], RateLimitedError),
        (401, [1001], AuthRequiredError),
        (401, [], AuthRequiredError),
        (403, [1100], AuthRequiredError),
        (403, [190013], AuthRequiredError),
        (403, [], PermanentError),
        (500, [25001], RetryableError),
        (500, [25025], RetryableError),
        (500, [190000], RetryableError),
        (503, [], RetryableError),
        (500, [25005], RetryableError),
        (400, [30500], RetryableError),
        (400, [25001], RetryableError),
        (400, [25025], RetryableError),
        (400, [25001, 25005], PermanentError),
        (409, [], RetryableError),
        (409, [25025], RetryableError),
        (409, [88888], RetryableError),
        (409, [25013], PermanentError),
        (400, [25001, 88888], PermanentError),
        (404, [32100], PermanentError),
        (500, [105000], RetryableError),
        (302, [], RetryableError),
        (400, [25002], PermanentError),
        (400, [25003], PermanentError),
        (400, [25022], PermanentError),
        (400, [25026], PermanentError),
        (400, [25029], PermanentError),
        (400, [190203], PermanentError),
        (404, [25713], PermanentError),
        (400, [99999], PermanentError),
        (418, [], PermanentError),
    ],
)
def test_answer_becomes_its_error_class(status: int, ids: list[int], expected: type[ConnectorError]) -> None:
    """Known ids decide by the table, unknown ones by the HTTP status."""
    error = error_of(answer(status, *[fault(number) for number in ids]), "do it")
    assert type(error) is (EbayRefusedError if expected is PermanentError else expected)
    assert error.http_status == status
    assert error.code == (str(ids[0]) if ids else f"HTTP_{status}")


@pytest.mark.parametrize(
    ("expected", "ids"),
    [
        (ErrorClass.RETRYABLE, [25001, 25025, 30500, 190000]),
        (ErrorClass.RATE_LIMITED, [2001]),
        (ErrorClass.AUTH_REQUIRED, [1001]),
        (ErrorClass.PERMANENT, [*range(25003, 25023), 25014, 25015, 25501, 25026, 25029]),
        (ErrorClass.PERMANENT, [190201, 190202, 190203, 190204, 25002, 25709, 25729, 25713, 25702, 25710]),
    ],
)
def test_table_holds_every_id_that_sellers_meet(expected: ErrorClass, ids: list[int]) -> None:
    """Each id that eBay's documents and practice name for selling has its class in the one table."""
    assert {error_id: ERROR_CLASSES.get(error_id) for error_id in ids} == dict.fromkeys(ids, expected)


def test_every_error_becomes_a_violation_of_its_field() -> None:
    """A refusal lists all of eBay's errors, each with the field of the task's input that it speaks of."""
    error = error_of(
        answer(
            400,
            fault(25003, "Invalid price."),
            fault(25005, "Not a leaf."),
            fault(25007, "No such policy."),
            fault(25014, "Add a photo."),
            fault(25016, "Too long.", title="At most 80 characters."),
            fault(25021, "Not allowed here."),
            fault(25029, "Size is required.", field="Size"),
            fault(25707, "Invalid SKU."),
            fault(77777, "Who knows.", fieldName="lotSize"),
        ),
        "publish offer 1",
    )
    assert isinstance(error, PermanentError)
    assert [(violation.field, violation.code) for violation in error.violations] == [
        ("product.content.price", "25003"),
        ("mappings.category", "25005"),
        ("account.settings.fulfillmentPolicyId", "25007"),
        ("product.images", "25014"),
        ("product.content.title", "25016"),
        ("mappings.condition", "25021"),
        ("product.content.attributes.Size", "25029"),
        ("product.content.sku", "25707"),
        ("lotSize", "77777"),
    ]
    assert "Not a leaf." in error.message
    assert "publish offer 1" in error.message


def test_unknown_answer_is_kept_whole() -> None:
    """What the table does not know reaches the operator as eBay sent it."""
    body = orjson.dumps({"errors": [fault(31337, "New in 2031", reason="unheard of")], "extra": [1, 2]})
    error = error_of(EbayAnswer(400, body), "do it")
    assert error.raw_body == body.decode()
    assert error.code == "31337"


def test_tokens_do_not_survive_in_the_kept_body() -> None:
    """A token that eBay echoes is removed from the body that is kept."""
    body = b'{"errors": [], "access_token": "v^1.1#secret-value"}'
    assert "secret-value" not in error_of(EbayAnswer(400, body), "do it").raw_body


@pytest.mark.parametrize("outcome", list(EffectOutcome))
def test_effect_of_the_exchange_is_passed_on(outcome: EffectOutcome) -> None:
    """The error says of the effect what the exchange said."""
    assert error_of(answer(400, fault(25003), effect=outcome), "do it").effect is outcome


def test_retry_after_is_passed_on() -> None:
    """The wait that eBay asks for reaches the orchestrator."""
    assert error_of(answer(429, retry_after_seconds=17.0), "do it").retry_after_seconds == 17.0


@given(
    status=st.integers(300, 599),
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        ["errors", "errorId", "message", "longMessage", "parameters", "name", "value"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
        ).map(orjson.dumps),
    ),
)
def test_no_answer_breaks_the_table(status: int, body: bytes) -> None:
    """Whatever eBay, a proxy or a broken connection sends, it becomes one of the error classes."""
    error = error_of(EbayAnswer(status, body), "do it")
    assert error.error_class in set(ErrorClass)
    assert error.code
    assert error.message
    if status >= 500:
        assert isinstance(error, RetryableError)
