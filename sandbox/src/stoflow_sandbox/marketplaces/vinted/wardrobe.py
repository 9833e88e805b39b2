"""GET /wardrobe/{user}/items: what a member offers and has sold, newest first."""

from typing import Any

from stoflow_sandbox.marketplaces.exchange import Reply
from stoflow_sandbox.marketplaces.vinted.context import Request, pagination
from stoflow_sandbox.marketplaces.vinted.errors import refuse
from stoflow_sandbox.marketplaces.vinted.photos import photo_view
from stoflow_sandbox.marketplaces.vinted.state import Item, Member

MOST_PER_PAGE = 96


def list_wardrobe(request: Request) -> Reply:
    """Answer one page; an item newer than the member's `wardrobe_delay_seconds` is not in it yet."""
    member = request.world.find_member(request.path["user_id"])
    if member is None:
        return refuse(404)
    page, per_page = request.page(MOST_PER_PAGE)
    seen = [
        item
        for item in member.items.values()
        if item.created_time + member.wardrobe_delay_seconds <= request.now
    ]
    seen.sort(key=lambda item: int(item.item_id), reverse=True)
    chosen = seen[(page - 1) * per_page : page * per_page]
    content = {
        "items": [wardrobe_view(member, item, request.base_url) for item in chosen],
        "pagination": pagination(page, per_page, len(seen)),
        "code": 0,
    }
    return Reply(200, content)


def wardrobe_view(member: Member, item: Item, base_url: str) -> dict[str, Any]:
    """Return an item as a wardrobe shows it: without its description."""
    return {
        "id": int(item.item_id),
        "title": item.title,
        "price": {"amount": item.fields["price"], "currency_code": item.fields["currency"]},
        "url": f"{base_url}/items/{item.item_id}",
        "is_closed": item.is_closed,
        "is_draft": False,
        "is_hidden": False,
        "user_id": int(member.user_id),
        "photos": [photo_view(member.photos[photo_id], base_url) for photo_id in item.photo_ids],
        "created_at_ts": int(item.created_time),
    }
