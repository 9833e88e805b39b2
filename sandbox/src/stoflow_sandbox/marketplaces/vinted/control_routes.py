"""Vinted's own control calls, beside those that every marketplace sandbox has.

| call | what it does |
|---|---|
| POST /_sandbox/members | makes or renews a member (fields: `members`), answers its view |
| GET, DELETE /_sandbox/members/{login} | shows it; removes it with everything it has |
| POST /_sandbox/members/{login}/sessions | signs in without the login page: {cookie_name, cookie, csrf_token} |
| DELETE /_sandbox/members/{login}/sessions | signs out everywhere, as when sessions expire |
| POST, DELETE /_sandbox/members/{login}/captcha | asks for a captcha from now on; asks for none any more |
| POST /_sandbox/items/{item_id}/sell | lets {"buyer"} buy it, answers the sale |
| GET /_sandbox/items/{item_id} | one item as buyers see it, with its `url` |
| GET /_sandbox/state?member= | items, photos, sales, deleted items and the numbers ever created, by login |
"""

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.control_routes import ControlError, read_object
from stoflow_sandbox.marketplaces.vinted.items import item_view
from stoflow_sandbox.marketplaces.vinted.marketplace import VintedMarketplace
from stoflow_sandbox.marketplaces.vinted.members import SeedError, forget_member, member_view, seed_member
from stoflow_sandbox.marketplaces.vinted.orders import SaleError, sell_item
from stoflow_sandbox.marketplaces.vinted.sessions import COOKIE, begin_session
from stoflow_sandbox.marketplaces.vinted.state import Item, Member


class VintedControlRoutes:
    """Control calls about members and what they have."""

    def __init__(self, marketplace: VintedMarketplace) -> None:
        self._marketplace = marketplace
        self._world = marketplace.world

    def routes(self) -> list[Route]:
        one = "/_sandbox/members/{login}"
        item = "/_sandbox/items/{item_id}"
        return [
            Route("/_sandbox/members", self.seed, methods=["POST"]),
            Route(one, self.get_member, methods=["GET"]),
            Route(one, self.forget, methods=["DELETE"]),
            Route(f"{one}/sessions", self.sign_in, methods=["POST"]),
            Route(f"{one}/sessions", self.sign_out, methods=["DELETE"]),
            Route(f"{one}/captcha", self.set_captcha, methods=["POST", "DELETE"]),
            Route(item, self.get_item, methods=["GET"]),
            Route(f"{item}/sell", self.sell, methods=["POST"]),
            Route("/_sandbox/state", self.get_state, methods=["GET"]),
        ]

    def _member(self, login: str) -> Member:
        try:
            return self._world.members[login]
        except KeyError:
            raise ControlError(404, [f"no member {login}"]) from None

    def _item(self, request: Request) -> tuple[Member, Item]:
        item_id = request.path_params["item_id"]
        found = self._world.find_item(item_id)
        if found is None:
            raise ControlError(404, [f"no item {item_id}"])
        return found

    async def seed(self, request: Request) -> Response:
        try:
            member = seed_member(self._world, await read_object(request))
        except SeedError as error:
            raise ControlError(400, error.violations) from error
        self._marketplace.store.save(self._world, member)
        return JSONResponse(member_view(member), 201)

    async def get_member(self, request: Request) -> Response:
        return JSONResponse(member_view(self._member(request.path_params["login"])))

    async def forget(self, request: Request) -> Response:
        login = self._member(request.path_params["login"]).login
        forget_member(self._world, login)
        self._marketplace.store.forget(login)
        return Response(status_code=204)

    async def sign_in(self, request: Request) -> Response:
        login = self._member(request.path_params["login"]).login
        cookie = begin_session(self._world, login, self._marketplace.clock.now())
        token = self._world.sessions[cookie].csrf_token
        return JSONResponse({"cookie_name": COOKIE, "cookie": cookie, "csrf_token": token}, 201)

    async def sign_out(self, request: Request) -> Response:
        self._world.drop_sessions(self._member(request.path_params["login"]).login)
        return Response(status_code=204)

    async def set_captcha(self, request: Request) -> Response:
        member = self._member(request.path_params["login"])
        member.needs_captcha = request.method == "POST"
        self._marketplace.store.save(self._world, member)
        return Response(status_code=204)

    async def sell(self, request: Request) -> Response:
        member, item = self._item(request)
        buyer = (await read_object(request)).get("buyer", "a-buyer")
        try:
            sale = sell_item(self._world, member, item, str(buyer), self._marketplace.clock.now())
        except SaleError as error:
            raise ControlError(409, [str(error)]) from error
        self._marketplace.store.save(self._world, member)
        return JSONResponse(asdict(sale), 201)

    async def get_item(self, request: Request) -> Response:
        member, item = self._item(request)
        return JSONResponse(shown_item(member, item, str(request.base_url).rstrip("/")))

    async def get_state(self, request: Request) -> Response:
        wanted = request.query_params.get("member")
        members = [self._member(wanted)] if wanted else list(self._world.members.values())
        base_url = str(request.base_url).rstrip("/")
        return JSONResponse({"members": {one.login: member_state(one, base_url) for one in members}})


def member_state(member: Member, base_url: str) -> dict[str, Any]:
    return {
        "items": {key: shown_item(member, item, base_url) for key, item in member.items.items()},
        "photos": {key: asdict(photo) for key, photo in member.photos.items()},
        "sales": {key: asdict(sale) for key, sale in member.sales.items()},
        "deleted": member.deleted,
        "created": {"items": member.created},
    }


def shown_item(member: Member, item: Item, base_url: str) -> dict[str, Any]:
    return item_view(member, item, base_url) | {
        "seller": member.login,
        "state": "SOLD" if item.is_closed else "LIVE",
    }
