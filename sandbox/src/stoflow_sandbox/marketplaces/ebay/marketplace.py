"""Obeys a call from end to end: token, scope, headers, rule, and keeping what changed."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from stoflow_sandbox.marketplaces.clock import Clock
from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.errors import ebay_error, refuse, system_error_id
from stoflow_sandbox.marketplaces.ebay.headers import header_problems
from stoflow_sandbox.marketplaces.ebay.images import create_image, is_over_media_rate
from stoflow_sandbox.marketplaces.ebay.notifications import Notary
from stoflow_sandbox.marketplaces.ebay.oauth import find_token, issue_token, refuse_token
from stoflow_sandbox.marketplaces.ebay.pictures import SIZE_LIMIT_BYTES, PictureError, read_picture
from stoflow_sandbox.marketplaces.ebay.quotas import Quotas
from stoflow_sandbox.marketplaces.ebay.routes import (
    Operation,
    PublicRequest,
    Request,
    find_operation,
    not_found,
)
from stoflow_sandbox.marketplaces.ebay.state import Seller, World
from stoflow_sandbox.marketplaces.ebay.store import Store
from stoflow_sandbox.marketplaces.exchange import Call, Reply, Subject

logger = logging.getLogger(__name__)

TOKEN_PATH = "/identity/v1/oauth2/token"  # noqa: S105 - a path
FETCH_TIMEOUT_SECONDS = 10


class EbayMarketplace:
    """eBay, as far as it is modelled."""

    def __init__(self, world: World, store: Store, clock: Clock, *, allow_http_image_urls: bool) -> None:
        self.world = world
        self.store = store
        self.clock = clock
        self._allow_http_image_urls = allow_http_image_urls
        self.quotas = Quotas()
        self.notary = Notary()

    def identify(self, call: Call) -> Subject:
        if call.path == TOKEN_PATH:
            return Subject("token", self._refreshing_seller(call))
        found = find_operation(call.method, call.path)
        token = find_token(self.world, call)
        username = token.username if token is not None else None
        if found is None:
            return Subject("unknown", username)
        operation, path = found
        return Subject(operation.name, username, self._sku(call, path, username))

    def _refreshing_seller(self, call: Call) -> str | None:
        presented = call.form.get("refresh_token")
        sellers = self.world.sellers.values()
        return next((one.username for one in sellers if presented in one.refresh_tokens), None)

    def _sku(self, call: Call, path: dict[str, str], username: str | None) -> str | None:
        if "sku" in path:
            return path["sku"]
        seller = self.world.sellers.get(username or "")
        if "offerId" in path and seller is not None:
            offer = seller.offers.get(path["offerId"])
            return offer.sku if offer is not None else None
        if "sku" in call.parameters:
            return call.parameters["sku"]
        body = call.json if isinstance(call.json, dict) else {}
        requests = body.get("requests")
        if isinstance(requests, list) and requests and isinstance(requests[0], dict):
            body = requests[0]
        return body["sku"] if isinstance(body.get("sku"), str) else None

    async def respond(self, call: Call) -> Reply:
        now = self.clock.now()
        if call.path == TOKEN_PATH and call.method == "POST":
            reply = issue_token(self.world, call, now)
            self._keep(reply, None)
            return reply
        found = find_operation(call.method, call.path)
        if found is None:
            return not_found(call)
        operation, path = found
        token = find_token(self.world, call)
        if refused := refuse_token(token, operation.scopes, now, call.path):
            return refused
        if token and not self.quotas.take(token.client_id, token.username, call.path, now):
            return refuse(429, ebay_error(2001))
        if operation.public_rule is not None:
            client_id = token.client_id if token else ""
            request = PublicRequest(call, path, client_id, self.quotas, self.notary, now)
            return operation.public_rule(request)
        seller = self.world.sellers.get((token.username if token else None) or "")
        if seller is None:
            # An application's own token has no seller to act for.
            return refuse(403, ebay_error(1100))
        reply = await self._obey(operation, call, path, seller, now)
        self._keep(reply, seller)
        return reply

    async def _obey(
        self, operation: Operation, call: Call, path: dict[str, str], seller: Seller, now: float
    ) -> Reply:
        context = Context(now, self.world.ids, call.base_url)
        if operation.seller_rule is None:
            return await self._create_image(operation, call, seller, context)
        if operation.template.startswith("/sell/inventory/"):
            problems = header_problems(
                call, needs_content_language=operation.needs_content_language, has_body=operation.has_body
            )
            if problems:
                return refuse(400, *problems)
        return operation.seller_rule(Request(call, path, seller, context, self.quotas))

    def _keep(self, reply: Reply, seller: Seller | None) -> None:
        for effect in reply.effects:
            if seller is not None and effect.kind == "listing.created":
                self.world.listing_sellers[effect.id] = seller.username
            if effect.kind == "token.created" and "refresh_token" in reply.content:
                seller = self.world.sellers[effect.id]
        if reply.effects and seller is not None:
            self.store.save(self.world, seller)

    async def _create_image(
        self, operation: Operation, call: Call, seller: Seller, context: Context
    ) -> Reply:
        if is_over_media_rate(seller, context.now):
            return refuse(429, ebay_error(2001))
        is_file = operation.name == "createImageFromFile"
        content = await read_upload(call) if is_file else await self._fetch(call)
        if content is None:
            return refuse(400, ebay_error(190203 if is_file else 190204))
        try:
            picture = read_picture(content)
        except PictureError as error:
            return refuse(400, ebay_error(error.error_id))
        reply = create_image(seller, picture, context)
        image = seller.images[reply.effects[0].id]
        self.world.image_sellers[image.token] = seller.username
        self.store.save_picture(picture)
        return reply

    async def _fetch(self, call: Call) -> bytes | None:
        """Return what stands at the address in the body, or None; only https is allowed."""
        url = call.json.get("imageUrl") if isinstance(call.json, dict) else None
        schemes = ("https://", "http://") if self._allow_http_image_urls else ("https://",)
        if not isinstance(url, str) or not url.startswith(schemes):
            return None
        content = b""
        try:
            async with (
                httpx.AsyncClient(timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=True) as client,
                client.stream("GET", url) as response,
            ):
                if response.status_code != 200:
                    return None
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > SIZE_LIMIT_BYTES:
                        break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            logger.info("cannot download %s: %s", url, error)
            return None
        return content

    def fault_content(self, status: int, path: str) -> Any:
        """Return eBay's body for an injected status: 2001 for 429, else the API's system error."""
        if path == TOKEN_PATH:
            code = "temporarily_unavailable" if status == 503 else "server_error"
            return {"error": code, "error_description": "injected"}
        return refuse(status, ebay_error(2001 if status == 429 else system_error_id(path))).content


async def read_upload(call: Call) -> bytes | None:
    """Return the content of the part named image of a multipart body, or None when there is none."""
    if call.media_type != "multipart/form-data":
        return None

    async def chunks() -> AsyncIterator[bytes]:
        yield call.body
        yield b""

    try:
        form = await MultiPartParser(Headers(dict(call.headers)), chunks()).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError):
        # Told to the client as an unsupported file, as eBay does.
        return None
    part = form.get("image")
    content = await part.read() if isinstance(part, UploadFile) else None
    await form.close()
    return content
