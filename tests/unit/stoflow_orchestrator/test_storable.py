"""What PostgreSQL cannot hold."""

from __future__ import annotations

import math

import pytest
from google.protobuf.struct_pb2 import Struct
from stoflow.accounts.v1.account_service_pb2 import CreateAccountRequest
from stoflow.catalog.v1.product_pb2 import AttributeValues, MarketplaceOverride, ProductContent

from stoflow_orchestrator.storable import check_storable, storable_violations
from stoflow_service_kit.errors import InvalidArgumentError


def test_ordinary_message_is_storable() -> None:
    """Texts of every script, empty ones, numbers and nested values have no violation."""
    settings = Struct()
    settings.update({"a": [1, {"b": None, "c": True}], "d": "ü🌞\x01"})
    request = CreateAccountRequest(display_name="Größe", sites=["EBAY_US"], settings=settings)
    assert storable_violations(request) == []
    check_storable(request)


def test_every_unstorable_value_is_named_by_its_path() -> None:
    """NUL in plain, optional, repeated, map and nested fields is found in one go."""
    content = ProductContent(
        title="\0",
        attributes={"Size": AttributeValues(values=["M", "L\0"]), "x\0": AttributeValues(values=["S\0"])},
        overrides=[MarketplaceOverride(marketplace="ebay", description="a\0")],
    )
    paths = sorted(violation.field for violation in storable_violations(content, "content"))
    assert paths == [
        "content.attributes",
        'content.attributes["Size"].values[1]',
        'content.attributes["x\\0"].values[0]',
        "content.overrides[0].description",
        "content.title",
    ]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_infinite_numbers_are_refused(number: float) -> None:
    """JSON has neither NaN nor infinity, wherever in a Struct they stand."""
    settings = Struct()
    settings.update({"a": [1, {"b": number}]})
    with pytest.raises(InvalidArgumentError) as caught:
        check_storable(CreateAccountRequest(settings=settings))
    (violation,) = caught.value.violations
    assert violation.field.startswith('settings.fields["a"]')
