"""The product that the demo sells."""

from __future__ import annotations

from collections.abc import Mapping

from stoflow.catalog.v1.product_pb2 import (
    CONDITION_VERY_GOOD,
    WHO_MADE_SOMEONE_ELSE,
    AttributeValues,
    MarketplaceOverride,
    Origin,
    ProductContent,
)
from stoflow.common.v1.money_pb2 import Money

SKU = "DEMODRESS2"
# "Dresses" in the sandbox's seller taxonomy: a real seller maps the categories of the reference data.
ETSY_CATEGORY_ID = "561"
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
        sku=SKU,
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
        origin=Origin(who_made=WHO_MADE_SOMEONE_ELSE, made_from_year=2012, made_to_year=2014),
        size="m",
        attributes={name: AttributeValues(values=[value]) for name, value in ATTRIBUTES.items()},
        overrides=[MarketplaceOverride(marketplace="etsy", category_id=ETSY_CATEGORY_ID)],
    )


def second_product() -> ProductContent:
    """Returns two more dresses of one kind, of which one is sold and the other taken off again."""
    return ProductContent(
        sku="DEMODRESS9",
        title="Sage summer dress, linen, size L",
        description="A light A-line dress of pure linen, unworn.\nTwo of them are there.",
        price=Money(currency_code="USD", amount_minor=2400),
        stock_quantity=2,
        brand="Atelier Demo",
        category="clothing/women/dresses",
        condition=CONDITION_VERY_GOOD,
        attributes={
            name: AttributeValues(values=[value])
            for name, value in {**ATTRIBUTES, "Size": "L", "Color": "Green"}.items()
        },
    )
