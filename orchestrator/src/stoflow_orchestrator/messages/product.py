"""Products between table rows and messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row
from stoflow.catalog.v1.product_pb2 import (
    AttributeValues,
    Condition,
    MarketplaceOverride,
    Product,
    ProductContent,
    ProductImage,
)
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.messages.times import to_timestamp

CONDITION_PREFIX = "CONDITION_"


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
    }


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
    content = _content(row, {})
    content.overrides.extend(
        _override_message(marketplace, values) for marketplace, values in sorted(row.overrides.items())
    )
    return _product(tenant_id, row, content)


def product_for_marketplace(tenant_id: int, row: Row[Any], marketplace: str) -> Product:
    """Converts a product as one marketplace gets it: its override applied, none left."""
    return _product(tenant_id, row, _content(row, row.overrides.get(marketplace, {})))


def _product(tenant_id: int, row: Row[Any], content: ProductContent) -> Product:
    return Product(
        product_id=str(row.product_id),
        tenant_id=tenant_id,
        content=content,
        images=_images(row.images),
        version=row.version,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
    )


def _content(row: Row[Any], override: Mapping[str, Any]) -> ProductContent:
    return ProductContent(
        sku=row.sku,
        title=override.get("title", row.title),
        description=override.get("description", row.description),
        price=Money(
            currency_code=override.get("price_currency", row.price_currency),
            amount_minor=override.get("price_minor", row.price_minor),
        ),
        stock_quantity=row.stock_quantity,
        brand=row.brand,
        category=row.category,
        condition=Condition.Value(CONDITION_PREFIX + row.condition),
        attributes={name: AttributeValues(values=values) for name, values in row.attributes.items()},
    )


def _images(images: Sequence[Mapping[str, Any]]) -> list[ProductImage]:
    return [ProductImage(**image) for image in images]


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
