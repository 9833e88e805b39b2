"""Items: create, read, change, delete."""

import uuid
from typing import Any

from stoflow_sandbox.marketplaces.exchange import Effect, Reply
from stoflow_sandbox.marketplaces.vinted.context import Request
from stoflow_sandbox.marketplaces.vinted.errors import problem, refuse
from stoflow_sandbox.marketplaces.vinted.item_rules import (
    Problems,
    assigned_photo_ids,
    item_problems,
    read_price,
)
from stoflow_sandbox.marketplaces.vinted.photos import photo_view
from stoflow_sandbox.marketplaces.vinted.state import Item, Member

KEPT = (
    "title",
    "description",
    "brand_id",
    "size_id",
    "catalog_id",
    "status_id",
    "package_size_id",
    "color_ids",
    "item_attributes",
    "currency",
)


def create_item(request: Request) -> Reply:
    """Make an item. Nothing makes it once: the same body again makes another, its photos aside."""
    fields, problems = _read(request, None)
    if problems or fields is None:
        return refuse(400, problems)
    item = Item(request.world.ids.next("item"), {}, [], request.now, request.now)
    request.member.items[item.item_id] = item
    _assign(request, item, fields)
    created = request.member.created
    created[item.title] = created.get(item.title, 0) + 1
    return _answer(request, item, "item.created")


def get_item(request: Request) -> Reply:
    item = request.member.items.get(request.path["item_id"])
    if item is None:
        return refuse(404)
    return Reply(200, {"item": item_view(request.member, item, request.base_url), "code": 0})


def update_item(request: Request) -> Reply:
    """Replace an item whole; photos that are left out are removed."""
    item = request.member.items.get(request.path["item_id"])
    if item is None:
        return refuse(404)
    if item.is_closed:
        return refuse(400, [problem("base", "A sold item cannot be changed")])
    fields, problems = _read(request, item)
    if problems or fields is None:
        return refuse(400, problems)
    _assign(request, item, fields)
    return _answer(request, item, "item.replaced")


def delete_item(request: Request) -> Reply:
    """Delete an item; the second time it is not found."""
    item = request.member.items.get(request.path["item_id"])
    if item is None:
        return refuse(404)
    if item.is_closed:
        return refuse(400, [problem("base", "A sold item cannot be deleted")])
    del request.member.items[item.item_id]
    request.member.deleted[item.item_id] = item.title
    for photo_id in item.photo_ids:
        del request.member.photos[photo_id]
    effect = Effect("item.deleted", item.item_id, item.title)
    return Reply(200, {"code": 0, "message": "Ok", "message_code": "ok", "errors": []}, effects=[effect])


def _read(request: Request, item: Item | None) -> tuple[dict[str, Any] | None, Problems]:
    body = request.call.json
    fields = body.get("item") if isinstance(body, dict) else None
    if not isinstance(fields, dict):
        return None, [problem("item", "can't be blank")]
    problems = item_problems(fields, request.member, item)
    wanted = None if item is None else item.item_id
    given = fields.get("id")
    if (None if given is None else str(given)) != wanted:
        problems.append(problem("id", "must be null for a new item, else the item's own"))
    if item is None and not _is_uuid(fields.get("temp_uuid")):
        problems.append(problem("temp_uuid", "must be a UUID"))
    if body.get("push_up") is not False:
        problems.append(problem("push_up", "costs money; this sandbox takes false only"))
    if not isinstance(body.get("upload_session_id"), str):
        problems.append(problem("upload_session_id", "can't be blank"))
    return fields, problems


def _is_uuid(value: Any) -> bool:
    try:
        uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def _assign(request: Request, item: Item, fields: dict[str, Any]) -> None:
    photo_ids = assigned_photo_ids(fields) or []
    for photo_id in set(item.photo_ids) - set(photo_ids):
        del request.member.photos[photo_id]
    for photo_id in photo_ids:
        request.member.photos[photo_id].item_id = item.item_id
    item.photo_ids = photo_ids
    item.fields = {name: fields.get(name) for name in KEPT}
    item.fields["price"] = f"{read_price(fields['price']):.2f}"
    item.updated_time = request.now


def _answer(request: Request, item: Item, kind: str) -> Reply:
    content = {"item": item_view(request.member, item, request.base_url), "code": 0}
    return Reply(200, content, effects=[Effect(kind, item.item_id, item.title)])


def item_view(member: Member, item: Item, base_url: str) -> dict[str, Any]:
    """Return an item as its owner's upload form reads it."""
    fields = dict(item.fields)
    return {
        "id": int(item.item_id),
        "url": f"{base_url}/items/{item.item_id}",
        **fields,
        "price": {"amount": fields["price"], "currency_code": fields["currency"]},
        "photos": [photo_view(member.photos[photo_id], base_url) for photo_id in item.photo_ids],
        "is_closed": item.is_closed,
        "is_draft": False,
        "user_id": int(member.user_id),
        "created_at_ts": int(item.created_time),
        "updated_at_ts": int(item.updated_time),
    }
