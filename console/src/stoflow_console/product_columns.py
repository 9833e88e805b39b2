"""What the columns of a CSV say of a product."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from stoflow.catalog.v1.product_pb2 import Condition, Gender, MarketplaceOverride, ProductContent, WhoMade
from stoflow.common.v1.money_pb2 import Money

from stoflow_console.errors import ConsoleError
from stoflow_console.prices import PriceError, minor_amount

Set = Callable[[ProductContent, str], None]

SEPARATOR = "|"
# Addresses of pictures: no field of a product, so whoever imports sees to them.
IMAGES = "images"
_WHOLE = re.compile(r"-?[0-9]{1,9}")
# What people write in place of our names.
_ALIASES = {
    "quantity": "stock",
    "colour": "colors",
    "colours": "colors",
    "color": "colors",
    "material": "materials",
    "image": "images",
    "image_urls": "images",
}
_YES, _NO = {"yes", "true", "1"}, {"no", "false", "0"}
_MADE_TO_ORDER = "made to order"


def _text(name: str) -> Set:
    return lambda content, cell: setattr(content, name, cell)


def _number(name: str, holder: Callable[[ProductContent], Any] = lambda content: content) -> Set:
    return lambda content, cell: setattr(holder(content), name, _whole(cell))


def _list(name: str) -> Set:
    return lambda content, cell: getattr(content, name).extend(_several(cell))


def _enum(name: str, kind: Any, prefix: str, holder: Callable[[ProductContent], Any] = lambda c: c) -> Set:
    def read(content: ProductContent, cell: str) -> None:
        word = "_".join(cell.upper().replace("-", " ").split()).removeprefix(prefix)
        known = {key.removeprefix(prefix): value for key, value in kind.items() if value}
        if word not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        setattr(holder(content), name, known[word])

    return read


def _made(content: ProductContent, cell: str) -> None:
    if cell.lower().replace("_", " ") == _MADE_TO_ORDER:
        content.origin.is_made_to_order = True
        return
    first, _, last = cell.partition("-")
    try:
        content.origin.made_from_year, content.origin.made_to_year = _whole(first), _whole(last or first)
    except ValueError as error:
        raise ValueError(f'must be a year, two years such as 1990-1999, or "{_MADE_TO_ORDER}"') from error


def _is_supply(content: ProductContent, cell: str) -> None:
    if cell.lower() not in _YES | _NO:
        raise ValueError("must be yes or no")
    content.origin.is_supply = cell.lower() in _YES


_PLAIN: dict[str, Set] = {
    **{name: _text(name) for name in ("sku", "title", "description", "brand", "category", "size")},
    "stock": _number("stock_quantity"),
    "weight_grams": _number("weight_grams"),
    "colors": _list("colors"),
    "materials": _list("materials"),
    "condition": _enum("condition", Condition, "CONDITION_"),
    "gender": _enum("gender", Gender, "GENDER_"),
    **{name: _number(name, lambda c: c.package_size) for name in ("length_mm", "width_mm", "height_mm")},
    "who_made": _enum("who_made", WhoMade, "WHO_MADE_", lambda c: c.origin),
    "made": _made,
    "is_supply": _is_supply,
}
_PRICE = ("price", "currency")
_OVERRIDE = ("title", "description", "category_id", *_PRICE)


class Columns:
    """Reads rows below one header."""

    def __init__(self, header: Sequence[str]) -> None:
        """Takes the cells of the first line.

        Raises:
            ConsoleError: Columns that are not known, or come twice; it names them all.
        """
        self._names = [_known_name(cell) for cell in header]
        problems = [
            f"unknown column {cell!r}" for cell, name in zip(header, self._names, strict=True) if not name
        ]
        problems += [
            f"column {name!r} comes twice"
            for index, name in enumerate(self._names)
            if name and name in self._names[:index]
        ]
        if problems:
            known = ", ".join(
                [*_PLAIN, *_PRICE, IMAGES, "attribute:NAME", "measurement:NAME", "MARKETPLACE:title"]
            )
            raise ConsoleError(f"The header is wrong: {'; '.join(problems)}. Known columns: {known}.")

    def read(self, cells: Sequence[str]) -> tuple[ProductContent, list[tuple[str, str]], list[str]]:
        """Reads one row; returns what it says, field and reason of what cannot be read, and its pictures' addresses."""
        content = ProductContent()
        if len(cells) != len(self._names):
            return content, [("", f"has {len(cells)} cells where the header has {len(self._names)}")], []
        row = {name: cell.strip() for name, cell in zip(self._names, cells, strict=True) if cell.strip()}
        problems: list[tuple[str, str]] = []
        for name, cell in row.items():
            try:
                _set(content, name, cell)
            except ValueError as error:
                problems.append((name, str(error)))
        problems += _set_prices(content, row)
        return content, problems, _several(row.get(IMAGES, ""))


def _known_name(cell: str) -> str:
    """Returns the name of a column; empty for an unknown one."""
    group, colon, name = (part.strip() for part in cell.strip().partition(":"))
    if not colon:
        plain = "_".join(cell.strip().lower().replace("-", " ").split())
        plain = _ALIASES.get(plain, plain)
        return plain if plain in _PLAIN or plain in _PRICE or plain == IMAGES else ""
    group = group.lower()
    is_known = bool(name) and (group in {"attribute", "measurement"} or (bool(group) and name in _OVERRIDE))
    return f"{group}:{name}" if is_known else ""


def _set(content: ProductContent, name: str, cell: str) -> None:
    group, colon, rest = name.partition(":")
    if not colon:
        if name in _PLAIN:
            _PLAIN[name](content, cell)
    elif group == "attribute":
        content.attributes[rest].values.extend(_several(cell))
    elif group == "measurement":
        content.measurements_mm[rest] = _whole(cell)
    elif rest not in _PRICE:
        setattr(_override(content, group), rest, cell)


def _set_prices(content: ProductContent, row: dict[str, str]) -> list[tuple[str, str]]:
    """Sets prices last, since an amount means nothing without its currency."""
    problems = []
    currency = row.get("currency", "")
    prices = [("price", name) for name in row if name == "price"]
    prices += [(name, name) for name in row if name.endswith(":price")]
    for name, column in prices:
        group, colon, _ = name.partition(":")
        own = row.get(f"{group}:currency", currency) if colon else currency
        price: Money = _override(content, group).price if colon else content.price
        price.currency_code = own.upper()
        try:
            price.amount_minor = minor_amount(row[column], own.upper())
        except PriceError as error:
            problems.append((column, str(error)))
    return problems


def _override(content: ProductContent, marketplace: str) -> MarketplaceOverride:
    for override in content.overrides:
        if override.marketplace == marketplace:
            return override
    return content.overrides.add(marketplace=marketplace)


def _several(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(SEPARATOR) if part.strip()]


def _whole(cell: str) -> int:
    if not _WHOLE.fullmatch(cell.strip()):
        raise ValueError("must be a whole number of at most nine digits")
    return int(cell)
