"""A product, an account and a task as the runtime hands them to the services."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stoflow.catalog.v1 import product_pb2
from stoflow.common.v1.money_pb2 import Money

from stoflow_connector_etsy.listing_terms import ListingTerms
from stoflow_connector_sdk import TaskContext
from stoflow_connector_sdk.testing import make_task_context
from stoflow_service_kit.clock import ManualClock

SETTINGS: Mapping[str, Any] = {
    "shopId": "700",
    "shippingProfileId": "31",
    "returnPolicyId": "41",
    "readinessStateId": "51",
}
MAPPINGS = {"category": "1429"}
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def make_product(
    *,
    sku: str = "DRESS-1",
    title: str = "Summer dress",
    description: str = "Light cotton dress.\nWorn < 3 times & washed.",
    currency: str = "USD",
    amount_minor: int = 1999,
    stock: int = 2,
    origin: product_pb2.Origin | None = None,
    attributes: Mapping[str, Sequence[str]] | None = None,
    images: Sequence[tuple[str, bytes]] = (("", b"one"), ("", b"two"), ("", b"three")),
) -> product_pb2.Product:
    """Makes a vintage dress that Etsy takes; `images` are addresses with the bytes behind them."""
    made = product_pb2.Origin(
        who_made=product_pb2.WHO_MADE_SOMEONE_ELSE, made_from_year=1974, made_to_year=1976
    )
    return product_pb2.Product(
        product_id="0192f0c3-0000-7000-8000-000000000001",
        tenant_id=42,
        version=1,
        content=product_pb2.ProductContent(
            sku=sku,
            title=title,
            description=description,
            price=Money(currency_code=currency, amount_minor=amount_minor),
            stock_quantity=stock,
            category="clothing/women/dresses",
            condition=product_pb2.CONDITION_VERY_GOOD,
            attributes={
                name: product_pb2.AttributeValues(values=values)
                for name, values in (attributes or {"Tags": ["summer", "cotton"]}).items()
            },
            materials=["Cotton (organic)", "Linen"],
            weight_grams=350,
            origin=made if origin is None else origin,
        ),
        images=[
            product_pb2.ProductImage(
                image_id=f"image-{number}",
                content_sha256=hashlib.sha256(data).hexdigest(),
                content_type="image/jpeg",
                size_bytes=len(data),
                width_pixels=800,
                height_pixels=600,
                url=url,
            )
            for number, (url, data) in enumerate(images)
        ],
    )


def make_task(
    name: str = "create_draft",
    *,
    product: product_pb2.Product | None = None,
    settings: Mapping[str, Any] | None = None,
    mappings: Mapping[str, str] | None = None,
    **fields: Any,
) -> TaskContext:
    """Makes one attempt at a step, at noon of 24 November 2026."""
    return make_task_context(
        clock=ManualClock(NOW),
        name=name,
        account_settings=SETTINGS if settings is None else settings,
        mappings=MAPPINGS if mappings is None else mappings,
        product_or_none=make_product() if product is None else product,
        **fields,
    )


def make_terms(**product: Any) -> ListingTerms:
    """Makes the terms of a product."""
    return ListingTerms.from_task(make_task(product=make_product(**product)))
