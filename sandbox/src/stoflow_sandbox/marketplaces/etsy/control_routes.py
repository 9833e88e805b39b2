"""Etsy's own control calls, beside those that every marketplace sandbox has.

| call | what it does |
|---|---|
| POST /_sandbox/sellers | makes or renews a seller with a shop (fields: `sellers.SEED`), answers its view |
| GET, DELETE /_sandbox/sellers/{username} | shows it; removes it with everything it has |
| POST /_sandbox/sellers/{username}/consent | agrees to {"url"}, an authorization request: {"redirect_url"} |
| POST /_sandbox/sellers/{username}/revoke | withdraws every grant: no token works any more |
| POST /_sandbox/sellers/{username}/expire_access_tokens | ends the access tokens, not the refresh tokens |
| POST /_sandbox/sellers/{username}/orders | buys {"lines": [{"listing_id" or "sku", "quantity"}], "is_paid"} |
| | and answers {"receipt_id"}; with {"is_phantom": true} the order never was |
| POST /_sandbox/sellers/{username}/orders/{receipt_id}/{cancel, refund, ship} | changes an order; {"touch": |
| | false} leaves its updated time, {"restock": false} the stock, {"amount_minor"} refunds a part |
| POST /_sandbox/sellers/{username}/images/{listing_image_id}/rank | {"rank"}: moves an image, as by hand |
| POST /_sandbox/limits | {"client_id" or "seller", "per_second", "per_day", "used_today", |
| | "retry_after_seconds", "is_header_truncated"}: what an application or a seller may do |
| GET /_sandbox/webhooks | what was sent: {"webhooks": [{id, url, body, statuses}]} |
| POST /_sandbox/webhooks/{id}/repeat | sends it again under its id; {"is_forged": true} signs it wrongly |
| GET /_sandbox/state?seller= | listings, images, receipts and the numbers ever created, by seller |
| GET /_sandbox/listings/{listing_id} | one listing in any state |
"""

from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.control_routes import ControlError, read_object
from stoflow_sandbox.marketplaces.etsy.consent import ConsentError, answer
from stoflow_sandbox.marketplaces.etsy.marketplace import EtsyMarketplace
from stoflow_sandbox.marketplaces.etsy.order_routes import OrderRoutes
from stoflow_sandbox.marketplaces.etsy.receipts import receipt_view
from stoflow_sandbox.marketplaces.etsy.sellers import (
    SeedError,
    drop_access_tokens,
    forget_seller,
    revoke_access,
    seed_seller,
    seller_view,
)
from stoflow_sandbox.marketplaces.etsy.state import Listing, Seller
from stoflow_sandbox.marketplaces.etsy.views import associated_view
from stoflow_sandbox.marketplaces.etsy.webhooks import WebhookSender

_LIMIT_FIELDS = ("per_second", "per_day", "retry_after_seconds", "is_header_truncated")


class EtsyControlRoutes:
    """Control calls about sellers, limits and what sellers have."""

    def __init__(self, marketplace: EtsyMarketplace, webhooks: WebhookSender) -> None:
        self._marketplace = marketplace
        self._world = marketplace.world
        self._orders = OrderRoutes(marketplace, webhooks)

    def routes(self) -> list[Route]:
        one = "/_sandbox/sellers/{username}"
        return [
            Route("/_sandbox/sellers", self.seed, methods=["POST"]),
            Route(one, self.get_seller, methods=["GET"]),
            Route(one, self.forget, methods=["DELETE"]),
            Route(f"{one}/consent", self.consent, methods=["POST"]),
            Route(f"{one}/revoke", self.revoke, methods=["POST"]),
            Route(f"{one}/expire_access_tokens", self.expire, methods=["POST"]),
            Route(f"{one}/images/{{image_id:int}}/rank", self.move_image, methods=["POST"]),
            Route("/_sandbox/limits", self.limit, methods=["POST"]),
            Route("/_sandbox/state", self.get_state, methods=["GET"]),
            Route("/_sandbox/listings/{listing_id:int}", self.get_listing, methods=["GET"]),
            *self._orders.routes(),
        ]

    def _seller(self, username: str) -> Seller:
        try:
            return self._world.sellers[username]
        except KeyError:
            raise ControlError(404, [f"no seller {username}"]) from None

    async def seed(self, request: Request) -> Response:
        try:
            seller = seed_seller(self._world, await read_object(request), self._marketplace.clock.now())
        except SeedError as error:
            raise ControlError(400, error.violations) from error
        self._marketplace.keep(seller)
        return JSONResponse(seller_view(self._world, seller), 201)

    async def get_seller(self, request: Request) -> Response:
        return JSONResponse(seller_view(self._world, self._seller(request.path_params["username"])))

    async def forget(self, request: Request) -> Response:
        username = self._seller(request.path_params["username"]).username
        forget_seller(self._world, username)
        self._marketplace.limits.forget_seller(username)
        self._marketplace.store.forget(username)
        return Response(status_code=204)

    async def consent(self, request: Request) -> Response:
        seller = self._seller(request.path_params["username"])
        query = dict(parse_qsl(urlsplit(str((await read_object(request)).get("url"))).query))
        try:
            redirect = answer(self._world, query, seller, self._marketplace.clock.now())
        except ConsentError as error:
            raise ControlError(400, error.violations) from error
        return JSONResponse({"redirect_url": redirect}, 201)

    async def revoke(self, request: Request) -> Response:
        seller = self._seller(request.path_params["username"])
        revoke_access(self._world, seller)
        self._marketplace.keep(seller)
        return Response(status_code=204)

    async def expire(self, request: Request) -> Response:
        drop_access_tokens(self._world, self._seller(request.path_params["username"]))
        return Response(status_code=204)

    async def move_image(self, request: Request) -> Response:
        seller = self._seller(request.path_params["username"])
        image_id, rank = request.path_params["image_id"], (await read_object(request)).get("rank")
        listing = next((one for one in seller.listings.values() if image_id in one.image_ids), None)
        if listing is None:
            raise ControlError(404, [f"no listing shows image {image_id}"])
        if not isinstance(rank, int) or not 1 <= rank <= len(listing.image_ids):
            raise ControlError(400, [f"rank: expected 1 to {len(listing.image_ids)}"])
        listing.image_ids.remove(image_id)
        listing.image_ids.insert(rank - 1, image_id)
        self._marketplace.keep(seller)
        return Response(status_code=204)

    async def limit(self, request: Request) -> Response:
        body = await read_object(request)
        limits = self._marketplace.limits
        violations = [
            f"{name}: unknown field"
            for name in body.keys() - {"client_id", "seller", "used_today", *_LIMIT_FIELDS}
        ]
        violations += [
            f"{name}: expected an integer that is not negative"
            for name in ("per_second", "per_day", "used_today", "retry_after_seconds")
            if name in body and not (isinstance(body[name], int) and body[name] >= 0)
        ]
        if violations or ("client_id" in body) == ("seller" in body):
            raise ControlError(400, violations or ["give either client_id or seller"])
        limit = (
            limits.of_app(body["client_id"])
            if "client_id" in body
            else limits.of_seller(self._seller(body["seller"]).username)
        )
        for name in _LIMIT_FIELDS:
            if name in body:
                setattr(limit, name, body[name])
        if "used_today" in body:
            limit.use(body["used_today"], self._marketplace.clock.now())
        return Response(status_code=204)

    async def get_state(self, request: Request) -> Response:
        self._marketplace.settle(self._marketplace.clock.now())
        wanted = request.query_params.get("seller")
        sellers = [self._seller(wanted)] if wanted else list(self._world.sellers.values())
        base_url = str(request.base_url).rstrip("/")
        return JSONResponse({"sellers": {one.username: seller_state(one, base_url) for one in sellers}})

    async def get_listing(self, request: Request) -> Response:
        self._marketplace.settle(self._marketplace.clock.now())
        listing_id = request.path_params["listing_id"]
        found = self._world.find_listing(listing_id)
        if found is None:
            raise ControlError(404, [f"no listing {listing_id}"])
        seller, listing = found
        base_url = str(request.base_url).rstrip("/")
        return JSONResponse(listing_state(seller, listing, base_url) | {"seller": seller.username})


def seller_state(seller: Seller, base_url: str) -> dict[str, Any]:
    return {
        "listings": {
            str(key): listing_state(seller, listing, base_url) for key, listing in seller.listings.items()
        },
        "images": {str(key): asdict(image) for key, image in seller.images.items()},
        "receipts": {
            str(key): receipt_view(seller, receipt) | {"is_phantom": receipt.is_phantom}
            for key, receipt in seller.receipts.items()
        },
        "created": seller.created,
    }


def listing_state(seller: Seller, listing: Listing, base_url: str) -> dict[str, Any]:
    """Return all there is about a listing; `digests` are the SHA-256 of its pictures, in order."""
    view = associated_view(seller, listing, ["Images", "Inventory", "Shipping"], base_url)
    return view | {
        "digests": [seller.images[image_id].digest for image_id in listing.image_ids],
        "properties": listing.properties,
        "fees": listing.fees,
    }
