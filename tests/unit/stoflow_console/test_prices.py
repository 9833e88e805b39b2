"""Prices as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_console.prices import PriceError, minor_amount


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("19.99", "EUR", 1999),
        ("19,99", "EUR", 1999),
        ("19", "EUR", 1900),
        ("19.9", "EUR", 1990),
        ("19.900", "EUR", 1990),
        ("0.07", "USD", 7),
        ("1999", "JPY", 1999),
        ("1.999", "KWD", 1999),
        ("-5", "EUR", -500),
        (" 5 ", "", 500),
    ],
)
def test_price_becomes_minor_units(text: str, currency: str, minor: int) -> None:
    """A price has as many digits behind its point or comma as its currency has; the service judges its sign."""
    assert minor_amount(text, currency) == minor


@pytest.mark.parametrize(
    "text", ["", "abc", "1,999.90", "1.9.9", "1 000", "1e3", "NaN", "1_0", "٣", "9" * 20, "1,"]
)
def test_other_texts_are_no_prices(text: str) -> None:
    """Nothing is guessed: what is not plainly a number is refused."""
    with pytest.raises(PriceError):
        minor_amount(text, "EUR")


@pytest.mark.parametrize(("text", "currency"), [("19.999", "EUR"), ("1.5", "JPY"), ("0.00001", "CLF")])
def test_nothing_is_rounded(text: str, currency: str) -> None:
    """Digits that the currency does not have are an error that says so."""
    with pytest.raises(PriceError, match="decimals"):
        minor_amount(text, currency)


@given(st.integers(0, 10**11))
def test_every_amount_is_read_back(minor: int) -> None:
    """Writing an amount with its point and reading it loses nothing."""
    whole, cents = divmod(minor, 100)
    assert minor_amount(f"{whole}.{cents:02d}", "EUR") == minor
