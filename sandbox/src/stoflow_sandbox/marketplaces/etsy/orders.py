"""What buyers and the seller do on the site itself: buying, cancelling, refunding, shipping.

The live API may leave the updated time of a cancelled or refunded receipt as it was, so each of these takes
`touch`: whether the time moves.
"""

from typing import Any

from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.state import Listing, Receipt, Seller

BUYER_USER_ID = 900_000_001


class OrderError(ValueError):
    """An order that cannot be placed or changed; `violations` says everything."""

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


def place_order(
    seller: Seller,
    lines: list[dict[str, Any]],
    context: Context,
    *,
    is_paid: bool = True,
    is_phantom: bool = False,
) -> Receipt:
    """Buy [{"listing_id" or "sku", "quantity"}]; stock falls, and a listing without any is sold out.

    A phantom touches no stock: it is an order that never was.
    """
    violations: list[str] = []
    bought = [_find(seller, line, violations) for line in lines]
    if not lines:
        violations.append("lines: at least one is required")
    if violations:
        raise OrderError(violations)
    if not is_phantom:
        for listing, product, quantity in bought:
            _take_stock(listing, product, quantity, context)
    receipt = Receipt(
        receipt_id=context.ids.next("receipt"),
        status="paid" if is_paid else "payment processing",
        created_time=context.now,
        updated_time=context.now,
        buyer_user_id=BUYER_USER_ID,
        transactions=[_transaction(*line, context) for line in bought],
        is_paid=is_paid,
        is_phantom=is_phantom,
    )
    seller.receipts[receipt.receipt_id] = receipt
    return receipt


def _take_stock(listing: Listing, product: dict[str, Any], quantity: int, context: Context) -> None:
    product["offerings"][0]["quantity"] -= quantity
    if listing.quantity == 0:
        listing.state, listing.state_time = "sold_out", context.now
    listing.updated_time = context.now


def _transaction(
    listing: Listing, product: dict[str, Any], quantity: int, context: Context
) -> dict[str, Any]:
    return {
        "transaction_id": context.ids.next("transaction"),
        "listing_id": listing.listing_id,
        "product_id": product["product_id"],
        "sku": product["sku"],
        "title": listing.fields["title"],
        "quantity": quantity,
        "price_minor": product["offerings"][0]["price_minor"],
        "listing_image_id": next(iter(listing.image_ids), None),
    }


def _find(seller: Seller, line: dict[str, Any], violations: list[str]) -> tuple[Listing, dict[str, Any], int]:
    quantity = line.get("quantity", 1)
    for listing in seller.listings.values():
        for product in listing.products:
            if listing.listing_id == line.get("listing_id") or (
                line.get("sku") and product["sku"] == line["sku"]
            ):
                if listing.state != "active":
                    violations.append(f"listing {listing.listing_id} is {listing.state}")
                if not 1 <= quantity <= product["offerings"][0]["quantity"]:
                    violations.append(f"listing {listing.listing_id} has too few of {product['sku']!r}")
                return listing, product, quantity
    violations.append(f"no listing for {line}")
    return Listing(0, "", 0, 0, 0, {}, []), {}, 0


def cancel_order(seller: Seller, receipt: Receipt, context: Context, *, touch: bool, restock: bool) -> None:
    if receipt.status == "canceled":
        raise OrderError([f"receipt {receipt.receipt_id} is cancelled"])
    receipt.status = "canceled"
    _touch(receipt, context, touch=touch)
    if restock:
        for one in receipt.transactions:
            _put_back(seller, one, context)


def _put_back(seller: Seller, transaction: dict[str, Any], context: Context) -> None:
    listing = seller.listings.get(transaction["listing_id"])
    products = listing.products if listing is not None else []
    for product in products:
        if listing is not None and product["product_id"] == transaction["product_id"]:
            product["offerings"][0]["quantity"] += transaction["quantity"]
            if listing.state == "sold_out":
                listing.state, listing.state_time = "active", context.now


def refund_order(receipt: Receipt, amount_minor: int | None, context: Context, *, touch: bool) -> None:
    """Refund an amount, or the whole when it is None."""
    total = sum(one["price_minor"] * one["quantity"] for one in receipt.transactions)
    amount = total if amount_minor is None else amount_minor
    if not 0 < amount <= total - sum(one["amount_minor"] for one in receipt.refunds):
        raise OrderError([f"amount_minor: more than receipt {receipt.receipt_id} has left, or nothing"])
    receipt.refunds.append({"amount_minor": amount, "created_timestamp": int(context.now)})
    refunded = sum(one["amount_minor"] for one in receipt.refunds)
    receipt.status = "fully refunded" if refunded == total else "partially refunded"
    _touch(receipt, context, touch=touch)


def ship_order(receipt: Receipt, context: Context, *, touch: bool) -> None:
    receipt.shipments.append(
        {
            "receipt_shipping_id": context.ids.next("setup"),
            "shipment_notification_timestamp": int(context.now),
            "carrier_name": "other",
            "tracking_code": f"SANDBOX{receipt.receipt_id}",
        }
    )
    receipt.status = "completed"
    _touch(receipt, context, touch=touch)


def _touch(receipt: Receipt, context: Context, *, touch: bool) -> None:
    if touch:
        receipt.updated_time = context.now
