"""From products to Vinted's items and back. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from stoflow_connector_sdk import (
    EffectOutcome,
    ListingChange,
    ListingState,
    Money,
    PermanentError,
    TaskContext,
    Violation,
)
from stoflow_connector_vinted.clients.vinted import WardrobeItem, read_money
from stoflow_connector_vinted.schemas import MAX_COLOURS

_NAMESPACE = uuid.UUID("5f6b7f4b-6a5d-5f51-9b64-08d1f9c7a0c4")
# Currencies of Vinted's sites; each has two digits after the point. Source: ISO 4217.
_DIGITS = 2
# What the upload form reads of an item and takes back as it was.
_KEPT = ("brand_id", "size_id", "package_size_id", "color_ids", "item_attributes")


def upload_uuid(task: TaskContext) -> str:
    """Names one upload: photos and the item that shows them carry the same, also when a step is tried again."""
    return str(uuid.uuid5(_NAMESPACE, task.job_id))


def new_item(task: TaskContext, photo_ids: Sequence[str]) -> dict[str, Any]:
    """Builds the body that creates an item.

    Raises:
        PermanentError: With every violation that the manifest's schemas could not see.
    """
    item = {"id": None, "temp_uuid": upload_uuid(task), **_own_fields(task), **_said_fields(task)}
    item["package_size_id"] = _package_size(task)
    item.setdefault("brand_id", None)
    item.setdefault("size_id", None)
    item.setdefault("color_ids", [])
    item.setdefault("item_attributes", [])
    item["assigned_photos"] = _assigned(photo_ids)
    return _body(item, upload_uuid(task))


def changed_item(task: TaskContext, existing: Mapping[str, Any]) -> dict[str, Any]:
    """Builds the body that updates an item: what the product speaks of, and the rest as it is.

    The call replaces an item whole, and photos that are left out are removed.
    """
    photos = existing.get("photos")
    photo_ids = [str(photo["id"]) for photo in photos or [] if isinstance(photo, dict) and "id" in photo]
    item = {
        "id": existing["id"],
        "temp_uuid": upload_uuid(task),
        **{name: existing.get(name) for name in _KEPT},
        **_own_fields(task),
        **_said_fields(task),
    }
    if "packageSizeId" in task.options:
        item["package_size_id"] = _package_size(task)
    item["color_ids"] = item["color_ids"] or []
    item["item_attributes"] = item["item_attributes"] or []
    item["assigned_photos"] = _assigned(photo_ids)
    return _body(item, upload_uuid(task))


def is_shown(task: TaskContext, existing: Mapping[str, Any]) -> bool:
    """Tells whether an item shows the product already, so that nothing need be sent."""
    wanted = changed_item(task, existing)["item"]
    price = read_money(existing.get("price"))
    same = all(
        existing.get(name) == wanted[name] for name in ("title", "description", "catalog_id", "status_id")
    )
    kept = all((existing.get(name) or None) == (wanted[name] or None) for name in _KEPT)
    return same and kept and price == (wanted["price"], wanted["currency"])


def _own_fields(task: TaskContext) -> dict[str, Any]:
    content = task.product.content
    return {
        "title": content.title,
        "description": content.description,
        "currency": content.price.currency_code,
        "price": format_price(content.price.amount_minor),
        "catalog_id": int(task.mappings["category"]),
        "status_id": int(task.mappings["condition"]),
    }


def _said_fields(task: TaskContext) -> dict[str, Any]:
    """What the product may be silent about."""
    fields: dict[str, Any] = {}
    for attribute, name in (("brand", "brand_id"), ("size", "size_id")):
        if attribute in task.mappings:
            fields[name] = int(task.mappings[attribute])
    if colours := _numbers(task, "color"):
        fields["color_ids"] = colours[:MAX_COLOURS]
    if materials := _numbers(task, "material"):
        fields["item_attributes"] = [{"code": "material", "ids": materials}]
    return fields


def _numbers(task: TaskContext, attribute: str) -> list[int]:
    values = task.value_lists.get(attribute, ())
    if wrong := [value for value in values if not value.isdecimal()]:
        violations = [
            Violation(f"mappings.{attribute}", f"{value!r} is no number of Vinted") for value in wrong
        ]
        raise _impossible("A mapping leads to no number of Vinted.", violations)
    return list(dict.fromkeys(int(value) for value in values))


def _package_size(task: TaskContext) -> int:
    size = task.options.get("packageSizeId", task.account_settings.get("packageSizeId"))
    if size is None:
        text = "the account has no package size, and the job names none"
        raise _impossible("The package size is missing.", [Violation("settings.packageSizeId", text)])
    return int(size)


def _assigned(photo_ids: Sequence[str]) -> list[dict[str, int]]:
    return [{"id": int(photo_id), "orientation": 0} for photo_id in photo_ids]


def _body(item: dict[str, Any], session_id: str) -> dict[str, Any]:
    # push_up is an advertisement that costs money.
    return {"item": item, "push_up": False, "parcel": None, "upload_session_id": session_id}


def _impossible(message: str, violations: list[Violation]) -> PermanentError:
    return PermanentError(
        message, violations=violations, effect=EffectOutcome.NOT_SENT, code="PRODUCT_INCOMPLETE"
    )


def format_price(amount_minor: int) -> str:
    """Writes an amount as the upload form does: 1999 as "19.99"."""
    return f"{amount_minor // 100}.{amount_minor % 100:0{_DIGITS}d}"


def parse_price(price: tuple[str, str] | None) -> Money | None:
    """Reads an amount and a currency; None for what is no amount."""
    if price is None:
        return None
    try:
        minor = Decimal(price[0]).scaleb(_DIGITS)
    except InvalidOperation:
        return None
    if not minor.is_finite() or minor != minor.to_integral_value():
        return None
    return Money(currency_code=price[1], amount_minor=int(minor))


def found_listing(item: WardrobeItem) -> ListingChange:
    """Says what a wardrobe shows of an item."""
    state = ListingState.LISTING_STATE_LIVE
    if item.is_closed:
        state = ListingState.LISTING_STATE_SOLD
    elif item.is_draft:
        state = ListingState.LISTING_STATE_DRAFT
    return ListingChange(
        remote_id=item.item_id,
        url=item.url,
        title=item.title[:500],
        state=state,
        price=parse_price(item.price),
    )


def item_listing(item: Mapping[str, Any], site_url: str) -> ListingChange:
    """Says what the upload form reads of an item."""
    item_id = str(item["id"])
    return ListingChange(
        remote_id=item_id,
        url=str(item.get("url") or f"{site_url}/items/{item_id}"),
        title=str(item.get("title") or "")[:500],
        state=ListingState.LISTING_STATE_SOLD if item.get("is_closed") else ListingState.LISTING_STATE_LIVE,
        price=parse_price(read_money(item.get("price"))),
    )
