"""What the manifest's schemas refuse before a job begins."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from jsonschema import Draft202012Validator
from stoflow.catalog.v1 import product_pb2
from stoflow.connector.v1 import task_pb2

from stoflow_connector_etsy.schemas import (
    ACCOUNT_SETTINGS_SCHEMA,
    DELETE_OPTIONS_SCHEMA,
    ORDER_OPTIONS_SCHEMA,
    PRODUCT_SCHEMA,
    UPDATED_PRODUCT_SCHEMA,
)
from tests.unit.stoflow_connector_etsy.samples import MAPPINGS, SETTINGS, make_product


def errors(schema: Any, content: Any) -> list[str]:
    found = Draft202012Validator(schema).iter_errors(content)
    return sorted(".".join(str(part) for part in error.absolute_path) for error in found)


def snapshot(product: product_pb2.Product, **mappings: str) -> Any:
    message = task_pb2.ProductSnapshot(product=product, mappings=mappings or MAPPINGS)
    return json_format.MessageToDict(message)


def test_product_that_etsy_takes_passes() -> None:
    """The sample passes both schemas, and so does one that is made to order."""
    ordered = product_pb2.Origin(who_made=product_pb2.WHO_MADE_SELLER, is_made_to_order=True)
    for product in (make_product(), make_product(origin=ordered)):
        assert errors(PRODUCT_SCHEMA, snapshot(product)) == []
        assert errors(UPDATED_PRODUCT_SCHEMA, snapshot(product)) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"sku": "x" * 33}, "product.content.sku"),
        ({"title": "x" * 141}, "product.content.title"),
        ({"description": "  "}, "product.content.description"),
        ({"stock": 1000}, "product.content.stockQuantity"),
        ({"stock": 0}, "product.content"),
        ({"amount_minor": 0}, "product.content.price"),
        ({"origin": product_pb2.Origin(made_from_year=1990, made_to_year=1990)}, "product.content.origin"),
        ({"origin": product_pb2.Origin(who_made=product_pb2.WHO_MADE_SELLER)}, "product.content.origin"),
        ({"images": []}, "product"),
        ({"images": [("", b"x")] * 21}, "product.images"),
    ],
)
def test_product_that_etsy_refuses_is_refused_early(changes: dict[str, Any], path: str) -> None:
    """Each of Etsy's general rules is one violation at its field."""
    assert errors(PRODUCT_SCHEMA, snapshot(make_product(**changes))) == [path]


def test_condition_does_not_stand_for_the_origin() -> None:
    """A product with a condition and without an origin is refused: neither maker nor year follows from it."""
    product = make_product()
    product.content.ClearField("origin")
    assert errors(PRODUCT_SCHEMA, snapshot(product)) == ["product.content"]


def test_update_takes_a_product_without_stock_and_pictures() -> None:
    """What is sold out can be updated, which takes it off the market."""
    assert errors(UPDATED_PRODUCT_SCHEMA, snapshot(make_product(stock=0, images=[]))) == []


def test_category_must_be_an_id_of_etsys() -> None:
    """Another marketplace's or our own key of a category is refused."""
    assert errors(PRODUCT_SCHEMA, snapshot(make_product(), category="clothing/dresses")) == [
        "mappings.category"
    ]


def test_settings_and_options_are_closed() -> None:
    """A shop is needed, ids are texts of digits, and what nobody reads is refused."""
    assert errors(ACCOUNT_SETTINGS_SCHEMA, SETTINGS) == []
    assert errors(ACCOUNT_SETTINGS_SCHEMA, {"shopId": "7"}) == []
    assert errors(ACCOUNT_SETTINGS_SCHEMA, {}) == [""]
    assert errors(ACCOUNT_SETTINGS_SCHEMA, {"shopId": "seven", "color": "x"}) == ["", "shopId"]
    assert errors(DELETE_OPTIONS_SCHEMA, {"method": "DELETE"}) == []
    assert errors(DELETE_OPTIONS_SCHEMA, {"method": "WITHDRAW"}) == ["method"]
    assert errors(ORDER_OPTIONS_SCHEMA, {"overlapHours": 0, "revisitDays": 30}) == ["overlapHours"]
