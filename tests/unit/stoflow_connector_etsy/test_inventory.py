"""Inventories are read, merged and written back whole."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from stoflow_connector_etsy.inventory import merged_inventory, skus, total_quantity, writable
from stoflow_connector_sdk import PermanentError
from tests.unit.stoflow_connector_etsy.samples import make_terms


def offering(price: int = 1000, quantity: int = 3, **values: Any) -> dict[str, Any]:
    return {
        "offering_id": 5,
        "quantity": quantity,
        "is_enabled": True,
        "is_deleted": False,
        "price": {"amount": price, "divisor": 100, "currency_code": "USD"},
        "readiness_state_id": 77,
        **values,
    }


def variation(sku: str, size: str, **values: Any) -> dict[str, Any]:
    return {
        "product_id": 9,
        "sku": sku,
        "is_deleted": False,
        "offerings": [offering(**values)],
        "property_values": [
            {
                "property_id": 100,
                "property_name": "Size",
                "scale_id": 19,
                "scale_name": "US",
                "value_ids": [4],
                "values": [size],
            }
        ],
    }


def inventory(*products: dict[str, Any], **on_property: list[int]) -> dict[str, Any]:
    return {
        "products": list(products),
        "price_on_property": [],
        "quantity_on_property": [],
        "sku_on_property": [],
        "readiness_state_on_property": [],
        **on_property,
    }


def test_new_listing_gets_sku_price_and_stock() -> None:
    """A listing without an inventory gets one product, with the account's processing profile."""
    body = merged_inventory({}, make_terms())
    assert body["products"] == [
        {
            "sku": "DRESS-1",
            "property_values": [],
            "offerings": [
                {"price": 19.99, "quantity": 2, "is_enabled": True, "readiness_state_id": 51},
            ],
        }
    ]


def test_what_is_read_only_is_not_written() -> None:
    """Ids, deleted parts and scale names are dropped, prices become numbers, nothing else is lost."""
    gone = variation("gone", "XL") | {"is_deleted": True}
    existing = inventory(variation("A", "M", price=1234), gone, sku_on_property=[100])
    before = deepcopy(existing)
    assert writable(existing) == {
        "products": [
            {
                "sku": "A",
                "property_values": [
                    {
                        "property_id": 100,
                        "property_name": "Size",
                        "scale_id": 19,
                        "value_ids": [4],
                        "values": ["M"],
                    }
                ],
                "offerings": [
                    {"price": 12.34, "quantity": 3, "is_enabled": True, "readiness_state_id": 77},
                ],
            }
        ],
        "price_on_property": [],
        "quantity_on_property": [],
        "sku_on_property": [100],
        "readiness_state_on_property": [],
    }
    assert existing == before


def test_variations_survive_and_only_ours_changes() -> None:
    """Where variations have prices, stocks and SKUs of their own, those of the others stay as they are."""
    on_property = {name: [100] for name in ("price_on_property", "quantity_on_property", "sku_on_property")}
    existing = inventory(variation("other", "S"), variation("DRESS-1", "M"), **on_property)
    body = merged_inventory(existing, make_terms(stock=7))
    other, ours = body["products"]
    assert other == writable(existing)["products"][0]
    assert (ours["sku"], ours["offerings"][0]["price"], ours["offerings"][0]["quantity"]) == (
        "DRESS-1",
        19.99,
        7,
    )
    assert {name: body[name] for name in on_property} == on_property
    assert [one["property_values"][0]["values"] for one in body["products"]] == [["S"], ["M"]]


def test_what_variations_share_changes_in_all() -> None:
    """A price that does not vary is set in every variation; a stock that does, only in ours."""
    existing = inventory(
        variation("other", "S", quantity=4),
        variation("DRESS-1", "M"),
        quantity_on_property=[100],
        sku_on_property=[100],
    )
    body = merged_inventory(existing, make_terms())
    assert [one["offerings"][0]["price"] for one in body["products"]] == [19.99, 19.99]
    assert [one["offerings"][0]["quantity"] for one in body["products"]] == [4, 2]


def test_variations_that_are_not_ours_are_left_to_the_seller() -> None:
    """Which of several variations the product is must not be guessed."""
    existing = inventory(variation("A", "S"), variation("B", "M"), price_on_property=[100])
    with pytest.raises(PermanentError, match="DRESS-1") as caught:
        merged_inventory(existing, make_terms())
    assert [one.field for one in caught.value.violations] == ["product.content.sku"]


def test_processing_profile_of_the_seller_stays() -> None:
    """A processing profile set at Etsy is kept; only where there is none the account's is set."""
    existing = inventory(
        {"sku": "", "offerings": [offering(), offering(readiness_state_id=None)], "property_values": []}
    )
    (product,) = merged_inventory(existing, make_terms())["products"]
    assert [one["readiness_state_id"] for one in product["offerings"]] == [77, 51]


def test_only_what_buyers_can_have_counts() -> None:
    """Deleted and disabled parts are not in stock, and have no SKU that counts."""
    existing = inventory(
        variation("A", "S", quantity=2),
        variation("A", "M", quantity=5, is_enabled=False),
        variation("B", "L", quantity=9) | {"is_deleted": True},
    )
    assert total_quantity(existing) == 2
    assert skus(existing) == ["A"]
    assert skus(None) == []
