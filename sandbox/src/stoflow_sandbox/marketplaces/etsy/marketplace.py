"""Obeys a call from end to end: key, limits, token, scope, rule, and keeping what changed."""

from typing import Any

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.etsy.activation import expire_listings
from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.errors import refuse
from stoflow_sandbox.marketplaces.etsy.forms import read_upload
from stoflow_sandbox.marketplaces.etsy.images import add_image
from stoflow_sandbox.marketplaces.etsy.limits import RateLimiter
from stoflow_sandbox.marketplaces.etsy.oauth import find_app, find_token, issue_token, refuse_token
from stoflow_sandbox.marketplaces.etsy.pictures import PictureError, read_picture
from stoflow_sandbox.marketplaces.etsy.requests import RefusedError, Request
from stoflow_sandbox.marketplaces.etsy.routes import Operation, find_operation
from stoflow_sandbox.marketplaces.etsy.state import Seller, World
from stoflow_sandbox.marketplaces.etsy.store import Store
from stoflow_sandbox.marketplaces.exchange import Call, Reply, Subject

TOKEN_PATH = "/v3/public/oauth/token"  # noqa: S105 - a path


class EtsyMarketplace:
    """Etsy, as far as it is modelled."""

    def __init__(self, world: World, store: Store, clock: Clock) -> None:
        self.world = world
        self.store = store
        self.clock = clock
        self.limits = RateLimiter()
        self._settled_offset = clock.offset_seconds

    def identify(self, call: Call) -> Subject:
        if call.path == TOKEN_PATH:
            return Subject("token", self._seller_of_grant(call))
        found = find_operation(call.method, call.path)
        token = find_token(self.world, call)
        username = token.username if token is not None else None
        if found is None:
            return Subject("unknown", username)
        operation, path = found
        return Subject(operation.name, username, self._sku(call, path, username))

    def _seller_of_grant(self, call: Call) -> str | None:
        authorization = self.world.codes.get(call.form.get("code", ""))
        if authorization is not None:
            return authorization.username
        presented = call.form.get("refresh_token")
        sellers = self.world.sellers.values()
        return next((one.username for one in sellers if presented in one.grants), None)

    def _sku(self, call: Call, path: dict[str, str], username: str | None) -> str | None:
        """Return the SKU of the listing in the path, or the one that an inventory is about to give it."""
        seller = self.world.sellers.get(username or "")
        listing_id = path.get("listing_id", "")
        listing = seller.listings.get(int(listing_id)) if seller and listing_id.isdecimal() else None
        if listing is not None and listing.sku is not None:
            return listing.sku
        products = call.json.get("products") if isinstance(call.json, dict) else None
        first = products[0] if isinstance(products, list) and products else None
        sku = first.get("sku") if isinstance(first, dict) else None
        return sku if isinstance(sku, str) else None

    async def respond(self, call: Call) -> Reply:
        now = self.clock.now()
        self.settle(now)
        if call.path == TOKEN_PATH and call.method == "POST":
            reply = issue_token(self.world, call, now)
            for effect in reply.effects:
                self.keep(self.world.sellers[effect.id])
            return reply
        app = find_app(self.world, call)
        if isinstance(app, Reply):
            return app
        token = find_token(self.world, call)
        refused, headers = self.limits.admit(app.client_id, token.username if token else None, now)
        if refused is not None:
            refused.headers |= headers
            return refused
        found = find_operation(call.method, call.path)
        if found is None:
            reply = refuse(404, "Resource not found.")
        else:
            operation, path = found
            context = Context(now, self.world.ids, call.base_url)
            reply = await self._obey(operation, Request(call, path, self.world, app, token, context))
        reply.headers |= headers
        return reply

    async def _obey(self, operation: Operation, request: Request) -> Reply:
        # With the key alone a public operation answers too, but a token that is shown must be good.
        if operation.scopes or "authorization" in request.call.headers:
            refused = refuse_token(request.token, request.app, operation.scopes, request.context.now)
            if refused is not None:
                return refused
        try:
            reply = await self._upload(request) if operation.rule is None else operation.rule(request)
        except RefusedError as error:
            return error.reply
        if reply.effects:
            self.keep(request.caller)
        return reply

    async def _upload(self, request: Request) -> Reply:
        listing = request.own_listing
        upload = await read_upload(request.call)
        if upload is None:
            return refuse(400, "Expected multipart/form-data.")
        picture = None
        if upload.image is not None:
            try:
                picture = read_picture(upload.image)
            except PictureError as error:
                return refuse(400, str(error))
            self.store.save_picture(picture)
        return add_image(request.own_shop, listing, upload, picture, request.context)

    def keep(self, seller: Seller) -> None:
        """Make a change to a seller last, and everything that is new findable."""
        self.world.index(seller)
        self.store.save(self.world, seller)

    def settle(self, now: float) -> None:
        """Let listings expire; looked at only after the clock was moved, since they run four months."""
        if self.clock.offset_seconds == self._settled_offset:
            return
        self._settled_offset = self.clock.offset_seconds
        for seller in self.world.sellers.values():
            if expire_listings(seller, now):
                self.keep(seller)

    def fault_content(self, status: int, path: str) -> Any:
        """Return Etsy's body for an injected status."""
        if path == TOKEN_PATH:
            return {"error": "server_error", "error_description": "injected"}
        if status == 429:
            return {"error": "Exceeded per second rate limit"}
        return {"error": "Server Error" if status >= 500 else "injected"}
