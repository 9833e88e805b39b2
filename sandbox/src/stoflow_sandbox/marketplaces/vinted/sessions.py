"""Signing in and out: cookies and CSRF tokens."""

import secrets
from http.cookies import CookieError, SimpleCookie

from stoflow_sandbox.marketplaces.vinted.state import Session, World

COOKIE = "_vinted_session"


def sign_in(world: World, login: str, password: str, now: float) -> str | None:
    """Begin a session and return its cookie, or None when login and password do not belong together."""
    member = world.members.get(login)
    if member is None or not secrets.compare_digest(member.password, password):
        return None
    return begin_session(world, login, now)


def begin_session(world: World, login: str, now: float) -> str:
    key = secrets.token_urlsafe(32)
    expires_time = now + world.members[login].session_seconds
    world.sessions[key] = Session(login, secrets.token_urlsafe(24), expires_time)
    return key


def read_cookie(header: str) -> str | None:
    """Return the session cookie in a Cookie header."""
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        # What a client sends that is no cookie header signs nobody in.
        return None
    return morsel.value if morsel is not None else None


def find_session(world: World, header: str, now: float) -> Session | None:
    """Return the session of a Cookie header unless it has expired."""
    session = world.sessions.get(read_cookie(header) or "")
    return session if session is not None and session.expires_time > now else None
