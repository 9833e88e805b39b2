"""Products between rows and messages."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from stoflow.catalog.v1.product_pb2 import (
    AttributeValues,
    Condition,
    Gender,
    MarketplaceOverride,
    Origin,
    PackageSize,
    Product,
    ProductContent,
    WhoMade,
)
from stoflow.common.v1.money_pb2 import Money

from stoflow_orchestrator.messages.product import (
    content_values,
    fill_product_for_marketplace,
    product_message,
)
from stoflow_orchestrator.messages.times import to_datetime, to_timestamp
from stoflow_orchestrator.services.currencies import CURRENCY_CODES
from stoflow_orchestrator.services.product_checks import currency_violations

TIME = datetime(2026, 1, 5, 9, 0, 0, 123456, tzinfo=UTC)

money = st.builds(
    Money, currency_code=st.sampled_from(sorted(CURRENCY_CODES)), amount_minor=st.integers(0, 10**11)
)
texts = st.text(max_size=20)
overrides = st.lists(
    st.builds(
        MarketplaceOverride,
        marketplace=st.sampled_from(["ebay", "etsy", "vinted"]),
        title=st.none() | texts,
        description=st.none() | texts,
        price=st.none() | money,
        category_id=st.none() | texts,
    ),
    unique_by=lambda override: override.marketplace,
    max_size=3,
).map(lambda found: sorted(found, key=lambda override: override.marketplace))
origins = st.builds(
    Origin,
    who_made=st.sampled_from(WhoMade.values()),
    is_made_to_order=st.booleans(),
    made_from_year=st.sampled_from([0, 1990]),
    made_to_year=st.sampled_from([0, 1999]),
    is_supply=st.booleans(),
)
contents = st.builds(
    ProductContent,
    sku=texts,
    title=texts,
    description=texts,
    price=money,
    stock_quantity=st.integers(0, 1_000_000),
    brand=texts,
    category=texts,
    condition=st.sampled_from([number for number in Condition.values() if number]),
    attributes=st.dictionaries(
        texts, st.builds(AttributeValues, values=st.lists(texts, max_size=3)), max_size=3
    ),
    overrides=overrides,
    colors=st.lists(texts, max_size=3),
    size=texts,
    materials=st.lists(texts, max_size=3),
    gender=st.sampled_from(Gender.values()),
    measurements_mm=st.dictionaries(texts, st.integers(1, 100_000), max_size=3),
    weight_grams=st.integers(0, 10_000_000),
    package_size=st.none() | st.builds(PackageSize, length_mm=st.integers(1, 9), width_mm=st.integers(1, 9)),
    origin=st.none() | origins,
)


def row(content: ProductContent) -> Any:
    values = content_values(content)
    return cast(
        "Any",
        SimpleNamespace(
            product_id=UUID(int=1), version=3, create_time=TIME, update_time=TIME, images=[], **values
        ),
    )


@given(contents)
def test_content_survives_its_row(content: ProductContent) -> None:
    """Whatever a caller said of a product comes back from its row."""
    assert product_message(7, row(content)).content == content


@given(contents, st.sampled_from(["ebay", "etsy", "vinted", "other"]))
def test_marketplace_gets_its_override(content: ProductContent, marketplace: str) -> None:
    """Fields present in the marketplace's override replace the product's own, empty texts too; no other does."""
    override = next((o for o in content.overrides if o.marketplace == marketplace), MarketplaceOverride())
    product = Product()
    fill_product_for_marketplace(product, 7, row(content), marketplace)
    seen = product.content
    assert seen.title == (override.title if override.HasField("title") else content.title)
    assert seen.description == (
        override.description if override.HasField("description") else content.description
    )
    assert seen.price == (override.price if override.HasField("price") else content.price)
    assert not seen.overrides
    assert (seen.origin, seen.colors, seen.weight_grams) == (
        content.origin,
        content.colors,
        content.weight_grams,
    )
    assert (seen.sku, seen.category, seen.attributes) == (content.sku, content.category, content.attributes)


def test_prices_in_unknown_currencies_are_named() -> None:
    """The product's own price and each override's are judged, and each wrong one is named."""
    content = ProductContent(
        price=Money(currency_code="XXX"),
        overrides=[
            MarketplaceOverride(price=Money(currency_code="EUR")),
            MarketplaceOverride(),
            MarketplaceOverride(price=Money(currency_code="DEM")),
        ],
    )
    assert [violation.field for violation in currency_violations(content)] == [
        "content.price.currency_code",
        "content.overrides[2].price.currency_code",
    ]


def test_currencies_are_plausible() -> None:
    """The table holds the currencies of the marketplaces' sites and nothing that is no currency."""
    assert {
        "EUR",
        "USD",
        "GBP",
        "PLN",
        "CZK",
        "CAD",
        "AUD",
        "CHF",
        "SEK",
        "HUF",
        "RON",
        "DKK",
    } <= CURRENCY_CODES
    assert not {"XXX", "XTS", "XAU", "DEM", "HRK", "BGN"} & CURRENCY_CODES
    assert 150 <= len(CURRENCY_CODES) <= 170


def test_times_keep_their_microseconds() -> None:
    """A time survives the way into a Timestamp and back."""
    assert to_datetime(to_timestamp(TIME)) == TIME


@pytest.mark.parametrize(
    "timestamp",
    [
        Timestamp(seconds=-1),
        Timestamp(seconds=2**62),
        Timestamp(seconds=-(2**62)),
        Timestamp(seconds=253402300799),
        Timestamp(seconds=1, nanos=-5),
        Timestamp(seconds=1, nanos=2**31 - 1),
    ],
)
def test_impossible_times_are_refused(timestamp: Timestamp) -> None:
    """Times that no table can hold, and malformed ones, are a ValueError and nothing else."""
    with pytest.raises(ValueError, match=r".+"):
        to_datetime(timestamp)
