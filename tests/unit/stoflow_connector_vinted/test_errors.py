"""What an answer means for the task, and for the seller."""

from __future__ import annotations

import json

import pytest

from stoflow_connector_sdk import ConnectorError, EffectOutcome, ErrorClass
from stoflow_connector_vinted.errors import VintedRefusedError, parse_answer
from stoflow_connector_vinted.gateway.requests import Answer

ID = "0192f0c1-7a3e-7e57-9d0a-000000000001"


def answered(status: int, body: object = None, kind: str = "") -> Answer:
    return Answer(ID, "ANSWERED", status, {}, json.dumps(body or {}), kind, "said")


CASES = [
    (answered(401, kind="NO_SESSION"), ErrorClass.AUTH_REQUIRED, EffectOutcome.NOT_SENT, "SESSION_EXPIRED"),
    (answered(403, kind="CAPTCHA"), ErrorClass.NEEDS_HUMAN, EffectOutcome.NOT_SENT, "CAPTCHA"),
    (answered(200, kind="CAPTCHA"), ErrorClass.NEEDS_HUMAN, EffectOutcome.UNKNOWN, "CAPTCHA"),
    (answered(403, kind="FORBIDDEN"), ErrorClass.NEEDS_HUMAN, EffectOutcome.NOT_SENT, "FORBIDDEN"),
    (answered(429, kind="RATE_LIMITED"), ErrorClass.NEEDS_HUMAN, EffectOutcome.NOT_SENT, "RATE_LIMITED"),
    (answered(503), ErrorClass.RETRYABLE, EffectOutcome.UNKNOWN, ""),
    (answered(200, kind="TOO_LARGE"), ErrorClass.RETRYABLE, EffectOutcome.UNKNOWN, "TOO_LARGE"),
    (Answer.not_sent(ID, "NO_TAB", "x"), ErrorClass.SELLER_OFFLINE, EffectOutcome.NOT_SENT, "NO_TAB"),
    (Answer.not_sent(ID, "BUSY", "x"), ErrorClass.RETRYABLE, EffectOutcome.NOT_SENT, "BUSY"),
    (Answer.not_sent(ID, "NOT_ALLOWED", "x"), ErrorClass.PERMANENT, EffectOutcome.NOT_SENT, "NOT_ALLOWED"),
    (
        Answer(ID, "UNKNOWN", error_kind="TAB_CLOSED"),
        ErrorClass.SELLER_OFFLINE,
        EffectOutcome.UNKNOWN,
        "TAB_CLOSED",
    ),
    (
        Answer(ID, "UNKNOWN", error_kind="TIMEOUT"),
        ErrorClass.RETRYABLE,
        EffectOutcome.UNKNOWN,
        "TIMEOUT",
    ),
]


@pytest.mark.parametrize(("answer", "error_class", "effect", "code"), CASES)
def test_answer_has_one_meaning(
    answer: Answer, error_class: ErrorClass, effect: EffectOutcome, code: str
) -> None:
    """Class, effect and code follow from the outcome, the kind and the status alone."""
    with pytest.raises(ConnectorError) as caught:
        parse_answer(answer)
    assert (caught.value.error_class, caught.value.effect, caught.value.code) == (error_class, effect, code)


def test_refusal_lists_every_violation() -> None:
    """A 400 names each field of the site with what is wrong; a 404 is an absence."""
    body = {"code": 99, "errors": [{"field": "title", "value": "is too short"}, {"field": "price"}]}
    with pytest.raises(VintedRefusedError) as caught:
        parse_answer(answered(400, body))
    assert [violation.field for violation in caught.value.violations] == ["title", "price"]
    assert (caught.value.effect, caught.value.is_absent) == (EffectOutcome.NOT_SENT, False)
    with pytest.raises(VintedRefusedError) as absent:
        parse_answer(answered(404))
    assert absent.value.is_absent


def test_answer_that_the_site_obeyed_is_its_content() -> None:
    """A success is the object that the site sent."""
    assert parse_answer(answered(200, {"item": {"id": 1}})) == {"item": {"id": 1}}
