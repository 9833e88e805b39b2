"""Sales: the list of sold orders, one transaction, one shipment's label."""

from datetime import UTC, datetime
from typing import Any

from stoflow_sandbox.marketplaces.exchange import Reply
from stoflow_sandbox.marketplaces.vinted.context import Request, pagination
from stoflow_sandbox.marketplaces.vinted.errors import problem, refuse
from stoflow_sandbox.marketplaces.vinted.state import Item, Member, Sale, World

MOST_PER_PAGE = 100


class SaleError(ValueError):
    """An item that cannot be sold."""


def sell_item(world: World, member: Member, item: Item, buyer: str, now: float) -> Sale:
    """Let somebody buy an item; raises SaleError when it is sold already."""
    if item.is_closed:
        raise SaleError(f"item {item.item_id} is sold already")
    item.is_closed = True
    item.updated_time = now
    sale = Sale(
        world.ids.next("transaction"),
        world.ids.next("shipment"),
        item.item_id,
        item.title,
        item.fields["price"],
        item.fields["currency"],
        buyer,
        now,
    )
    member.sales[sale.transaction_id] = sale
    return sale


def list_orders(request: Request) -> Reply:
    """Answer one page of what the member sold, newest first."""
    if request.call.parameters.get("type") != "sold":
        return refuse(400, [problem("type", "only sold is modelled")])
    page, per_page = request.page(MOST_PER_PAGE)
    sales = sorted(request.member.sales.values(), key=lambda sale: int(sale.transaction_id), reverse=True)
    chosen = sales[(page - 1) * per_page : page * per_page]
    content = {
        "my_orders": [_order_view(sale) for sale in chosen],
        "pagination": pagination(page, per_page, len(sales)),
        "code": 0,
    }
    return Reply(200, content)


def get_transaction(request: Request) -> Reply:
    sale = request.member.sales.get(request.path["transaction_id"])
    if sale is None:
        return refuse(404)
    content = {
        "id": int(sale.transaction_id),
        "item_id": int(sale.item_id),
        "item_title": sale.title,
        "status": sale.status_code,
        "status_title": sale.status,
        "status_updated_at": _text(sale.sold_time),
        "offer": {"price": _money(sale)},
        "order": {"items": [{"id": int(sale.item_id), "title": sale.title, "price": _money(sale)}]},
        "buyer": {"login": sale.buyer},
        "shipment": {"id": int(sale.shipment_id), "status_title": "Waiting for the seller"},
    }
    return Reply(200, {"transaction": content, "code": 0})


def get_label(request: Request) -> Reply:
    sale = request.member.find_sale_of_shipment(request.path["shipment_id"])
    if sale is None:
        return refuse(404)
    return Reply(200, {"label_url": f"{request.base_url}/labels/{sale.shipment_id}.pdf", "code": 0})


def _order_view(sale: Sale) -> dict[str, Any]:
    return {
        "conversation_id": int(sale.transaction_id) + 1,
        "transaction_id": int(sale.transaction_id),
        "title": sale.title,
        "price": _money(sale),
        "status": sale.status,
        "date": _text(sale.sold_time),
        "transaction_user_status": "needs_action",
    }


def _money(sale: Sale) -> dict[str, str]:
    return {"amount": sale.price, "currency_code": sale.currency}


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
