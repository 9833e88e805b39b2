"""What price rules make of prices."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_orchestrator.pricing import (
    MAX_AMOUNT_MINOR,
    PriceError,
    PriceRule,
    Rounding,
    RoundingMode,
    format_coefficient,
    parse_coefficient,
    rule_from_json,
)

CHARM = Rounding("UP", 100, 99)
AMOUNTS = st.integers(0, MAX_AMOUNT_MINOR // 10_000)
COEFFICIENTS = st.integers(1, 9_999_999_999)
MODES: tuple[RoundingMode, ...] = ("NEAREST", "UP", "DOWN")


@st.composite
def roundings(draw: st.DrawFn) -> Rounding:
    step = draw(st.integers(1, 10_000))
    return Rounding(draw(st.sampled_from(MODES)), step, draw(st.integers(0, step - 1)))


@pytest.mark.parametrize(
    ("rule", "amount", "price"),
    [
        (PriceRule(1_000_000), 1999, 1999),
        (PriceRule(1_150_000), 1000, 1150),
        # A float makes 1004 of it: 1.005 is a little less than it says there.
        (PriceRule(1_005_000), 1000, 1005),
        (PriceRule(1_000_500), 1000, 1001),
        (PriceRule(333_333), 100, 33),
        (PriceRule(1_150_000, "EUR", fee_minor=50), 1000, 1200),
        (PriceRule(1_150_000, "EUR", fee_minor=50, rounding=CHARM), 1000, 1299),
        (PriceRule(1_000_000, "EUR", rounding=CHARM), 1299, 1299),
        (PriceRule(1_000_000, "EUR", rounding=CHARM), 1300, 1399),
        (PriceRule(1_000_000, "EUR", rounding=Rounding("DOWN", 100, 99)), 1298, 1199),
        (PriceRule(1_000_000, "EUR", rounding=Rounding("DOWN", 100, 99)), 50, 99),
        (PriceRule(1_000_000, "EUR", rounding=Rounding("NEAREST", 100, 99)), 1249, 1299),
        (PriceRule(1_000_000, "EUR", rounding=Rounding("NEAREST", 100, 99)), 1248, 1199),
        (PriceRule(1_000_000, "EUR", rounding=Rounding("NEAREST", 50, 0)), 1025, 1050),
        (PriceRule(500_000, "EUR", minimum_minor=700), 1000, 700),
        (PriceRule(500_000, "EUR", minimum_minor=700), 2000, 1000),
        (PriceRule(1, "EUR"), 1, 0),
    ],
)
def test_rule_makes_the_price(rule: PriceRule, amount: int, price: int) -> None:
    """Multiplied, added to, rounded as told and raised to the minimum, in this order."""
    assert rule.apply("EUR", amount) == price


@given(AMOUNTS, COEFFICIENTS, st.integers(0, 10**6))
def test_arithmetic_is_exact(amount: int, coefficient: int, fee: int) -> None:
    """Without a rounding of its own the price is the exact one, halves going up."""
    exact = Decimal(amount) * Decimal(coefficient).scaleb(-6) + fee
    expected = int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    assert PriceRule(coefficient, "EUR", fee_minor=fee).apply("EUR", amount) == expected


@given(AMOUNTS, COEFFICIENTS, roundings())
def test_rounded_price_is_allowed_and_near(amount: int, coefficient: int, rounding: Rounding) -> None:
    """A rounded price is an allowed one, on the right side, and less than a step away."""
    price = PriceRule(coefficient, "EUR", rounding=rounding).apply("EUR", amount)
    exact = Fraction(amount * coefficient, 10**6)
    assert price >= rounding.ending_minor
    assert (price - rounding.ending_minor) % rounding.step_minor == 0
    if price == rounding.ending_minor and exact < price:
        return
    distance = price - exact
    if rounding.mode == "UP":
        assert 0 <= distance < rounding.step_minor
    elif rounding.mode == "DOWN":
        assert -rounding.step_minor < distance <= 0
    else:
        assert 2 * abs(distance) <= rounding.step_minor


@given(AMOUNTS, AMOUNTS, COEFFICIENTS, roundings())
def test_dearer_product_is_never_cheaper(one: int, other: int, coefficient: int, rounding: Rounding) -> None:
    """A rule keeps the order of prices."""
    rule = PriceRule(coefficient, "EUR", rounding=rounding)
    assert rule.apply("EUR", min(one, other)) <= rule.apply("EUR", max(one, other))


def test_other_currency_is_refused() -> None:
    """Amounts in euros are never added to dollars; a bare coefficient takes any currency."""
    with pytest.raises(PriceError, match="is for EUR, and the price is in USD"):
        PriceRule(1_000_000, "EUR", fee_minor=1).apply("USD", 100)
    assert PriceRule(2_000_000).apply("USD", 100) == 200


def test_price_that_no_message_takes_is_refused() -> None:
    """A price beyond what the contract can carry is a problem, not a number."""
    assert PriceRule(1_000_000).apply("EUR", MAX_AMOUNT_MINOR) == MAX_AMOUNT_MINOR
    with pytest.raises(PriceError, match="too high"):
        PriceRule(1_000_001).apply("EUR", MAX_AMOUNT_MINOR)


@pytest.mark.parametrize(
    ("text", "millionths", "shortest"),
    [("1.15", 1_150_000, "1.15"), ("0.000001", 1, "0.000001"), ("9999.999999", 9_999_999_999, "9999.999999"),
     ("2", 2_000_000, "2"), ("10.500", 10_500_000, "10.5"), ("0010", 10_000_000, "10")],
)  # fmt: skip
def test_coefficients_are_read_exactly(text: str, millionths: int, shortest: str) -> None:
    """A decimal number becomes millionths and the shortest such number again."""
    assert parse_coefficient(text) == millionths
    assert format_coefficient(millionths) == shortest


@given(st.builds(PriceRule, COEFFICIENTS, st.just("EUR"), AMOUNTS, AMOUNTS, st.none() | roundings()))
def test_rule_survives_its_column(rule: PriceRule) -> None:
    """What is stored is read back."""
    assert rule_from_json(rule.to_json()) == rule
