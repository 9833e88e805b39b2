"""What refuses a call before any rule sees it: no session, a captcha, too many calls, a foreign origin, no CSRF
token.
"""

import secrets

from stoflow_sandbox.marketplaces.exchange import Call, Reply
from stoflow_sandbox.marketplaces.vinted.errors import refuse
from stoflow_sandbox.marketplaces.vinted.state import Member, Session

SECONDS_PER_MINUTE = 60.0


def captcha_body(base_url: str) -> dict[str, str]:
    """Return the body of a 403 that sends a person to a captcha."""
    return {"url": f"{base_url}/captcha"}


def refuse_call(call: Call, session: Session | None, member: Member | None, now: float) -> Reply | None:
    """Return the refusal, or None when the call may go on."""
    if session is None or member is None:
        return refuse(401)
    if member.needs_captcha:
        return Reply(403, captcha_body(call.base_url))
    if wait_seconds := _over_rate(member, now):
        return refuse(429, headers={"Retry-After": str(wait_seconds)})
    if call.method != "GET" and not _comes_from_a_page(call, session):
        return refuse(403)
    return None


def _comes_from_a_page(call: Call, session: Session) -> bool:
    token = call.headers.get("x-csrf-token", "")
    return call.headers.get("origin") == call.base_url and secrets.compare_digest(token, session.csrf_token)


def _over_rate(member: Member, now: float) -> int:
    """Count the call; return the seconds after which the next is welcome, 0 while the rate is kept."""
    if member.requests_per_minute is None:
        return 0
    member.request_times = [time for time in member.request_times if time > now - SECONDS_PER_MINUTE]
    if len(member.request_times) >= member.requests_per_minute:
        return max(1, round(member.request_times[0] + SECONDS_PER_MINUTE - now))
    member.request_times.append(now)
    return 0
