"""The inventory at the Etsy sandbox: full replacement, and what its body may and may not hold."""

from typing import Any

import pytest

from tests.integration.sandbox_etsy.etsy_client import EtsyClient
from tests.unit.stoflow_sandbox.marketplaces.etsy_site import error

SIZE = 62809790503


def offering(etsy: EtsyClient, price: float = 39.0, quantity: int = 1, **changes: Any) -> dict[str, Any]:
    known = {
        "price": price,
        "quantity": quantity,
        "is_enabled": True,
        "readiness_state_id": etsy.shop.readiness_state_ids[0],
    }
    return known | changes


def variation(etsy: EtsyClient, size: str, sku: str, **changes: Any) -> dict[str, Any]:
    value = {
        "property_id": SIZE,
        "property_name": "Size",
        "scale_id": 301,
        "value_ids": [1],
        "values": [size],
    }
    return {"sku": sku, "property_values": [value], "offerings": [offering(etsy, **changes)]}


def two_sizes(etsy: EtsyClient) -> dict[str, Any]:
    return {
        "products": [
            variation(etsy, "S", "D-S", price=39.0, quantity=1),
            variation(etsy, "M", "D-M", price=41.0, quantity=2),
        ],
        "price_on_property": [SIZE],
        "quantity_on_property": [SIZE],
        "sku_on_property": [SIZE],
    }


def test_inventory_sets_sku_price_and_quantity(etsy: EtsyClient) -> None:
    """What was put is read back, with the price as Money, and the listing shows it."""
    listing_id = etsy.draft()

    etsy.put_inventory(listing_id, etsy.inventory_body("DRESS-9", price=12.5, quantity=7))

    product = etsy.call("GET", f"/listings/{listing_id}/inventory").json()["products"][0]
    listing = etsy.listing(listing_id)
    assert product["sku"] == "DRESS-9"
    assert product["offerings"][0]["price"] == {"amount": 1250, "divisor": 100, "currency_code": "USD"}
    assert (listing["quantity"], listing["price"]["amount"], listing["skus"]) == (7, 1250, ["DRESS-9"])


def test_what_the_read_answers_cannot_be_put_back_as_it_is(etsy: EtsyClient) -> None:
    """The read's own fields and its Money are refused by name."""
    listing_id = etsy.draft()
    etsy.put_inventory(listing_id, two_sizes(etsy))
    read = etsy.call("GET", f"/listings/{listing_id}/inventory").json()

    refused = etsy.put_inventory(listing_id, read)

    assert refused.status_code == 400
    for name in ("product_id", "offering_id", "is_deleted", "scale_name", "price: expected"):
        assert name in error(refused)


def test_leaving_out_property_values_loses_the_variations(etsy: EtsyClient) -> None:
    """A replacement is whole: a body without variations leaves a listing without variations."""
    listing_id = etsy.draft()
    etsy.put_inventory(listing_id, two_sizes(etsy))
    assert etsy.listing(listing_id)["has_variations"] is True

    etsy.put_inventory(listing_id)

    inventory = etsy.listing(listing_id)["inventory"]
    assert etsy.listing(listing_id)["has_variations"] is False
    assert (len(inventory["products"]), inventory["price_on_property"]) == (1, [])


def test_leaving_out_on_property_is_refused_while_values_differ(etsy: EtsyClient) -> None:
    """Prices that differ by size need price_on_property; nothing changes without it."""
    listing_id = etsy.draft()
    etsy.put_inventory(listing_id, two_sizes(etsy))
    body = two_sizes(etsy)
    del body["price_on_property"]

    refused = etsy.put_inventory(listing_id, body)

    assert (refused.status_code, "price_on_property" in error(refused)) == (400, True)
    assert etsy.listing(listing_id)["inventory"]["price_on_property"] == [SIZE]


def test_a_variation_that_stays_keeps_its_number(etsy: EtsyClient) -> None:
    """The same property values are the same product; the numbers of the others are new."""
    listing_id = etsy.draft()
    before = etsy.put_inventory(listing_id, two_sizes(etsy)).json()["products"]
    body = two_sizes(etsy)
    body["products"][1] = variation(etsy, "L", "D-L", price=41.0, quantity=2)

    after = etsy.put_inventory(listing_id, body).json()["products"]

    assert after[0]["product_id"] == before[0]["product_id"]
    assert after[1]["product_id"] not in {one["product_id"] for one in before}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantity": 0}, "greater than 0"),
        ({"is_enabled": False}, "enabled"),
        ({"quantity": 1000}, "Quantity"),
        ({"price": 0.05}, "Price"),
        ({"price": "39.00"}, "expected float"),
        ({"quantity": True}, "expected int"),
        ({"readiness_state_id": 1}, "readiness_state_id"),
        ({"offering_id": 1}, "not allowed"),
    ],
    ids=str,
)
def test_wrong_offerings_are_refused(etsy: EtsyClient, change: dict[str, Any], message: str) -> None:
    """All-zero stock, nothing enabled, and wrong or foreign values each have their message."""
    body = etsy.inventory_body()
    body["products"][0]["offerings"] = [offering(etsy, **change)]

    refused = etsy.put_inventory(etsy.draft(), body)

    assert (refused.status_code, message in error(refused)) == (400, True)


@pytest.mark.parametrize("name", ["price", "quantity", "is_enabled", "readiness_state_id"])
def test_every_key_of_an_offering_is_required(etsy: EtsyClient, name: str) -> None:
    """A missing key is refused; readiness_state_id may be null but not absent."""
    body = etsy.inventory_body()
    del body["products"][0]["offerings"][0][name]

    assert f"{name}: required" in error(etsy.put_inventory(etsy.draft(), body))


def test_readiness_may_be_null(etsy: EtsyClient) -> None:
    """Null leaves the readiness state of the listing."""
    body = etsy.inventory_body()
    body["products"][0]["offerings"] = [offering(etsy, readiness_state_id=None)]

    assert etsy.put_inventory(etsy.draft(), body).status_code == 200


@pytest.mark.parametrize("body", [{}, {"products": []}, {"products": ["x"]}, {"products": [{}]}, []], ids=str)
def test_bodies_of_the_wrong_shape_are_refused(etsy: EtsyClient, body: Any) -> None:
    """A body that is no inventory is refused before anything is read from it."""
    answer = etsy.call("PUT", f"/listings/{etsy.draft()}/inventory", json=body)

    assert answer.status_code == 400


def test_products_must_differ_and_share_their_properties(etsy: EtsyClient) -> None:
    """The same combination twice, or products of different properties, are refused."""
    twice = two_sizes(etsy)
    twice["products"][1]["property_values"][0]["values"] = ["S"]
    mixed = two_sizes(etsy)
    mixed["products"][1]["property_values"] = []

    assert "same property values" in error(etsy.put_inventory(etsy.draft(), twice))
    assert "same properties" in error(etsy.put_inventory(etsy.draft(), mixed))


def test_sku_has_at_most_32_characters(etsy: EtsyClient) -> None:
    """A longer SKU is refused by name."""
    refused = etsy.put_inventory(etsy.draft(), etsy.inventory_body("x" * 33))

    assert "longer than 32" in error(refused)
