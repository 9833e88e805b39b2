"""What transport failures and common statuses mean, the same for every marketplace."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from stoflow_connector_sdk.errors import AuthRequiredError, RateLimitedError, RetryableError
from stoflow_connector_sdk.http.transport import effect_after

# For a 429 without a usable Retry-After: long enough to matter, short enough to find a limit of a few
# seconds over.
DEFAULT_RATE_LIMIT_SECONDS = 30.0
_MAX_RETRY_AFTER_SECONDS = 86_400.0


def transport_failure(error: httpx.TransportError, request: httpx.Request) -> RetryableError:
    """Says what a request without an answer means; NOT_SENT when not one byte of any change has left."""
    where = f"{request.method} {request.url.host}{request.url.path}"
    return RetryableError(
        f"{where} got no answer: {type(error).__name__}{f': {error}' if str(error) else ''}.",
        effect=effect_after(request),
        code="TRANSPORT_ERROR",
    )


def raise_for_common_status(response: httpx.Response, *, message: str = "", code: str = "") -> None:
    """Raises for 401, 429 and 5xx; returns for everything else, which is the marketplace's own table.

    Args:
        response: The answer, read.
        message: What the marketplace said, in one sentence; empty for a general one.
        code: The marketplace's error code.

    Raises:
        AuthRequiredError: 401.
        RateLimitedError: 429, with its Retry-After.
        RetryableError: 5xx; for a request that changes something its effect is UNKNOWN.
    """
    status = response.status_code
    if status != 401 and status != 429 and status < 500:
        return
    where = f"{response.request.method} {response.request.url.path}"
    text = message or f"{where} was answered {status}."
    body = response.content
    effect = effect_after(response.request)
    if status == 401:
        raise AuthRequiredError(text, effect=effect, code=code, http_status=status, raw_body=body)
    wait = retry_after_seconds(response)
    if status == 429:
        if wait is None:
            wait = DEFAULT_RATE_LIMIT_SECONDS
        raise RateLimitedError(
            text, effect=effect, code=code, http_status=status, raw_body=body, retry_after_seconds=wait
        )
    raise RetryableError(
        text, effect=effect, code=code, http_status=status, raw_body=body, retry_after_seconds=wait
    )


def retry_after_seconds(response: httpx.Response, now: datetime | None = None) -> float | None:
    """Returns what the header Retry-After asks for, in seconds or as a date; None without a usable one."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value), _MAX_RETRY_AFTER_SECONDS)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        # Neither form of RFC 9110; the caller has its own default.
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - (now or datetime.now(UTC))).total_seconds(), 0.0), _MAX_RETRY_AFTER_SECONDS)
