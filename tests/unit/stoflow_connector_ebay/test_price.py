"""Prices are strings with the digits of their currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_connector_ebay.price import format_price, minor_digits
from stoflow_connector_ebay.sites import SITES


@pytest.mark.parametrize(
    ("amount_minor", "currency", "expected"),
    [
        (1999, "EUR", "19.99"),
        (5, "USD", "0.05"),
        (100, "GBP", "1.00"),
        (1999, "JPY", "1999"),
        (0, "JPY", "0"),
        (1999, "KWD", "1.999"),
        (7, "BHD", "0.007"),
        (100_000_000_000, "USD", "1000000000.00"),
    ],
)
def test_price_has_the_digits_of_its_currency(amount_minor: int, currency: str, expected: str) -> None:
    """An amount is written with as many digits after the point as ISO 4217 gives its currency."""
    assert format_price(amount_minor, currency) == expected


@given(
    amount_minor=st.integers(0, 100_000_000_000),
    currency=st.sampled_from(["USD", "EUR", "JPY", "KRW", "KWD", "TND", "CLF", "XYZ"]),
)
def test_price_loses_nothing(amount_minor: int, currency: str) -> None:
    """Reading the text back as a decimal gives the amount again, with exactly the currency's digits."""
    text = format_price(amount_minor, currency)
    digits = minor_digits(currency)
    assert Decimal(text) == Decimal(amount_minor).scaleb(-digits)
    assert len(text.partition(".")[2]) == digits
    assert "E" not in text


def test_currencies_of_all_sites_are_written_with_cents() -> None:
    """Every currency that an eBay site sells in has two digits, which is all that eBay takes."""
    assert {minor_digits(site.currency) for site in SITES.values()} == {2}
