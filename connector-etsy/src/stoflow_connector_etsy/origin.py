"""Who made a product and when, in Etsy's words; only ever from what the seller said, never from its condition."""

from typing import Final

from stoflow.catalog.v1 import product_pb2

from stoflow_connector_sdk import Violation

_FIELD = "product.content.origin"
_WHO_MADE: Final = {
    product_pb2.WHO_MADE_SELLER: "i_did",
    product_pb2.WHO_MADE_SHOP_MEMBER: "collective",
    product_pb2.WHO_MADE_SOMEONE_ELSE: "someone_else",
}
# Vintage begins twenty years back; the names of the eras around that line move with it every year.
_VINTAGE_YEARS = 20


def who_made(origin: product_pb2.Origin, violations: list[Violation]) -> str:
    """Returns a value of who_made; adds a violation and returns nothing when the seller has not said."""
    found = _WHO_MADE.get(origin.who_made, "")
    if not found:
        violations.append(
            Violation(f"{_FIELD}.whoMade", "Etsy asks who made the article, and it is not said")
        )
    return found


def when_made(origin: product_pb2.Origin, year: int, violations: list[Violation]) -> str:
    """Returns a value of when_made; adds a violation and returns nothing when the seller's years name none.

    Args:
        origin: What the seller said.
        year: The present year: the document of 2026 lists 2020_2026, 2007_2009, before_2007 and 2000_2006.
        violations: Takes what is wrong.
    """
    if origin.is_made_to_order:
        return "made_to_order"
    first, last = origin.made_from_year, origin.made_to_year
    if not last:
        violations.append(Violation(_FIELD, "Etsy asks when the article was made, and it is not said"))
        return ""
    if last > year:
        violations.append(
            Violation(f"{_FIELD}.madeToYear", f"{last} is still to come; what is made to order says so")
        )
        return ""
    for name, begin, end in eras(year):
        if begin <= first and last <= end:
            return name
    if last <= year - _VINTAGE_YEARS:
        return f"before_{year - _VINTAGE_YEARS + 1}"
    known = ", ".join(name for name, _, _ in eras(year))
    violations.append(
        Violation(
            _FIELD, f"{first} to {last} spans several of Etsy's eras; narrow it down to one of: {known}"
        )
    )
    return ""


def eras(year: int) -> list[tuple[str, int, int]]:
    """Returns the eras of a year that can be told apart, newest first: name, first year, last year."""
    vintage = year - _VINTAGE_YEARS
    found = [(f"2020_{year}", 2020, year), ("2010_2019", max(2010, vintage + 1), 2019)]
    if vintage < 2009:
        found.append((f"{vintage + 1}_2009", vintage + 1, 2009))
    found.append((f"2000_{min(vintage, 2009)}", 2000, min(vintage, 2009)))
    found += [(f"{decade}s", decade, decade + 9) for decade in range(1990, 1899, -10)]
    found += [("1800s", 1800, 1899), ("1700s", 1700, 1799), ("before_1700", 0, 1699)]
    return found
