"""What the upload form asks of an item: everything that is wrong is named at once."""

from collections.abc import Container
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard

from stoflow_sandbox.marketplaces.vinted.catalogue import (
    BRANDS,
    CATALOGUES,
    COLOURS,
    CURRENCIES,
    PACKAGE_SIZES,
    SIZES,
    STATUSES,
)
from stoflow_sandbox.marketplaces.vinted.errors import problem
from stoflow_sandbox.marketplaces.vinted.state import Item, Member

TITLE_LENGTH = (5, 100)
DESCRIPTION_LENGTH = (5, 2000)
PHOTOS = (1, 20)
COLOURS_MOST = 2
PRICE = (Decimal(1), Decimal(100_000))

Problems = list[dict[str, str]]


def item_problems(fields: dict[str, Any], member: Member, item: Item | None) -> Problems:
    """Return every violation of an item's fields; `item` is the one being changed, None for a new one."""
    return [
        *_text_problems(fields, "title", *TITLE_LENGTH),
        *_text_problems(fields, "description", *DESCRIPTION_LENGTH),
        *_price_problems(fields, member),
        *_choice_problems(fields),
        *_colour_problems(fields.get("color_ids")),
        *_attribute_problems(fields.get("item_attributes")),
        *_photo_problems(fields, member, item),
    ]


def _text_problems(fields: dict[str, Any], name: str, least: int, most: int) -> Problems:
    text = fields.get(name)
    if not isinstance(text, str) or len(text.strip()) < least:
        return [problem(name, f"is too short (minimum is {least} characters)")]
    if len(text) > most:
        return [problem(name, f"is too long (maximum is {most} characters)")]
    return []


def _price_problems(fields: dict[str, Any], member: Member) -> Problems:
    problems = []
    price = read_price(fields.get("price"))
    if price is None or price != round(price, 2) or not PRICE[0] <= price <= PRICE[1]:
        problems.append(problem("price", f"must be {PRICE[0]} to {PRICE[1]} with at most two decimals"))
    currency = fields.get("currency")
    if currency not in CURRENCIES:
        problems.append(problem("currency", "is not included in the list"))
    elif currency != member.currency:
        problems.append(problem("currency", f"must be {member.currency} on this site"))
    return problems


def read_price(value: Any) -> Decimal | None:
    """Return a price given as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        return None
    return price if price.is_finite() else None


def _choice_problems(fields: dict[str, Any]) -> Problems:
    problems = []
    catalogue = fields.get("catalog_id")
    if not _is_one_of(catalogue, CATALOGUES):
        problems.append(problem("catalog_id", "must be selected"))
    elif (group := CATALOGUES[catalogue]) is not None and not _is_one_of(fields.get("size_id"), SIZES[group]):
        problems.append(problem("size_id", "must be selected"))
    elif group is None and fields.get("size_id") is not None:
        problems.append(problem("size_id", "does not belong to this category"))
    if not _is_one_of(fields.get("status_id"), STATUSES):
        problems.append(problem("status_id", "must be selected"))
    if not _is_one_of(fields.get("package_size_id"), PACKAGE_SIZES):
        problems.append(problem("package_size_id", "must be selected"))
    brand = fields.get("brand_id")
    if brand is not None and not _is_one_of(brand, BRANDS):
        problems.append(problem("brand_id", "is not included in the list"))
    return problems


def _is_one_of(value: Any, choices: Container[int]) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value in choices


def _colour_problems(colours: Any) -> Problems:
    if not isinstance(colours, list) or len(colours) > COLOURS_MOST:
        return [problem("color_ids", f"must be a list of at most {COLOURS_MOST}")]
    if not all(_is_one_of(colour, COLOURS) for colour in colours) or len(set(colours)) != len(colours):
        return [problem("color_ids", "is not included in the list")]
    return []


def _attribute_problems(attributes: Any) -> Problems:
    """Check [{"code": "material", "ids": [1]}]."""
    is_right = isinstance(attributes, list) and all(
        isinstance(one, dict) and isinstance(one.get("code"), str) and isinstance(one.get("ids"), list)
        for one in attributes
    )
    return [] if is_right else [problem("item_attributes", "must be a list of code and ids")]


def _photo_problems(fields: dict[str, Any], member: Member, item: Item | None) -> Problems:
    photo_ids = assigned_photo_ids(fields)
    if photo_ids is None or not PHOTOS[0] <= len(photo_ids) <= PHOTOS[1]:
        return [
            problem("assigned_photos", f"must be {PHOTOS[0]} to {PHOTOS[1]} photos with id and orientation")
        ]
    if len(set(photo_ids)) != len(photo_ids):
        return [problem("assigned_photos", "names a photo twice")]
    problems = []
    for photo_id in photo_ids:
        photo = member.photos.get(photo_id)
        if photo is None or photo.item_id not in (None, item.item_id if item else None):
            problems.append(problem("assigned_photos", f"photo {photo_id} cannot be used"))
        elif photo.item_id is None and photo.temp_uuid != fields.get("temp_uuid"):
            problems.append(problem("temp_uuid", f"is not the one that photo {photo_id} was uploaded with"))
    return problems


def assigned_photo_ids(fields: dict[str, Any]) -> list[str] | None:
    """Return the photos' numbers in their order, or None when the list is malformed."""
    photos = fields.get("assigned_photos")
    if not isinstance(photos, list):
        return None
    ids = [one.get("id") if isinstance(one, dict) else None for one in photos]
    if not all(isinstance(one, int | str) and str(one).isdecimal() for one in ids):
        return None
    return [str(one) for one in ids]
