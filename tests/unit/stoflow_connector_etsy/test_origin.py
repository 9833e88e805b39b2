"""Who made it and when, in Etsy's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stoflow.catalog.v1 import product_pb2

from stoflow_connector_etsy.origin import eras, when_made, who_made
from stoflow_connector_sdk import Violation

# The enumeration of createDraftListing in the Open API v3 document of 12 February 2026.
DOCUMENTED = {
    "made_to_order", "2020_2026", "2010_2019", "2007_2009", "before_2007", "2000_2006", "1990s", "1980s",
    "1970s", "1960s", "1950s", "1940s", "1930s", "1920s", "1910s", "1900s", "1800s", "1700s", "before_1700",
}  # fmt: skip


def origin(first: int = 0, last: int = 0, *, is_made_to_order: bool = False) -> product_pb2.Origin:
    return product_pb2.Origin(made_from_year=first, made_to_year=last, is_made_to_order=is_made_to_order)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (2024, 2024, "2020_2026"),
        (2010, 2019, "2010_2019"),
        (2007, 2009, "2007_2009"),
        (2006, 2006, "2000_2006"),
        (1974, 1976, "1970s"),
        (1900, 1909, "1900s"),
        (1850, 1899, "1800s"),
        (1700, 1799, "1700s"),
        (1500, 1650, "before_1700"),
        # Vintage for certain, and no more is known.
        (1985, 2003, "before_2007"),
        (1650, 1720, "before_2007"),
    ],
)
def test_years_name_the_era_that_holds_them(first: int, last: int, expected: str) -> None:
    """A range of years within one era is that era; one of several eras that are all vintage is vintage."""
    violations: list[Violation] = []
    assert when_made(origin(first, last), 2026, violations) == expected
    assert violations == []


def test_made_to_order_has_no_years() -> None:
    """What is made when it is ordered says so."""
    assert when_made(origin(is_made_to_order=True), 2026, []) == "made_to_order"


@pytest.mark.parametrize(("first", "last"), [(0, 0), (1995, 2015), (2005, 2008), (2015, 2024), (2027, 2027)])
def test_years_that_name_no_era_are_a_violation(first: int, last: int) -> None:
    """Nothing is guessed: unknown years, years to come and ranges across the vintage line are told to the seller."""
    violations: list[Violation] = []
    assert when_made(origin(first, last), 2026, violations) == ""
    assert [one.field.startswith("product.content.origin") for one in violations] == [True]


def test_eras_of_2026_are_the_documented_ones() -> None:
    """The names that the rule makes for the year of the document are exactly the document's."""
    made = {name for name, _, _ in eras(2026)} | {"made_to_order", "before_2007"}
    assert made == DOCUMENTED


@given(year=st.integers(2026, 2029), first=st.integers(1, 2029), length=st.integers(0, 400))
def test_eras_follow_one_another_without_a_gap(year: int, first: int, length: int) -> None:
    """Any single year has an era, and whatever ended twenty years ago is vintage at least."""
    last = min(first + length, year)
    first = min(first, last)
    violations: list[Violation] = []
    found = when_made(origin(first, last), year, violations)
    if first == last or last <= year - 20:
        assert found
    assert bool(found) != bool(violations)


def test_who_made_is_never_guessed() -> None:
    """Each answer has its word; without one the seller is asked."""
    violations: list[Violation] = []
    said = [
        who_made(product_pb2.Origin(who_made=value), violations)
        for value in (
            product_pb2.WHO_MADE_SELLER,
            product_pb2.WHO_MADE_SHOP_MEMBER,
            product_pb2.WHO_MADE_SOMEONE_ELSE,
        )
    ]
    assert said == ["i_did", "collective", "someone_else"]
    assert violations == []
    assert who_made(product_pb2.Origin(), violations) == ""
    assert [one.field for one in violations] == ["product.content.origin.whoMade"]
