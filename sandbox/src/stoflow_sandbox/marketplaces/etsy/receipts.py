"""Receipts and their transactions, as a shop reads its orders."""

from typing import Any

from stoflow_sandbox.marketplaces.etsy.errors import refuse
from stoflow_sandbox.marketplaces.etsy.paging import Page, read_boolean, read_integer, read_page
from stoflow_sandbox.marketplaces.etsy.state import Receipt, Seller
from stoflow_sandbox.marketplaces.etsy.views import money
from stoflow_sandbox.marketplaces.exchange import Call, Reply

EARLIEST = 946_684_800
_SORTS = {
    "created": lambda one: (one.created_time, one.receipt_id),
    "updated": lambda one: (one.updated_time, one.receipt_id),
    "receipt_id": lambda one: one.receipt_id,
}
_ASCENDING = {"asc": True, "ascending": True, "up": True, "desc": False, "descending": False, "down": False}


def list_receipts(seller: Seller, call: Call) -> Reply:
    """Return the receipts that the filters admit. Cancelled ones are among them unless filtered out."""
    violations: list[str] = []
    page = read_page(call, violations)
    bounds = {
        name: read_integer(call, name, violations, lowest=EARLIEST)
        for name in ("min_created", "max_created", "min_last_modified", "max_last_modified")
    }
    flags = {
        name: read_boolean(call, name, violations)
        for name in ("was_paid", "was_shipped", "was_delivered", "was_canceled")
    }
    sort_on = call.parameters.get("sort_on", "created")
    sort_order = call.parameters.get("sort_order", "desc")
    if sort_on not in _SORTS:
        violations.append(f"Invalid value for sort_on: expected one of {', '.join(_SORTS)}.")
    if sort_order not in _ASCENDING:
        violations.append(f"Invalid value for sort_order: expected one of {', '.join(_ASCENDING)}.")
    if violations:
        return refuse(400, *violations)
    found = [one for one in seller.receipts.values() if _admits(one, bounds, flags)]
    found.sort(key=_SORTS[sort_on], reverse=not _ASCENDING[sort_order])
    results = [receipt_view(seller, one) for one in page.cut(found)]
    return Reply(200, {"count": len(found), "results": results})


def _admits(receipt: Receipt, bounds: dict[str, int | None], flags: dict[str, bool | None]) -> bool:
    created, updated = int(receipt.created_time), int(receipt.updated_time)
    within = (
        (bounds["min_created"] or 0) <= created
        and (bounds["max_created"] is None or created <= bounds["max_created"])
        and (bounds["min_last_modified"] or 0) <= updated
        and (bounds["max_last_modified"] is None or updated <= bounds["max_last_modified"])
    )
    facts = {
        "was_paid": receipt.is_paid,
        "was_shipped": bool(receipt.shipments),
        "was_delivered": False,
        "was_canceled": receipt.status == "canceled",
    }
    return within and all(wanted is None or facts[name] == wanted for name, wanted in flags.items())


def get_receipt(seller: Seller, receipt_id: int) -> Reply:
    receipt = find_receipt(seller, receipt_id)
    if receipt is None:
        return _absent(seller, receipt_id)
    return Reply(200, receipt_view(seller, receipt))


def list_receipt_transactions(seller: Seller, receipt_id: int) -> Reply:
    receipt = find_receipt(seller, receipt_id)
    if receipt is None:
        return _absent(seller, receipt_id)
    views = [transaction_view(seller, receipt, one) for one in receipt.transactions]
    return Reply(200, {"count": len(views), "results": views})


def list_transactions(seller: Seller, page: Page) -> Reply:
    """Return the shop's transactions, newest first."""
    found = [
        (receipt, one)
        for receipt in reversed(seller.receipts.values())
        if not receipt.is_phantom
        for one in reversed(receipt.transactions)
    ]
    views = [transaction_view(seller, receipt, one) for receipt, one in page.cut(found)]
    return Reply(200, {"count": len(found), "results": views})


def get_transaction(seller: Seller, transaction_id: int) -> Reply:
    for receipt in seller.receipts.values():
        for one in receipt.transactions:
            if one["transaction_id"] == transaction_id and not receipt.is_phantom:
                return Reply(200, transaction_view(seller, receipt, one))
    return refuse(404, f"Could not find a transaction with transaction_id = {transaction_id}.")


def find_receipt(seller: Seller, receipt_id: int) -> Receipt | None:
    """Return a receipt that can be read by its id: a phantom cannot."""
    receipt = seller.receipts.get(receipt_id)
    return None if receipt is None or receipt.is_phantom else receipt


def _absent(seller: Seller, receipt_id: int) -> Reply:
    return refuse(
        404,
        f"Could not find a Shop Receipt with receipt_id = {receipt_id} "
        f"associated with shop_id = {seller.shop_id}.",
    )


def receipt_view(seller: Seller, receipt: Receipt) -> dict[str, Any]:
    """Return a receipt; what a buyer wrote and where the buyer lives stay empty."""
    total = sum(one["price_minor"] * one["quantity"] for one in receipt.transactions)
    created, updated = int(receipt.created_time), int(receipt.updated_time)
    personal = (
        "seller_email", "buyer_email", "first_line", "second_line", "city", "state", "zip", "formatted_address",
        "payment_email", "message_from_seller", "message_from_buyer", "message_from_payment",
    )  # fmt: skip
    zeros = ("total_shipping_cost", "total_tax_cost", "total_vat_cost", "discount_amt", "gift_wrap_price")
    return {
        **dict.fromkeys(personal, None),
        **{name: money(seller, 0) for name in zeros},
        **{name: money(seller, total) for name in ("grandtotal", "subtotal", "total_price")},
        "receipt_id": receipt.receipt_id,
        "receipt_type": 0,
        "seller_user_id": seller.user_id,
        "buyer_user_id": receipt.buyer_user_id,
        "name": "Sandbox Buyer",
        "status": receipt.status,
        "country_iso": "US",
        "payment_method": "cc",
        "is_paid": receipt.is_paid,
        "is_shipped": bool(receipt.shipments),
        "create_timestamp": created,
        "created_timestamp": created,
        "update_timestamp": updated,
        "updated_timestamp": updated,
        "is_gift": False,
        "gift_message": "",
        "gift_sender": "",
        "shipments": receipt.shipments,
        "transactions": [transaction_view(seller, receipt, one) for one in receipt.transactions],
        "refunds": [_refund_view(seller, one) for one in receipt.refunds],
    }


def _refund_view(seller: Seller, refund: dict[str, Any]) -> dict[str, Any]:
    return {
        "amount": money(seller, refund["amount_minor"]),
        "created_timestamp": refund["created_timestamp"],
        "reason": None,
        "note_from_issuer": None,
        "status": "success",
    }


def transaction_view(seller: Seller, receipt: Receipt, one: dict[str, Any]) -> dict[str, Any]:
    created = int(receipt.created_time)
    shipped = receipt.shipments[0]["shipment_notification_timestamp"] if receipt.shipments else None
    unknown = (
        "shipping_profile_id", "min_processing_days", "max_processing_days", "shipping_method",
        "shipping_upgrade", "expected_ship_date",
    )  # fmt: skip
    return {
        **dict.fromkeys(unknown, None),
        "transaction_id": one["transaction_id"],
        "title": one["title"],
        "description": None,
        "seller_user_id": seller.user_id,
        "buyer_user_id": receipt.buyer_user_id,
        "create_timestamp": created,
        "created_timestamp": created,
        "paid_timestamp": created if receipt.is_paid else None,
        "shipped_timestamp": shipped,
        "quantity": one["quantity"],
        "listing_image_id": one["listing_image_id"],
        "receipt_id": receipt.receipt_id,
        "is_digital": False,
        "file_data": "",
        "listing_id": one["listing_id"],
        "transaction_type": "listing",
        "product_id": one["product_id"],
        "sku": one["sku"] or None,
        "price": money(seller, one["price_minor"]),
        "shipping_cost": money(seller, 0),
        "variations": [],
        "product_data": [],
        "buyer_coupon": 0,
        "shop_coupon": 0,
    }
