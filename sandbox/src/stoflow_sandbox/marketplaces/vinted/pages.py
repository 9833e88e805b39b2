"""What a person's browser sees: login, the member's own page, an item, a captcha, photos.

Every page carries the CSRF token of its session and who is signed in, in <meta> elements.
"""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.vinted.marketplace import VintedMarketplace
from stoflow_sandbox.marketplaces.vinted.sessions import COOKIE, find_session, read_cookie, sign_in
from stoflow_sandbox.marketplaces.vinted.state import Item, Member, Session

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} | Vinted sandbox</title>{meta}</head>
<body style="font-family: sans-serif; max-width: 50em; margin: 2em auto">
<p>Vinted sandbox: nothing here is for sale. {who}</p>
<h1>{title}</h1>
{content}
</body></html>
"""
_LOGIN = """<p>{message}</p><form method="post" action="/member/login">
<p><label>Login <input name="login" autocomplete="username"></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password"></label></p>
<p><button>Log in</button></p></form>"""
_CAPTCHA = """<form method="post" action="/captcha"><input type="hidden" name="csrf_token" value="{token}">
<p><button>I am a person</button></p></form>"""


class Pages:
    """Pages that a person opens."""

    def __init__(self, marketplace: VintedMarketplace) -> None:
        self._marketplace = marketplace
        self._world = marketplace.world

    def routes(self) -> list[Route]:
        return [
            Route("/", self.show_home, methods=["GET"]),
            Route("/member/login", self.show_login, methods=["GET"]),
            Route("/member/login", self.log_in, methods=["POST"]),
            Route("/member/logout", self.log_out, methods=["POST"]),
            Route("/captcha", self.show_captcha, methods=["GET"]),
            Route("/captcha", self.solve_captcha, methods=["POST"]),
            Route("/items/{item_id}", self.show_item, methods=["GET"]),
            Route("/photos/{photo_id}", self.show_photo, methods=["GET"]),
        ]

    def _session(self, request: Request) -> tuple[Session, Member] | None:
        now = self._marketplace.clock.now()
        session = find_session(self._world, request.headers.get("cookie", ""), now)
        member = self._world.members.get(session.login) if session is not None else None
        return (session, member) if session is not None and member is not None else None

    def _page(self, request: Request, title: str, content: str, status: int = 200) -> HTMLResponse:
        found = self._session(request)
        meta, who = "", '<a href="/member/login">Log in</a>'
        if found is not None:
            session, member = found
            meta = (
                f'<meta name="csrf-token" content="{escape(session.csrf_token)}">'
                f'<meta name="user-id" content="{escape(member.user_id)}">'
                f'<meta name="user-login" content="{escape(member.login)}">'
            )
            who = (
                f"Signed in as {escape(member.login)}."
                ' <form method="post" action="/member/logout" style="display: inline">'
                "<button>Log out</button></form>"
            )
        page = _PAGE.format(title=escape(title), meta=meta, who=who, content=content)
        return HTMLResponse(page, status, {"Cache-Control": "no-store"})

    async def show_home(self, request: Request) -> Response:
        found = self._session(request)
        if found is None:
            return self._page(request, "Second-hand clothes", "")
        if found[1].needs_captcha:
            return RedirectResponse("/captcha", 303)
        rows = "".join(
            f'<li><a href="/items/{escape(item.item_id)}">{escape(item.title)}</a>,'
            f" {escape(item.fields['price'])} {escape(item.fields['currency'])}"
            f"{', sold' if item.is_closed else ''}</li>"
            for item in found[1].items.values()
        )
        return self._page(request, "My wardrobe", f"<ul>{rows}</ul>")

    async def show_login(self, request: Request) -> Response:
        return self._page(request, "Log in", _LOGIN.format(message=""))

    async def log_in(self, request: Request) -> Response:
        async with request.form() as form:
            login, password = str(form.get("login", "")), str(form.get("password", ""))
        cookie = sign_in(self._world, login, password, self._marketplace.clock.now())
        if cookie is None:
            return self._page(request, "Log in", _LOGIN.format(message="Wrong login or password."), 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax", path="/")
        return response

    async def log_out(self, request: Request) -> Response:
        self._world.sessions.pop(read_cookie(request.headers.get("cookie", "")) or "", None)
        response = RedirectResponse("/member/login", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    async def show_captcha(self, request: Request) -> Response:
        found = self._session(request)
        token = escape(found[0].csrf_token) if found is not None else ""
        return self._page(request, "Are you a person?", _CAPTCHA.format(token=token), 403)

    async def solve_captcha(self, request: Request) -> Response:
        """Take the click of a person; a program has no business here."""
        found = self._session(request)
        async with request.form() as form:
            token = form.get("csrf_token")
        if found is None or token != found[0].csrf_token:
            return self._page(request, "Are you a person?", _CAPTCHA.format(token=""), 403)
        found[1].needs_captcha = False
        self._marketplace.store.save(self._world, found[1])
        return RedirectResponse("/", 303)

    async def show_item(self, request: Request) -> Response:
        found = self._world.find_item(request.path_params["item_id"])
        if found is None:
            return self._page(request, "This item is not here any more", "", 404)
        return self._page(request, found[1].title, render_item(*found))

    async def show_photo(self, request: Request) -> Response:
        photo = self._world.find_photo(request.path_params["photo_id"])
        content = self._marketplace.store.picture(photo.digest) if photo is not None else None
        if photo is None or content is None:
            return PlainTextResponse("No such photo.", 404)
        return Response(content, media_type=photo.media_type)


def render_item(member: Member, item: Item) -> str:
    """Return the page of an item; everything a member wrote is escaped."""
    pictures = " ".join(
        f'<img src="/photos/{escape(photo)}" alt="" height="160">' for photo in item.photo_ids
    )
    price = escape(f"{item.fields['price']} {item.fields['currency']}")
    description = escape(item.fields["description"]).replace("\n", "<br>")
    sold = " &middot; sold" if item.is_closed else ""
    return (
        f"<p><strong>{price}</strong> &middot; offered by {escape(member.login)}{sold}</p>"
        f"<p>{pictures}</p><p>{description}</p>"
    )
