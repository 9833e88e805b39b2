"""What a browser says of a call, and when it stops by itself. No I/O."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

BODY_LIMIT_BYTES = 3 * 1024 * 1024
CARRIED_HEADERS = ("content-type", "retry-after")

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call without an answer; `is_sent` says whether anything may have reached the site."""

    kind: str
    message: str
    is_sent: bool = False

    def fields(self) -> JsonObject:
        outcome = "UNKNOWN" if self.is_sent else "NOT_SENT"
        return {"outcome": outcome, "error": {"kind": self.kind, "message": self.message}}


def answer_fields(response: httpx.Response) -> JsonObject:
    """Return the fields of a result for the site's answer."""
    is_too_large = len(response.content) > BODY_LIMIT_BYTES
    fields: JsonObject = {
        "outcome": "ANSWERED",
        "http_status": response.status_code,
        "headers": {name: response.headers[name] for name in CARRIED_HEADERS if name in response.headers},
        "body": "" if is_too_large else response.text,
    }
    if reason := stop_reason(response):
        fields["error"] = {"kind": reason, "message": f"The site answered {response.status_code}."}
    elif is_too_large:
        fields["error"] = {"kind": "TOO_LARGE", "message": f"The body has {len(response.content)} bytes."}
    return fields


def stop_reason(response: httpx.Response) -> str | None:
    """Return why the browser stops after this answer, None when it goes on."""
    asks_captcha = "captcha" in response.text.lower()
    if response.status_code == 403:
        return "CAPTCHA" if asks_captcha else "FORBIDDEN"
    if asks_captcha and "html" in response.headers.get("content-type", ""):
        return "CAPTCHA"
    return {401: "NO_SESSION", 429: "RATE_LIMITED"}.get(response.status_code)


def timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
