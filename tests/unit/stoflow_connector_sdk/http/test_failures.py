from datetime import UTC, datetime

import httpx
import pytest

from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    EffectOutcome,
    RateLimitedError,
    RetryableError,
    raise_for_common_status,
    retry_after_seconds,
)

NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


def answer(status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    request = httpx.Request("POST", "https://api.example/offer")
    return httpx.Response(status, headers=headers, content=b'{"errors":[]}', request=request)


@pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 403, 404, 409, 422])
def test_marketplace_keeps_its_own_table(status: int) -> None:
    """Success and every 4xx but 401 and 429 are left to the marketplace's own table."""
    raise_for_common_status(answer(status))


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, AuthRequiredError), (429, RateLimitedError), (500, RetryableError), (503, RetryableError)],
)
def test_common_statuses_have_one_meaning(status: int, expected: type[ConnectorError]) -> None:
    """The error carries status, code, message and body."""
    with pytest.raises(expected, match="said so") as caught:
        raise_for_common_status(answer(status), message="said so", code="1001")
    assert type(caught.value) is expected
    assert (caught.value.http_status, caught.value.code) == (status, "1001")
    assert caught.value.raw_body == '{"errors":[]}'


def test_limit_without_a_time_waits_a_while() -> None:
    """A 429 without Retry-After still says how long to wait."""
    with pytest.raises(RateLimitedError) as caught:
        raise_for_common_status(answer(429))
    assert caught.value.retry_after_seconds == 30


def test_limit_and_outage_pass_on_the_time() -> None:
    """Retry-After of a 429 and of a 503 reaches the orchestrator."""
    for status, expected in ((429, RateLimitedError), (503, RetryableError)):
        with pytest.raises(expected) as caught:
            raise_for_common_status(answer(status, {"Retry-After": "7"}))
        assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("999999999", 86_400.0),
        ("Mon, 05 Jan 2026 12:01:30 GMT", 90.0),
        ("Mon, 05 Jan 2026 11:00:00 GMT", 0.0),
        ("Mon, 05 Jan 2026 12:01:30 -0000", 90.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, expected: float | None) -> None:
    """Seconds and dates are understood, the past is now, a day is the most, and nonsense is nothing."""
    assert retry_after_seconds(answer(429, {"Retry-After": value}), NOW) == expected


def test_answer_outside_of_a_task_says_what_it_can() -> None:
    """An answer that never went through the fence is judged by the attempt alone, of which there is none."""
    with pytest.raises(RetryableError) as caught:
        raise_for_common_status(answer(500))
    assert caught.value.effect is EffectOutcome.NOT_SENT
