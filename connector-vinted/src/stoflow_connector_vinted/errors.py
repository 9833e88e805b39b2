"""What an answer means: one table, from what the browser says and the site's status to what follows."""

import json
from collections.abc import Mapping
from typing import Any, Final

from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    EffectOutcome,
    NeedsHumanError,
    PermanentError,
    RetryableError,
    SellerOfflineError,
    Violation,
)
from stoflow_connector_vinted.gateway.requests import Answer

# The site answered, and the browser has stopped by itself: only the seller goes on.
STOPPED: Final[Mapping[str, tuple[type[ConnectorError], str, str]]] = {
    "NO_SESSION": (AuthRequiredError, "SESSION_EXPIRED", "Nobody is signed in at Vinted any more."),
    "CAPTCHA": (NeedsHumanError, "CAPTCHA", "Vinted asks for a captcha."),
    "FORBIDDEN": (NeedsHumanError, "FORBIDDEN", "Vinted refused."),
    "RATE_LIMITED": (NeedsHumanError, "RATE_LIMITED", "Vinted limits this seller's calls."),
}
_SELLER_GOES_ON = "The seller must look at Vinted, and resume in the browser."
# Nothing left the browser; it will when the seller is back.
AWAY: Final = frozenset(
    {"NO_SESSION", "NO_TAB", "OFFLINE", "PAUSED", "NOT_ACTIVE", "STALE_EPOCH", "INTERRUPTED", "TAB_CLOSED"}
)
NOT_FOUND: Final = 404


class VintedRefusedError(PermanentError):
    """Vinted refused the request; `http_status` and `violations` say why."""

    @property
    def is_absent(self) -> bool:
        """Whether there is no such thing, or no longer."""
        return self.http_status == NOT_FOUND


def parse_answer(answer: Answer) -> dict[str, Any]:
    """Returns the site's answer to a request that it obeyed.

    Raises:
        VintedRefusedError: It refused; nothing happened.
        ConnectorError: Whatever else the answer means.
    """
    if answer.outcome == "NOT_SENT":
        raise _not_sent(answer)
    if answer.outcome == "UNKNOWN":
        raise _unknown(answer)
    if answer.error_kind in STOPPED:
        raise _stopped(answer)
    status = answer.http_status
    if status >= 500 or answer.error_kind:
        text = f"Vinted answered {status}{f' ({answer.error_kind})' if answer.error_kind else ''}."
        raise RetryableError(text, code=answer.error_kind, http_status=status, raw_body=answer.body)
    content = _content(answer.body)
    if status >= 400:
        raise _refused(answer, content)
    if content is None:
        raise RetryableError(
            "Vinted's answer is not JSON.", code="ANSWER_UNREADABLE", http_status=status, raw_body=answer.body
        )
    return content


def _not_sent(answer: Answer) -> ConnectorError:
    text = f"Nothing was sent: {answer.error_message or answer.error_kind}"
    kind: type[ConnectorError] = RetryableError
    if answer.error_kind in AWAY:
        kind = SellerOfflineError
    elif answer.error_kind == "NOT_ALLOWED":
        kind = PermanentError
    return kind(text, effect=EffectOutcome.NOT_SENT, code=answer.error_kind)


def _unknown(answer: Answer) -> ConnectorError:
    text = f"What became of it is not known: {answer.error_message or answer.error_kind}"
    kind = SellerOfflineError if answer.error_kind in AWAY else RetryableError
    return kind(text, effect=EffectOutcome.UNKNOWN, code=answer.error_kind)


def _stopped(answer: Answer) -> ConnectorError:
    kind, code, text = STOPPED[answer.error_kind]
    # In place of an answer that says OK, a captcha says nothing of what was done before it.
    is_refusal = answer.http_status >= 400
    return kind(
        f"{text} {_SELLER_GOES_ON}",
        effect=EffectOutcome.NOT_SENT if is_refusal else EffectOutcome.UNKNOWN,
        code=code,
        http_status=answer.http_status,
        raw_body=answer.body,
    )


def _refused(answer: Answer, content: Mapping[str, Any] | None) -> VintedRefusedError:
    errors = (content or {}).get("errors")
    violations = [
        Violation(str(one.get("field") or ""), str(one.get("value") or "was refused"))
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, dict)
    ]
    code = str((content or {}).get("code") or "")
    said = str((content or {}).get("message") or "no reason")
    return VintedRefusedError(
        f"Vinted refused with {answer.http_status}: {said}.",
        violations=violations,
        effect=EffectOutcome.NOT_SENT,
        code=code,
        http_status=answer.http_status,
        raw_body=answer.body,
    )


def _content(body: str) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
