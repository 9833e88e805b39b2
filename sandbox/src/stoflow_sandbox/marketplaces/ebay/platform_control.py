"""Control calls about what eBay does to applications: quotas, redirect addresses, notifications.

| call | what it does |
|---|---|
| POST /_sandbox/quotas | {"api", "limit", "used": 0, "window_seconds": 86400, "client_id" or "seller"} |
| POST /_sandbox/redirects | {"ru_name", "url"}: where sellers go after consent asked for with this RuName |
| POST /_sandbox/notifications | {"url", "topic", "seller", "order_id", "notification_id", "signature"}: sends one |
| POST /_sandbox/challenges | {"url", "endpoint", "verification_token"}: asks a receiver; answers {"passed"} |

`api` reads as in sell.inventory. A notification answers {"status", "notification_id"}, status 0 without an answer;
with `signature` "forged" or "absent" the header is wrong or missing.
"""

import json
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.control_routes import ControlError, read_object
from stoflow_sandbox.marketplaces.ebay.marketplace import EbayMarketplace
from stoflow_sandbox.marketplaces.ebay.notifications import TOPICS, challenge, make_notification, send
from stoflow_sandbox.marketplaces.ebay.quotas import DAY_SECONDS
from stoflow_sandbox.marketplaces.ebay.shapes import conform, one_of
from stoflow_sandbox.marketplaces.ebay.state import Seller

_QUOTA: dict[str, Any] = {
    "api": str,
    "limit": int,
    "used": int,
    "window_seconds": int,
    "client_id": str,
    "seller": str,
}
_NOTIFICATION: dict[str, Any] = {
    "url": str,
    "topic": one_of(*TOPICS),
    "seller": str,
    "order_id": str,
    "notification_id": str,
    "signature": one_of("absent", "forged", "right"),
}


class PlatformControlRoutes:
    """What eBay itself does."""

    def __init__(self, marketplace: EbayMarketplace) -> None:
        self._marketplace = marketplace

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/quotas", self.set_quota, methods=["POST"]),
            Route("/_sandbox/redirects", self.set_redirect, methods=["POST"]),
            Route("/_sandbox/notifications", self.notify, methods=["POST"]),
            Route("/_sandbox/challenges", self.ask, methods=["POST"]),
        ]

    def _seller(self, username: str) -> Seller:
        seller = self._marketplace.world.sellers.get(username)
        if seller is None:
            raise ControlError(404, [f"no seller {username}"])
        return seller

    async def set_quota(self, request: Request) -> Response:
        asked = await read_fields(request, _QUOTA, "api", "limit")
        key = ("user", self._seller(asked["seller"]).username) if "seller" in asked else None
        owner = key or ("app", asked.get("client_id", ""))
        self._marketplace.quotas.set(
            (*owner, asked["api"]),
            asked["limit"],
            asked.get("window_seconds", DAY_SECONDS),
            asked.get("used", 0),
            self._marketplace.clock.now(),
        )
        return Response(status_code=204)

    async def set_redirect(self, request: Request) -> Response:
        asked = await read_fields(request, {"ru_name": str, "url": str}, "ru_name", "url")
        self._marketplace.world.redirects[asked["ru_name"]] = asked["url"]
        return Response(status_code=204)

    async def notify(self, request: Request) -> Response:
        asked = await read_fields(request, _NOTIFICATION, "url", "topic", "seller")
        notification_id = asked.get("notification_id") or str(uuid.uuid4())
        content = make_notification(
            asked["topic"],
            self._seller(asked["seller"]),
            notification_id,
            asked.get("order_id", ""),
            self._marketplace.clock.now(),
        )
        body = json.dumps(content, separators=(",", ":")).encode()
        wanted = asked.get("signature", "right")
        # A forger has a signature of eBay, but of another notification.
        signed = b"{}" if wanted == "forged" else body
        signature = "" if wanted == "absent" else self._marketplace.notary.sign(signed)
        status = await send(asked["url"], body, signature)
        return JSONResponse({"status": status, "notification_id": notification_id})

    async def ask(self, request: Request) -> Response:
        shape = {"url": str, "endpoint": str, "verification_token": str}
        asked = await read_fields(request, shape, *shape)
        passed = await challenge(asked["url"], asked["endpoint"], asked["verification_token"])
        return JSONResponse({"passed": passed})


async def read_fields(request: Request, shape: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the fields of a control call, or refuse it with everything that is wrong."""
    body = await read_object(request)
    fields, problems = conform(body, shape)
    violations = [parameter["value"] for problem in problems for parameter in problem["parameters"]]
    violations += [f"{name}: unknown field" for name in sorted(body.keys() - shape.keys())]
    violations += [f"{name}: required" for name in required if name not in body]
    if violations:
        raise ControlError(400, violations)
    return fields
