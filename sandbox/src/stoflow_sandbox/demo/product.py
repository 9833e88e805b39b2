"""The product that the demo sells."""

from __future__ import annotations

from collections.abc import Mapping

from stoflow.catalog.v1.product_pb2 import (
    CONDITION_VERY_GOOD,
    AttributeValues,
    ProductContent,
)
from stoflow.common.v1.money_pb2 import Money

ATTRIBUTES: Mapping[str, str] = {
    "Size": "M",
    "Color": "Beige",
    "Department": "Women",
    "Material": "Linen",
    "Style": "A-Line",
}


def demo_product() -> ProductContent:
    """Returns a second-hand dress; every marketplace of the demo must take it."""
    return ProductContent(
        sku="DEMODRESS1",
        title="Linen summer dress with sage belt, size M",
        description=(
            "A light A-line dress of pure linen, worn twice.\n"
            "Three small buttons in front, a sage green belt, tied at the back.\n"
            "Washed at 30 degrees; comes from a smoke-free home."
        ),
        price=Money(currency_code="USD", amount_minor=3900),
        stock_quantity=1,
        brand="Atelier Demo",
        category="clothing/women/dresses",
        condition=CONDITION_VERY_GOOD,
        attributes={name: AttributeValues(values=[value]) for name, value in ATTRIBUTES.items()},
    )
