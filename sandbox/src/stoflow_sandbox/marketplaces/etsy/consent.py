"""The consent page: checks an authorization request, and answers it for the seller who agrees or refuses."""

import re
import secrets
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.etsy.oauth import SCOPES
from stoflow_sandbox.marketplaces.etsy.state import Authorization, Seller, World

CONSENT_PATH = "/oauth/connect"
CODE_SECONDS = 600
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Etsy sandbox: grant access</title></head>
<body style="font-family: sans-serif; max-width: 40em; margin: 2em auto">
<p>Etsy sandbox: nothing here is for sale.</p>
<h1>An application would like to use your shop</h1>
<p>{client_id} asks for: {scopes}</p>
<form method="post">{hidden}{buttons}<button name="username" value="">Refuse</button></form>
</body></html>
"""


class ConsentError(ValueError):
    """An authorization request that Etsy shows an error page for; `violations` says everything."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


def check_request(world: World, query: Mapping[str, str]) -> None:
    """Raise ConsentError with everything that is wrong with an authorization request."""
    violations = []
    app = world.apps.get(query.get("client_id", ""))
    if query.get("response_type") != "code":
        violations.append("response_type: must be code")
    if app is None:
        violations.append("client_id: unknown keystring")
    violations += _redirect_violations(query.get("redirect_uri", ""), app.redirect_uris if app else [])
    scopes = query.get("scope", "").split()
    if not scopes:
        violations.append("scope: required")
    violations += [f"scope: unknown {scope}" for scope in scopes if scope not in SCOPES]
    if not query.get("state"):
        violations.append("state: required")
    if query.get("code_challenge_method") != "S256":
        violations.append("code_challenge_method: must be S256")
    if not _CHALLENGE.fullmatch(query.get("code_challenge", "")):
        violations.append("code_challenge: must be 43 characters of base64url")
    if violations:
        raise ConsentError(violations)


def _redirect_violations(address: str, registered: list[str]) -> list[str]:
    parts = urlsplit(address)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not is_safe or not parts.netloc:
        return ["redirect_uri: must be https"]
    if registered and address not in registered:
        return ["redirect_uri: not registered for this application"]
    return []


def answer(world: World, query: Mapping[str, str], seller: Seller | None, now: float) -> str:
    """Return where the browser goes: with a code for the seller, or with access_denied for None."""
    check_request(world, query)
    if seller is None:
        result = {"error": "access_denied", "error_description": "The user denied the request."}
    else:
        code = secrets.token_urlsafe(48)
        world.codes[code] = Authorization(
            seller.username,
            query["client_id"],
            query["scope"].split(),
            query["redirect_uri"],
            query["code_challenge"],
            now + CODE_SECONDS,
        )
        result = {"code": code}
    parts = urlsplit(query["redirect_uri"])
    joined = urlencode([*parse_qsl(parts.query), *result.items(), ("state", query["state"])])
    return urlunsplit(parts._replace(query=joined))


class ConsentPage:
    """What the seller's browser sees; any seeded seller of the application may agree."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route(CONSENT_PATH, self.show, methods=["GET"]),
            Route(CONSENT_PATH, self.submit, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        query = dict(request.query_params)
        try:
            check_request(self._world, query)
        except ConsentError as error:
            return _error_page(error)
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in query.items()
        )
        buttons = "".join(
            f'<button name="username" value="{escape(one.username)}">Grant as {escape(one.username)}</button> '
            for one in self._world.sellers.values()
            if one.client_id == query["client_id"]
        )
        scopes = escape(query["scope"])
        return HTMLResponse(
            _PAGE.format(client_id=escape(query["client_id"]), scopes=scopes, hidden=hidden, buttons=buttons)
        )

    async def submit(self, request: Request) -> Response:
        query = dict(request.query_params) | dict(parse_qsl((await request.body()).decode()))
        seller = self._world.sellers.get(query.pop("username", ""))
        try:
            return RedirectResponse(answer(self._world, query, seller, self._clock.now()), 302)
        except ConsentError as error:
            return _error_page(error)


def _error_page(error: ConsentError) -> Response:
    lines = "".join(f"<li>{escape(one)}</li>" for one in error.violations)
    return HTMLResponse(f"<!doctype html><title>Etsy sandbox</title><ul>{lines}</ul>", 400)
