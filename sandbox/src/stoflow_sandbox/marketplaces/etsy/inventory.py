"""The inventory of a listing: read whole, replaced whole.

The update takes what the official document names and no more: product_id, offering_id, is_deleted and
scale_name, which the read answers, are refused, and a price is a number there, not a Money object. What is
left out is gone: products, property values, and each *_on_property.
"""

import math
from typing import Any

from stoflow_sandbox.marketplaces.etsy.context import Context
from stoflow_sandbox.marketplaces.etsy.errors import refuse
from stoflow_sandbox.marketplaces.etsy.shop_setup import has_readiness_state
from stoflow_sandbox.marketplaces.etsy.state import ON_PROPERTY, Ids, Listing, Seller
from stoflow_sandbox.marketplaces.etsy.texts import SKU_LENGTH
from stoflow_sandbox.marketplaces.etsy.views import inventory_view
from stoflow_sandbox.marketplaces.exchange import Effect, Reply

HIGHEST_QUANTITY = 999
LOWEST_PRICE_MINOR = 20
HIGHEST_PRICE_MINOR = 5_000_000
# (field, type, required); the document of the update names these and no others.
_PRODUCT = (("sku", str, False), ("property_values", list, False), ("offerings", list, True))
_OFFERING = (
    ("price", float, True),
    ("quantity", int, True),
    ("is_enabled", bool, True),
    ("readiness_state_id", int, True),
)
_VALUE = (
    ("property_id", int, True),
    ("value_ids", list, True),
    ("values", list, True),
    ("scale_id", int, False),
    ("property_name", str, False),
)
_NULLABLE = frozenset({"sku", "readiness_state_id", "scale_id"})


def price_to_minor(price: float) -> int | None:
    """Return a price in hundredths, or None when Etsy would not take it."""
    if not math.isfinite(price):
        return None
    minor = round(price * 100)
    is_whole = abs(price * 100 - minor) < 1e-4
    return minor if is_whole and LOWEST_PRICE_MINOR <= minor <= HIGHEST_PRICE_MINOR else None


def first_product(
    ids: Ids, *, price_minor: int, quantity: int, readiness_state_id: int | None
) -> dict[str, Any]:
    """Return the one product of a new draft."""
    offering = {
        "offering_id": ids.next("offering"),
        "quantity": quantity,
        "is_enabled": True,
        "price_minor": price_minor,
        "readiness_state_id": readiness_state_id,
    }
    return {"product_id": ids.next("product"), "sku": "", "offerings": [offering], "property_values": []}


def get_inventory(seller: Seller, listing: Listing) -> Reply:
    return Reply(200, inventory_view(seller, listing))


def replace_inventory(seller: Seller, listing: Listing, body: Any, context: Context) -> Reply:
    """Replace the inventory, or refuse with every violation at once and leave it as it was."""
    if not isinstance(body, dict):
        return refuse(400, "Expected a JSON object with products.")
    violations = _body_violations(body)
    if not violations:
        violations = _meaning_violations(seller, body)
    if violations:
        return refuse(400, *violations)
    kept = {_combination(product["property_values"]): product for product in listing.products}
    listing.products = [_product(one, kept, context.ids) for one in body["products"]]
    listing.on_property = {name: list(body.get(name) or []) for name in ON_PROPERTY}
    listing.updated_time = context.now
    effect = Effect("inventory.replaced", str(listing.listing_id), listing.sku)
    return Reply(200, inventory_view(seller, listing), effects=[effect])


def _product(source: dict[str, Any], kept: dict[Any, dict[str, Any]], ids: Ids) -> dict[str, Any]:
    values = source.get("property_values") or []
    # A combination that stays keeps its number; a new one gets a new number.
    before = kept.get(_combination(values))
    offerings = [
        {
            "offering_id": before["offerings"][0]["offering_id"] if before else ids.next("offering"),
            "quantity": one["quantity"],
            "is_enabled": one["is_enabled"],
            "price_minor": price_to_minor(one["price"]),
            "readiness_state_id": one["readiness_state_id"],
        }
        for one in source["offerings"]
    ]
    return {
        "product_id": before["product_id"] if before else ids.next("product"),
        "sku": source.get("sku") or "",
        "offerings": offerings,
        "property_values": [
            {
                "property_id": value["property_id"],
                "property_name": value.get("property_name"),
                "scale_id": value.get("scale_id"),
                "value_ids": value["value_ids"],
                "values": value["values"],
            }
            for value in values
        ],
    }


def _combination(values: list[dict[str, Any]]) -> tuple[Any, ...]:
    return tuple((value["property_id"], tuple(value["values"])) for value in values)


def _body_violations(body: dict[str, Any]) -> list[str]:
    violations = [f"{name}: not allowed." for name in body if name not in ("products", *ON_PROPERTY)]
    products = body.get("products")
    if not isinstance(products, list) or not products:
        return [*violations, "products: at least one is required."]
    for name in ON_PROPERTY:
        listed = body.get(name) or []
        if not isinstance(listed, list) or not all(isinstance(one, int) for one in listed):
            violations.append(f"{name}: expected an array of integers.")
    for number, product in enumerate(products):
        path = f"products.{number}"
        violations += _object_violations(product, _PRODUCT, path)
        for part, shape in (("offerings", _OFFERING), ("property_values", _VALUE)):
            entries = product.get(part) if isinstance(product, dict) else None
            for index, entry in enumerate(entries if isinstance(entries, list) else []):
                violations += _object_violations(entry, shape, f"{path}.{part}.{index}")
    return violations


def _object_violations(value: Any, shape: tuple[tuple[str, type, bool], ...], path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: expected an object."]
    known = {name for name, _, _ in shape}
    violations = [f"{path}.{name}: not allowed." for name in value if name not in known]
    for name, kind, is_required in shape:
        if name not in value:
            if is_required:
                violations.append(f"{path}.{name}: required.")
        elif value[name] is None:
            if name not in _NULLABLE:
                violations.append(f"{path}.{name}: must not be null.")
        elif not _is(value[name], kind):
            violations.append(f"{path}.{name}: expected {kind.__name__}.")
    return violations


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def _meaning_violations(seller: Seller, body: dict[str, Any]) -> list[str]:
    products = body["products"]
    offerings = [one for product in products for one in product["offerings"]]
    violations = []
    if any(len(product["offerings"]) != 1 for product in products):
        violations.append("Each product must have exactly one offering.")
    if not any(one["is_enabled"] for one in offerings):
        violations.append("At least one offering must be enabled.")
    if not any(one["quantity"] > 0 and one["is_enabled"] for one in offerings):
        violations.append("The quantity of at least one enabled offering must be greater than 0.")
    for one in offerings:
        if not 0 <= one["quantity"] <= HIGHEST_QUANTITY:
            violations.append(f"Quantity must be between 0 and {HIGHEST_QUANTITY}.")
        if price_to_minor(one["price"]) is None:
            violations.append("Price must be between 0.20 and 50000.00, with at most two decimals.")
        readiness = one["readiness_state_id"]
        if readiness is not None and not has_readiness_state(seller, readiness):
            violations.append(f"Invalid readiness_state_id: {readiness} does not belong to this shop.")
    violations += [
        f"SKU {product['sku']!r} is longer than {SKU_LENGTH} characters."
        for product in products
        if len(product.get("sku") or "") > SKU_LENGTH
    ]
    return violations + _variation_violations(body)


_VARYING = {
    "price_on_property": ("offerings", "price"),
    "quantity_on_property": ("offerings", "quantity"),
    "sku_on_property": ("sku", ""),
    "readiness_state_on_property": ("offerings", "readiness_state_id"),
}


def _varying_value(product: dict[str, Any], fields: tuple[str, str]) -> Any:
    part, name = fields
    if part == "sku":
        return product.get("sku") or ""
    return product["offerings"][0][name] if product["offerings"] else None


def _variation_violations(body: dict[str, Any]) -> list[str]:
    """Return what does not fit between the products' properties and the *_on_property fields."""
    products = body["products"]
    used = [tuple(value["property_id"] for value in one.get("property_values") or []) for one in products]
    violations = []
    if len(set(used)) > 1 or len(used[0]) > 2:
        violations.append("All products must vary by the same properties, of which two are allowed.")
    combinations = [_combination(one.get("property_values") or []) for one in products]
    if len(set(combinations)) < len(combinations):
        violations.append("Two products have the same property values.")
    for name, fields in _VARYING.items():
        listed = body.get(name) or []
        if set(listed) - set(used[0]):
            violations.append(f"{name}: names a property by which no product varies.")
        groups: dict[Any, set[Any]] = {}
        for one in products:
            key = tuple(
                (value["property_id"], tuple(value["values"]))
                for value in one.get("property_values") or []
                if value["property_id"] in listed
            )
            groups.setdefault(key, set()).add(_varying_value(one, fields))
        if any(len(values) > 1 for values in groups.values()):
            violations.append(f"{name}: the products' values differ by a property that it does not name.")
    return violations
