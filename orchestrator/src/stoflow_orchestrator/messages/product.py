"""Products between table rows and messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row
from stoflow.catalog.v1.product_pb2 import (
    Condition,
    Gender,
    MarketplaceOverride,
    Origin,
    PackageSize,
    Product,
    ProductContent,
    WhoMade,
)

from stoflow_orchestrator.messages.times import set_timestamp

CONDITION_PREFIX = "CONDITION_"
GENDER_PREFIX = "GENDER_"
WHO_MADE_PREFIX = "WHO_MADE_"
_CONDITIONS = {name.removeprefix(CONDITION_PREFIX): value for name, value in Condition.items()}
_GENDERS = {name.removeprefix(GENDER_PREFIX): value for name, value in Gender.items() if value}
_WHO_MADE = {name.removeprefix(WHO_MADE_PREFIX): value for name, value in WhoMade.items() if value}


def content_values(content: ProductContent) -> dict[str, Any]:
    """Converts what a caller said of a product into column values."""
    return {
        "sku": content.sku,
        "title": content.title,
        "description": content.description,
        "price_currency": content.price.currency_code,
        "price_minor": content.price.amount_minor,
        "stock_quantity": content.stock_quantity,
        "brand": content.brand,
        "category": content.category,
        "condition": Condition.Name(content.condition).removeprefix(CONDITION_PREFIX),
        "attributes": {name: list(entry.values) for name, entry in content.attributes.items()},
        "overrides": {override.marketplace: _override_values(override) for override in content.overrides},
        "colors": list(content.colors),
        "size": content.size,
        "materials": list(content.materials),
        "gender": Gender.Name(content.gender).removeprefix(GENDER_PREFIX) if content.gender else "",
        "measurements_mm": dict(content.measurements_mm),
        "weight_grams": content.weight_grams,
        "package_size": _package_values(content.package_size) if content.HasField("package_size") else {},
        "origin": _origin_values(content.origin) if content.HasField("origin") else None,
    }


def _package_values(size: PackageSize) -> dict[str, int]:
    return {"length_mm": size.length_mm, "width_mm": size.width_mm, "height_mm": size.height_mm}


def _origin_values(origin: Origin) -> dict[str, Any]:
    values = {descriptor.name: value for descriptor, value in origin.ListFields()}
    if origin.who_made:
        values["who_made"] = WhoMade.Name(origin.who_made).removeprefix(WHO_MADE_PREFIX)
    return values


def _override_values(override: MarketplaceOverride) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: getattr(override, name)
        for name in ("title", "description", "category_id")
        if override.HasField(name)
    }
    if override.HasField("price"):
        values["price_currency"] = override.price.currency_code
        values["price_minor"] = override.price.amount_minor
    return values


def product_message(tenant_id: int, row: Row[Any]) -> Product:
    """Converts a product as its owner sees it; overrides come ordered by marketplace."""
    product = Product()
    _fill_product(product, tenant_id, row, {})
    product.content.overrides.extend(
        _override_message(marketplace, values) for marketplace, values in sorted(row.overrides.items())
    )
    return product


def etag(version: int) -> str:
    """Names a state of a product: its version grows with every change."""
    return f"v{version}"


def fill_product_for_marketplace(product: Product, tenant_id: int, row: Row[Any], marketplace: str) -> None:
    """Fills an empty product in as one marketplace gets it: its override applied, none left."""
    _fill_product(product, tenant_id, row, row.overrides.get(marketplace, {}))


# Set field by field: messages handed to constructors are copied, and a batch converts thousands of products.
def _fill_product(product: Product, tenant_id: int, row: Row[Any], override: Mapping[str, Any]) -> None:
    product.product_id = str(row.product_id)
    product.tenant_id = tenant_id
    product.version = row.version
    product.etag = etag(row.version)
    set_timestamp(product.create_time, row.create_time)
    set_timestamp(product.update_time, row.update_time)
    _fill_content(product.content, row, override)
    for image in row.images:
        product.images.add(**image)


def _fill_content(content: ProductContent, row: Row[Any], override: Mapping[str, Any]) -> None:
    content.sku = row.sku
    content.title = override.get("title", row.title)
    content.description = override.get("description", row.description)
    content.price.currency_code = override.get("price_currency", row.price_currency)
    content.price.amount_minor = override.get("price_minor", row.price_minor)
    content.stock_quantity = row.stock_quantity
    content.brand = row.brand
    content.category = row.category
    content.condition = _CONDITIONS[row.condition]
    for name, values in row.attributes.items():
        content.attributes[name].values.extend(values)
    _fill_details(content, row)


def _fill_details(content: ProductContent, row: Row[Any]) -> None:
    content.colors.extend(row.colors)
    content.size = row.size
    content.materials.extend(row.materials)
    if row.gender:
        content.gender = _GENDERS[row.gender]
    for name, millimetres in row.measurements_mm.items():
        content.measurements_mm[name] = millimetres
    content.weight_grams = row.weight_grams
    if row.package_size:
        content.package_size.MergeFrom(PackageSize(**row.package_size))
    if row.origin is not None:
        _fill_origin(content.origin, row.origin)


def _fill_origin(origin: Origin, values: Mapping[str, Any]) -> None:
    # An origin that says nothing is still there.
    origin.SetInParent()
    for name, value in values.items():
        setattr(origin, name, _WHO_MADE[value] if name == "who_made" else value)


def _override_message(marketplace: str, values: Mapping[str, Any]) -> MarketplaceOverride:
    override = MarketplaceOverride(
        marketplace=marketplace,
        title=values.get("title"),
        description=values.get("description"),
        category_id=values.get("category_id"),
    )
    if "price_currency" in values:
        override.price.currency_code = values["price_currency"]
        override.price.amount_minor = values["price_minor"]
    return override
