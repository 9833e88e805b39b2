"""Control calls by which buyers buy and change their minds.

| call | what it does |
|---|---|
| POST /_sandbox/sellers/{username}/orders | {"listing_id", "quantity": 1, "buyer", "payment": "PAID"}: buys |
| POST /_sandbox/sellers/{username}/orders/{order_id} | goes on with what the body names |

The body of the second may set `payment` and `fulfillment` to states of the API, and `cancellation` to REQUESTED,
COMPLETED or REJECTED; `counts_as_change: false` leaves lastModifiedDate of a cancelled order as it was. Both answer
the order as getOrder would show it.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoflow_sandbox.marketplaces.control_routes import ControlError
from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.marketplace import EbayMarketplace
from stoflow_sandbox.marketplaces.ebay.orders import (
    OrderError,
    cancel_order,
    change_order,
    order_view,
    place_order,
)
from stoflow_sandbox.marketplaces.ebay.platform_control import read_fields
from stoflow_sandbox.marketplaces.ebay.shapes import one_of
from stoflow_sandbox.marketplaces.ebay.state import Order, Seller

_PAYMENTS = one_of("FAILED", "FULLY_REFUNDED", "PAID", "PARTIALLY_REFUNDED", "PENDING")
_PURCHASE: dict[str, Any] = {"listing_id": str, "quantity": int, "buyer": str, "payment": _PAYMENTS}
_CHANGE: dict[str, Any] = {
    "payment": _PAYMENTS,
    "fulfillment": one_of("FULFILLED", "IN_PROGRESS", "NOT_STARTED"),
    "cancellation": one_of("COMPLETED", "REJECTED", "REQUESTED"),
    "counts_as_change": bool,
}


class OrderControlRoutes:
    """What buyers do."""

    def __init__(self, marketplace: EbayMarketplace) -> None:
        self._marketplace = marketplace

    def routes(self) -> list[Route]:
        base = "/_sandbox/sellers/{username}/orders"
        return [
            Route(base, self.place, methods=["POST"]),
            Route(f"{base}/{{order_id}}", self.change, methods=["POST"]),
        ]

    async def place(self, request: Request) -> Response:
        seller, context = self._subject(request)
        asked = await read_fields(request, _PURCHASE)
        try:
            order, _ = place_order(
                seller,
                asked.get("listing_id", ""),
                asked.get("quantity", 1),
                asked.get("buyer", "a-buyer"),
                asked.get("payment", "PAID"),
                context,
            )
        except OrderError as error:
            raise ControlError(409, [str(error)]) from error
        return self._answer(seller, order, 201)

    async def change(self, request: Request) -> Response:
        seller, context = self._subject(request)
        order = seller.orders.get(request.path_params["order_id"])
        if order is None:
            raise ControlError(404, [f"no order {request.path_params['order_id']}"])
        asked = await read_fields(request, _CHANGE)
        if "cancellation" in asked:
            counts = asked.get("counts_as_change", True)
            cancel_order(order, asked["cancellation"], counts_as_change=counts, context=context)
        if "payment" in asked or "fulfillment" in asked:
            change_order(
                order, payment=asked.get("payment"), fulfillment=asked.get("fulfillment"), context=context
            )
        return self._answer(seller, order, 200)

    def _subject(self, request: Request) -> tuple[Seller, Context]:
        username = request.path_params["username"]
        seller = self._marketplace.world.sellers.get(username)
        if seller is None:
            raise ControlError(404, [f"no seller {username}"])
        world = self._marketplace.world
        return seller, Context(self._marketplace.clock.now(), world.ids, str(request.base_url).rstrip("/"))

    def _answer(self, seller: Seller, order: Order, status: int) -> Response:
        self._marketplace.store.save(self._marketplace.world, seller)
        view = order_view(seller, order, is_listed=False)
        return JSONResponse(view, status)
