"""A product, an account and a task as the runtime hands them to the service."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from stoflow.catalog.v1 import product_pb2
from stoflow.common.v1.money_pb2 import Money

from stoflow_connector_sdk import EffectGrant, Lease, TaskContext, TaskOutputs
from stoflow_connector_sdk.testing import FixedListings

SETTINGS: Mapping[str, Any] = {
    "EBAY_US": {
        "fulfillmentPolicyId": "F1",
        "paymentPolicyId": "P1",
        "returnPolicyId": "R1",
        "merchantLocationKey": "main",
    }
}
MAPPINGS = {"category": "63861", "condition": "USED_EXCELLENT"}


def make_product(
    *,
    sku: str = "DRESS1",
    title: str = "Summer dress",
    description: str = "Light cotton dress.\nWorn < 3 times & washed.",
    currency: str = "USD",
    amount_minor: int = 1999,
    images: Sequence[tuple[str, bytes]] = (("", b"one"), ("", b"two"), ("", b"three")),
) -> product_pb2.Product:
    """Makes a dress that eBay takes; `images` are addresses with the bytes behind them."""
    return product_pb2.Product(
        product_id="0192f0c3-0000-7000-8000-000000000001",
        tenant_id=42,
        version=1,
        content=product_pb2.ProductContent(
            sku=sku,
            title=title,
            description=description,
            price=Money(currency_code=currency, amount_minor=amount_minor),
            stock_quantity=2,
            brand="Marimekko",
            category="clothing/women/dresses",
            condition=product_pb2.CONDITION_VERY_GOOD,
            attributes={
                name: product_pb2.AttributeValues(values=values)
                for name, values in {
                    "Size": ["M"],
                    "Color": ["Blue"],
                    "Department": ["Women"],
                    "Material": ["Cotton", "Linen"],
                }.items()
            },
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


class Tokens:
    """Gives out tokens and remembers which were refused."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens) or ["token-1", "token-2"]
        self.refused: list[str] = []

    async def get_access_token(self, task: TaskContext, refused: str = "") -> str:
        if refused:
            self.refused.append(refused)
            self._tokens.remove(refused)
        return self._tokens[0]


def make_task(
    name: str = "create_offer",
    *,
    product: product_pb2.Product | None = None,
    site: str = "EBAY_US",
    settings: Mapping[str, Any] | None = None,
    mappings: Mapping[str, str] | None = None,
    outputs: Mapping[str, list[Mapping[str, Any]]] | None = None,
    item_index: int | None = None,
    effect: EffectGrant | None = None,
    tokens: Any = None,
    lease_seconds: float = 600.0,
) -> TaskContext:
    """Makes one attempt at a step of publish."""
    lease = Lease(lease_seconds, sent_at=0.0, monotonic=lambda: 0.0)
    return TaskContext(
        tenant_id=42,
        job_id="0192f0c4-0000-7000-8000-000000000001",
        task_id="0192f0c4-0000-7000-8000-000000000002",
        action="publish",
        name=name,
        lease=lease,
        item_index=item_index,
        site=site,
        account_id="0192f0c3-0000-7000-8000-000000000009",
        account_settings=SETTINGS if settings is None else settings,
        mappings=MAPPINGS if mappings is None else mappings,
        outputs=TaskOutputs(outputs),
        effect=effect,
        product_or_none=make_product() if product is None else product,
        token_source=tokens or Tokens(),
        listing_source=FixedListings(),
    )
