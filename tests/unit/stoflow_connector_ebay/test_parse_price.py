"""Reading amounts that eBay wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_connector_ebay.price import format_price, parse_price


@given(st.integers(0, 10**12), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_reading_undoes_writing(minor: int, currency: str) -> None:
    """Whatever amount is written for eBay is read back the same."""
    assert parse_price(format_price(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [("19.990", "EUR", 1999), ("5", "EUR", 500), ("19.999", "EUR", None), ("1.5", "JPY", None)],
)
def test_parts_of_a_minor_unit_are_no_amount(value: str, currency: str, minor: int | None) -> None:
    """Further zeros are harmless; a tenth of a cent is not rounded away."""
    assert parse_price(value, currency) == minor


@pytest.mark.parametrize("value", ["", "free", "NaN", "Infinity"])
def test_what_is_no_number_is_no_amount(value: str) -> None:
    """Nothing is made of a text that is no number."""
    assert parse_price(value, "EUR") is None
