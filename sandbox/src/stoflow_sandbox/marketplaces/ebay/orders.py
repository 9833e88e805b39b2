"""Orders: how buyers make them, and what getOrders and getOrder show of them.

The traps of the live API are kept: `offset` counts records and not pages; with `creationdate` in the filter
`lastmodifieddate` is ignored; without either the last 90 days are meant; `cancelRequests` is empty in lists.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from stoflow_sandbox.marketplaces.ebay.context import Context
from stoflow_sandbox.marketplaces.ebay.errors import EbayError, ebay_error, refuse
from stoflow_sandbox.marketplaces.ebay.items import with_quantity
from stoflow_sandbox.marketplaces.ebay.listings import revise_listing
from stoflow_sandbox.marketplaces.ebay.publication import available_quantity
from stoflow_sandbox.marketplaces.ebay.state import Order, Seller
from stoflow_sandbox.marketplaces.exchange import Call, Effect, Reply

DAY_SECONDS = 86_400
DEFAULT_WINDOW_SECONDS = 90 * DAY_SECONDS
OLDEST_SECONDS = 2 * 365 * DAY_SECONDS
HIGHEST_LIMIT = 200
# A client's clock may be a little ahead of eBay's.
CLOCK_TOLERANCE_SECONDS = 60
_CRITERION = re.compile(r"(\w+):(\[[^\]]*\]|\{[^}]*\})(?:,|$)")
_PERIOD = re.compile(r"\[([^.\]]+(?:\.\d+)?Z)\.\.([^\]]*)\]")


class OrderError(ValueError):
    """A purchase that cannot be made."""


def place_order(
    seller: Seller, listing_id: str, quantity: int, buyer: str, payment: str, context: Context
) -> tuple[Order, list[Effect]]:
    """Let a buyer buy from a live listing: stock goes down, and a listing without stock ends or is hidden."""
    listing = seller.listings.get(listing_id)
    if listing is None or listing.status != "ACTIVE":
        raise OrderError(f"listing {listing_id} is not for sale")
    offer = seller.offers[listing.offer_id]
    item = seller.items[listing.sku]
    if not 1 <= quantity <= available_quantity(item, offer):
        raise OrderError(f"{quantity} pieces of listing {listing_id} cannot be had")
    price = listing.shown["price"]
    number = context.ids.next("order")
    line = {
        "lineItemId": context.ids.next("order line"),
        "legacyItemId": listing_id,
        "sku": listing.sku,
        "title": listing.shown["title"] or "",
        "quantity": quantity,
        "unit": price["value"],
        "status": "NOT_STARTED",
    }
    order = Order(
        order_id=f"{number[:2]}-{number[2:7]}-{number[7:].zfill(5)}",
        buyer=buyer,
        marketplace_id=listing.marketplace_id,
        currency=price["currency"],
        creation_time=context.now,
        modified_time=context.now,
        lines=[line],
        payment=payment,
    )
    seller.orders[order.order_id] = order
    effects = [Effect("order.placed", order.order_id, listing.sku)]
    left = item.fields["availability"]["shipToLocationAvailability"]["quantity"] - quantity
    seller.items[listing.sku] = with_quantity(item, {"quantity": left})
    if "availableQuantity" in offer.fields:
        offer.fields["availableQuantity"] -= quantity
    for one in seller.offers_of(listing.sku):
        effects += revise_listing(seller, seller.items[listing.sku], one, context)
    return order, effects


def cancel_order(order: Order, state: str, *, counts_as_change: bool, context: Context) -> Effect:
    """Let the buyer ask for a cancellation (REQUESTED), or let it be done (COMPLETED) or REJECTED.

    `counts_as_change` false leaves lastModifiedDate as it was, as marketplaces are known to.
    """
    request = order.cancellation or {
        "cancelRequestId": context.ids.next("cancellation"),
        "cancelInitiator": "Buyer",
        "cancelReason": "ORDER_MISTAKE",
        "cancelRequestedDate": stamp(context.now),
    }
    order.cancellation = request | {"cancelRequestState": state}
    if state == "COMPLETED":
        order.cancellation["cancelCompletedDate"] = stamp(context.now)
        order.payment = "FULLY_REFUNDED" if order.payment == "PAID" else order.payment
    if counts_as_change:
        order.modified_time = context.now
    return Effect("order.cancelled", order.order_id)


def change_order(order: Order, *, payment: str | None, fulfillment: str | None, context: Context) -> Effect:
    """Let payment or shipping go on."""
    order.payment = payment or order.payment
    order.fulfillment = fulfillment or order.fulfillment
    for line in order.lines:
        line["status"] = order.fulfillment
    order.modified_time = context.now
    return Effect("order.changed", order.order_id)


def sold_quantity(seller: Seller, listing_id: str) -> int:
    """Return how many pieces buyers bought from a listing."""
    lines = (line for order in seller.orders.values() for line in order.lines)
    return sum(line["quantity"] for line in lines if line["legacyItemId"] == listing_id)


def get_order(seller: Seller, order_id: str) -> Reply:
    if not re.fullmatch(r"[\w-]{1,50}", order_id):
        return refuse(400, ebay_error(32100, order_id))
    order = seller.orders.get(order_id)
    if order is None:
        return refuse(404, ebay_error(32100, order_id))
    return Reply(200, order_view(seller, order, is_listed=False))


def list_orders(seller: Seller, call: Call, now: float) -> Reply:
    """Answer one page of orders, oldest first; `offset` is how many records to skip."""
    parameters = call.parameters
    limit, offset = parameters.get("limit", "50"), parameters.get("offset", "0")
    problems: list[EbayError] = []
    if not limit.isdecimal() or not 1 <= int(limit) <= HIGHEST_LIMIT:
        problems.append(ebay_error(31100, limit))
    if not offset.isdecimal():
        problems.append(ebay_error(31000, offset))
    matches, wrong = read_filter(parameters.get("filter", ""), now)
    problems += wrong
    if problems:
        return refuse(400, *problems)
    skipped, most = int(offset), int(limit)
    wanted = [order for order in seller.orders.values() if matches(order)]
    shown = sorted(wanted, key=lambda order: (order.creation_time, order.order_id))[skipped : skipped + most]
    content: dict[str, Any] = {
        "href": f"{call.base_url}{call.path}?limit={most}&offset={skipped}",
        "limit": most,
        "offset": skipped,
        "total": len(wanted),
        "orders": [order_view(seller, order, is_listed=True) for order in shown],
    }
    if skipped + most < len(wanted):
        content["next"] = f"{call.base_url}{call.path}?limit={most}&offset={skipped + most}"
    return Reply(200, content)


def read_filter(text: str, now: float) -> tuple[Callable[[Order], bool], list[EbayError]]:
    """Return what a filter lets pass, and what is wrong with it."""
    criteria = dict(_CRITERION.findall(text))
    if ",".join(f"{name}:{value}" for name, value in criteria.items()) != text:
        return _everything, [ebay_error(30800, text)]
    problems = [
        ebay_error(30700, name)
        for name in criteria.keys() - {"creationdate", "lastmodifieddate", "orderfulfillmentstatus"}
    ]
    tests: list[Callable[[Order], bool]] = []
    if "creationdate" in criteria:
        start, end = _period(criteria["creationdate"], now, problems)
        tests.append(lambda order: start <= order.creation_time <= end)
    elif "lastmodifieddate" in criteria:
        start, end = _period(criteria["lastmodifieddate"], now, problems)
        tests.append(lambda order: start <= order.modified_time <= end)
    else:
        tests.append(lambda order: order.creation_time >= now - DEFAULT_WINDOW_SECONDS)
    if "orderfulfillmentstatus" in criteria:
        allowed = set(criteria["orderfulfillmentstatus"].strip("{}").split("|"))
        if allowed not in ({"NOT_STARTED", "IN_PROGRESS"}, {"FULFILLED", "IN_PROGRESS"}):
            problems.append(ebay_error(30800, criteria["orderfulfillmentstatus"]))
        tests.append(lambda order: order.fulfillment in allowed)
    return lambda order: all(test(order) for test in tests), problems


def _everything(_: Order) -> bool:
    return True


def _period(text: str, now: float, problems: list[EbayError]) -> tuple[float, float]:
    match = _PERIOD.fullmatch(text)
    if match is None:
        problems.append(ebay_error(30820 if text.startswith("[..") else 30810))
        return 0.0, 0.0
    try:
        start = _seconds(match[1])
        end = _seconds(match[2]) if match[2] else now + CLOCK_TOLERANCE_SECONDS
    except ValueError:
        problems.append(ebay_error(30810))
        return 0.0, 0.0
    if max(start, end) > now + CLOCK_TOLERANCE_SECONDS:
        problems.append(ebay_error(30850))
    elif start > end:
        problems.append(ebay_error(30840))
    elif start < now - OLDEST_SECONDS:
        problems.append(ebay_error(30830))
    return start, end


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def stamp(moment: float) -> str:
    """Return a time as eBay writes it: milliseconds and a Z."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order_view(seller: Seller, order: Order, *, is_listed: bool) -> dict[str, Any]:
    """Return an order as the API shows it, in a list or by itself."""
    total = _amount(order, sum(_cost(line) for line in order.lines))
    cancellation = order.cancellation
    requests = [] if cancellation is None or is_listed else [cancellation]
    status: dict[str, Any] = {"cancelState": _cancel_state(order), "cancelRequests": requests}
    if cancellation is not None and "cancelCompletedDate" in cancellation:
        status["cancelledDate"] = cancellation["cancelCompletedDate"]
    return {
        "orderId": order.order_id,
        "creationDate": stamp(order.creation_time),
        "lastModifiedDate": stamp(order.modified_time),
        "orderFulfillmentStatus": order.fulfillment,
        "orderPaymentStatus": order.payment,
        "sellerId": seller.username,
        "buyer": _buyer_view(order.buyer),
        "pricingSummary": {"priceSubtotal": total, "deliveryCost": _amount(order, 0), "total": total},
        "totalFeeBasisAmount": total,
        "cancelStatus": status,
        "paymentSummary": {"payments": [], "refunds": [], "totalDueSeller": total},
        "fulfillmentStartInstructions": [{"fulfillmentInstructionsType": "SHIP_TO"}],
        "fulfillmentHrefs": [],
        "lineItems": [_line_view(order, line) for line in order.lines],
        "salesRecordReference": str(list(seller.orders).index(order.order_id) + 1),
    }


def _buyer_view(username: str) -> dict[str, Any]:
    """Return personal data as the API gives it: whoever keeps none of it can be seen to drop it."""
    return {
        "username": username,
        "taxAddress": {"city": "Sampletown", "postalCode": "10115", "countryCode": "DE"},
        "buyerRegistrationAddress": {
            "fullName": f"Name of {username}",
            "contactAddress": {"addressLine1": "1 Sample Street", "city": "Sampletown", "countryCode": "DE"},
        },
    }


def _line_view(order: Order, line: dict[str, Any]) -> dict[str, Any]:
    cost = _amount(order, _cost(line))
    return {
        "lineItemId": line["lineItemId"],
        "legacyItemId": line["legacyItemId"],
        "sku": line["sku"],
        "title": line["title"],
        "quantity": line["quantity"],
        "lineItemCost": cost,
        "total": cost,
        "soldFormat": "FIXED_PRICE",
        "listingMarketplaceId": order.marketplace_id,
        "purchaseMarketplaceId": order.marketplace_id,
        "lineItemFulfillmentStatus": line["status"],
        "lineItemFulfillmentInstructions": {
            "guaranteedDelivery": False,
            "minEstimatedDeliveryDate": stamp(order.creation_time + 3 * DAY_SECONDS),
            "maxEstimatedDeliveryDate": stamp(order.creation_time + 7 * DAY_SECONDS),
        },
        "deliveryCost": {"shippingCost": _amount(order, 0)},
        "properties": {"buyerProtection": True},
        "appliedPromotions": [],
        "refunds": [],
        "taxes": [],
    }


def _cancel_state(order: Order) -> str:
    if order.cancellation is None or order.cancellation["cancelRequestState"] == "REJECTED":
        return "NONE_REQUESTED"
    return "CANCELED" if order.cancellation["cancelRequestState"] == "COMPLETED" else "IN_PROGRESS"


def _cost(line: dict[str, Any]) -> Decimal:
    return Decimal(line["unit"]) * int(line["quantity"])


def _amount(order: Order, value: Decimal | int) -> dict[str, str]:
    return {"value": str(value), "currency": order.currency}
