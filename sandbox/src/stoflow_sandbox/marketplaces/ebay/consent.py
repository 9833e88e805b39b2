"""The consent page: a seller says yes or no to an application, and is sent back with a code or an error."""

import secrets
from html import escape
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.ebay.marketplace import EbayMarketplace
from stoflow_sandbox.marketplaces.ebay.oauth import CODE_SECONDS, USER_SCOPES
from stoflow_sandbox.marketplaces.ebay.state import Code

PATH = "/oauth2/authorize"
_PARAMETERS = ("client_id", "redirect_uri", "response_type", "scope", "state")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Grant access | eBay sandbox</title></head>
<body style="font-family: sans-serif; max-width: 50em; margin: 2em auto">
<h1>Grant application access</h1>
<p>The application {client_id} asks for: {scope}</p>
<form method="post">{fields}
<p><label>You are <select name="username">{sellers}</select></label></p>
<p><button name="decision" value="agree">Agree</button> <button name="decision" value="decline">Decline</button></p>
</form></body></html>
"""


class ConsentPage:
    """auth.ebay.com, with a choice of sellers in place of a password."""

    def __init__(self, marketplace: EbayMarketplace) -> None:
        self._marketplace = marketplace
        self._world = marketplace.world

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(PATH, self.decide, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        asked = {name: request.query_params.get(name, "") for name in _PARAMETERS}
        if wrong := self._problem(asked):
            return PlainTextResponse(wrong, 400)
        hidden = (
            f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in asked.items()
        )
        sellers = (
            f"<option>{escape(seller.username)}</option>"
            for seller in self._world.sellers.values()
            if seller.client_id == asked["client_id"]
        )
        page = _PAGE.format(
            client_id=escape(asked["client_id"]),
            scope=escape(asked["scope"]),
            fields="".join(hidden),
            sellers="".join(sellers),
        )
        return HTMLResponse(page)

    async def decide(self, request: Request) -> Response:
        form = await request.form()
        asked = {name: str(form.get(name, "")) for name in _PARAMETERS}
        if wrong := self._problem(asked):
            return PlainTextResponse(wrong, 400)
        back = self._world.redirects.get(asked["redirect_uri"], asked["redirect_uri"])
        joint = "&" if "?" in back else "?"
        if form.get("decision") != "agree":
            parameters = {"error": "access_denied", "state": asked["state"]}
            return RedirectResponse(f"{back}{joint}{urlencode(parameters)}", 302)
        seller = self._world.sellers.get(str(form.get("username", "")))
        if seller is None or seller.client_id != asked["client_id"]:
            return PlainTextResponse("no such seller", 400)
        code = f"v^1.1#i^1#{secrets.token_urlsafe(24)}"
        expires = self._marketplace.clock.now() + CODE_SECONDS
        scopes = asked["scope"].split()
        self._world.codes[code] = Code(seller.username, scopes, asked["redirect_uri"], expires)
        parameters = {"state": asked["state"], "code": code, "expires_in": str(CODE_SECONDS)}
        return RedirectResponse(f"{back}{joint}{urlencode(parameters)}", 302)

    def _problem(self, asked: dict[str, str]) -> str:
        if asked["client_id"] not in self._world.clients:
            return "invalid_client"
        if asked["response_type"] != "code":
            return "unsupported_response_type"
        if set(asked["scope"].split()) - set(USER_SCOPES) or not asked["scope"]:
            return "invalid_scope"
        is_address = asked["redirect_uri"].startswith(("http://", "https://"))
        return "" if is_address or asked["redirect_uri"] in self._world.redirects else "invalid redirect_uri"
