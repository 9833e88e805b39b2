"""Control calls about orders, and the webhooks that they cause."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.control_routes import ControlError, read_object
from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.marketplace import EtsyMarketplace
from stoflow_sandbox.marketplaces.etsy.orders import (
    OrderError,
    cancel_order,
    place_order,
    refund_order,
    ship_order,
)
from stoflow_sandbox.marketplaces.etsy.state import Receipt, Seller
from stoflow_sandbox.marketplaces.etsy.webhooks import WebhookSender


class OrderRoutes:
    """Orders as buyers and seller make them on the site, and what webhooks came of it."""

    def __init__(self, marketplace: EtsyMarketplace, webhooks: WebhookSender) -> None:
        self._marketplace = marketplace
        self._world = marketplace.world
        self._webhooks = webhooks

    def routes(self) -> list[Route]:
        orders = "/_sandbox/sellers/{username}/orders"
        return [
            Route(orders, self.place, methods=["POST"]),
            Route(f"{orders}/{{receipt_id:int}}/cancel", self.cancel, methods=["POST"]),
            Route(f"{orders}/{{receipt_id:int}}/refund", self.refund, methods=["POST"]),
            Route(f"{orders}/{{receipt_id:int}}/ship", self.ship, methods=["POST"]),
            Route("/_sandbox/webhooks", self.list_webhooks, methods=["GET"]),
            Route("/_sandbox/webhooks/{id}/repeat", self.repeat, methods=["POST"]),
        ]

    def _seller(self, request: Request) -> Seller:
        username = request.path_params["username"]
        try:
            return self._world.sellers[username]
        except KeyError:
            raise ControlError(404, [f"no seller {username}"]) from None

    def _context(self, request: Request) -> Context:
        base_url = str(request.base_url).rstrip("/")
        return Context(self._marketplace.clock.now(), self._world.ids, base_url)

    async def place(self, request: Request) -> Response:
        seller, body = self._seller(request), await read_object(request)
        options = {name: body[name] for name in ("is_paid", "is_phantom") if name in body}
        try:
            receipt = place_order(seller, body.get("lines") or [], self._context(request), **options)
        except OrderError as error:
            raise ControlError(400, error.violations) from error
        self._marketplace.keep(seller)
        if receipt.is_paid and not receipt.is_phantom:
            self._announce(request, seller, receipt, "order.paid")
        return JSONResponse({"receipt_id": receipt.receipt_id}, 201)

    async def cancel(self, request: Request) -> Response:
        def change(seller: Seller, receipt: Receipt, body: dict[str, Any], context: Context) -> None:
            restock = body.get("restock", True)
            cancel_order(seller, receipt, context, touch=body.get("touch", True), restock=restock)

        return await self._change(request, change, "order.canceled")

    async def refund(self, request: Request) -> Response:
        def change(_: Seller, receipt: Receipt, body: dict[str, Any], context: Context) -> None:
            refund_order(receipt, body.get("amount_minor"), context, touch=body.get("touch", True))

        return await self._change(request, change, None)

    async def ship(self, request: Request) -> Response:
        def change(_: Seller, receipt: Receipt, body: dict[str, Any], context: Context) -> None:
            ship_order(receipt, context, touch=body.get("touch", True))

        return await self._change(request, change, "order.shipped")

    async def _change(
        self,
        request: Request,
        change: Callable[[Seller, Receipt, dict[str, Any], Context], None],
        event: str | None,
    ) -> Response:
        seller, body = self._seller(request), await read_object(request)
        receipt = seller.receipts.get(request.path_params["receipt_id"])
        if receipt is None:
            raise ControlError(404, [f"no receipt {request.path_params['receipt_id']}"])
        try:
            change(seller, receipt, body, self._context(request))
        except OrderError as error:
            raise ControlError(409, error.violations) from error
        self._marketplace.keep(seller)
        if event is not None:
            self._announce(request, seller, receipt, event)
        return Response(status_code=204)

    def _announce(self, request: Request, seller: Seller, receipt: Receipt, event: str) -> None:
        base_url = str(request.base_url).rstrip("/")
        resource = f"{base_url}/v3/application/shops/{seller.shop_id}/receipts/{receipt.receipt_id}"
        self._webhooks.announce(self._world.apps[seller.client_id], event, seller.shop_id, resource)

    async def list_webhooks(self, _: Request) -> Response:
        return JSONResponse({"webhooks": [one.view() for one in self._webhooks.deliveries.values()]})

    async def repeat(self, request: Request) -> Response:
        delivery = self._webhooks.deliveries.get(request.path_params["id"])
        if delivery is None:
            raise ControlError(404, [f"no webhook {request.path_params['id']}"])
        app = next((one for one in self._world.apps.values() if one.webhook_url == delivery.url), None)
        if app is None:
            raise ControlError(409, [f"no application has the endpoint {delivery.url}"])
        is_forged = bool((await read_object(request)).get("is_forged"))
        return JSONResponse({"status": await self._webhooks.repeat(app, delivery, is_forged=is_forged)})
