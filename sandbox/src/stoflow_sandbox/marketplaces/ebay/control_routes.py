"""eBay's own control calls, beside those that every marketplace sandbox has.

| call | what it does |
|---|---|
| POST /_sandbox/sellers | makes or renews a seller (fields: `sellers.SEED`), answers its view |
| GET, DELETE /_sandbox/sellers/{username} | shows it; removes it with everything it has |
| POST /_sandbox/sellers/{username}/authorization_codes | answers a {"code"}, as after consent to {"scopes"} |
| POST /_sandbox/sellers/{username}/revoke | withdraws consent: no token works any more |
| POST /_sandbox/sellers/{username}/expire_access_tokens | ends the access tokens, not the refresh tokens |
| POST /_sandbox/sellers/{username}/orders | lets a buyer buy; see `order_control` |
| POST /_sandbox/sellers/{username}/orders/{order_id} | lets its payment, shipping or cancellation go on |
| GET /_sandbox/state?seller= | items, offers, listings, images and the numbers ever created, by seller |
| GET /_sandbox/listings/{listing_id} | one listing as buyers see it |
"""

import secrets
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.control_routes import ControlError, read_object
from stoflow_sandbox.marketplaces.ebay.items import item_view
from stoflow_sandbox.marketplaces.ebay.marketplace import EbayMarketplace
from stoflow_sandbox.marketplaces.ebay.oauth import CODE_SECONDS, USER_SCOPES
from stoflow_sandbox.marketplaces.ebay.offers import offer_view
from stoflow_sandbox.marketplaces.ebay.sellers import SeedError, forget_seller, seed_seller, seller_view
from stoflow_sandbox.marketplaces.ebay.state import Code, Listing, Seller


class EbayControlRoutes:
    """Control calls about sellers and what they have."""

    def __init__(self, marketplace: EbayMarketplace) -> None:
        self._marketplace = marketplace
        self._world = marketplace.world

    def routes(self) -> list[Route]:
        one = "/_sandbox/sellers/{username}"
        return [
            Route("/_sandbox/sellers", self.seed, methods=["POST"]),
            Route(one, self.get_seller, methods=["GET"]),
            Route(one, self.forget, methods=["DELETE"]),
            Route(f"{one}/authorization_codes", self.make_code, methods=["POST"]),
            Route(f"{one}/revoke", self.revoke, methods=["POST"]),
            Route(f"{one}/expire_access_tokens", self.expire, methods=["POST"]),
            Route("/_sandbox/state", self.get_state, methods=["GET"]),
            Route("/_sandbox/listings/{listing_id}", self.get_listing, methods=["GET"]),
        ]

    def _seller(self, username: str) -> Seller:
        try:
            return self._world.sellers[username]
        except KeyError:
            raise ControlError(404, [f"no seller {username}"]) from None

    async def seed(self, request: Request) -> Response:
        try:
            seller = seed_seller(self._world, await read_object(request))
        except SeedError as error:
            raise ControlError(400, error.violations) from error
        self._marketplace.store.save(self._world, seller)
        return JSONResponse(seller_view(seller), 201)

    async def get_seller(self, request: Request) -> Response:
        return JSONResponse(seller_view(self._seller(request.path_params["username"])))

    async def forget(self, request: Request) -> Response:
        username = self._seller(request.path_params["username"]).username
        forget_seller(self._world, username)
        self._marketplace.store.forget(username)
        return Response(status_code=204)

    async def make_code(self, request: Request) -> Response:
        seller = self._seller(request.path_params["username"])
        scopes = (await read_object(request)).get("scopes", USER_SCOPES)
        code = f"v^1.1#i^1#{secrets.token_urlsafe(24)}"
        expires = self._marketplace.clock.now() + CODE_SECONDS
        self._world.codes[code] = Code(seller.username, list(scopes), None, expires)
        return JSONResponse({"code": code}, 201)

    async def revoke(self, request: Request) -> Response:
        seller = self._seller(request.path_params["username"])
        seller.refresh_tokens.clear()
        self._drop_access_tokens(seller)
        self._marketplace.store.save(self._world, seller)
        return Response(status_code=204)

    async def expire(self, request: Request) -> Response:
        self._drop_access_tokens(self._seller(request.path_params["username"]))
        return Response(status_code=204)

    def _drop_access_tokens(self, seller: Seller) -> None:
        tokens = self._world.tokens
        for key in [key for key, token in tokens.items() if token.username == seller.username]:
            del tokens[key]

    async def get_state(self, request: Request) -> Response:
        wanted = request.query_params.get("seller")
        sellers = [self._seller(wanted)] if wanted else list(self._world.sellers.values())
        return JSONResponse({"sellers": {seller.username: seller_state(seller) for seller in sellers}})

    async def get_listing(self, request: Request) -> Response:
        listing_id = request.path_params["listing_id"]
        found = self._world.find_listing(listing_id)
        if found is None:
            raise ControlError(404, [f"no listing {listing_id}"])
        seller, listing = found
        base_url = str(request.base_url).rstrip("/")
        return JSONResponse(listing_view(seller, listing) | {"url": f"{base_url}/itm/{listing_id}"})


def seller_state(seller: Seller) -> dict[str, Any]:
    return {
        "user_id": seller.user_id,
        "items": {sku: item_view(seller, sku, item) for sku, item in seller.items.items()},
        "offers": {offer_id: offer_view(seller, offer) for offer_id, offer in seller.offers.items()},
        "listings": {key: listing_view(seller, listing) for key, listing in seller.listings.items()},
        "images": {image_id: asdict(image) for image_id, image in seller.images.items()},
        "locations": seller.locations,
        "orders": {order_id: asdict(order) for order_id, order in seller.orders.items()},
        "created": seller.created,
    }


def listing_view(seller: Seller, listing: Listing) -> dict[str, Any]:
    return {
        "listingId": listing.listing_id,
        "seller": seller.username,
        "offerId": listing.offer_id,
        "sku": listing.sku,
        "marketplaceId": listing.marketplace_id,
        "status": listing.status,
        "startTime": listing.start_time,
        "endTime": listing.end_time,
        **listing.shown,
    }
