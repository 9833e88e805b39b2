"""Each rule of eBay against a listing that keeps it and one that breaks it: the field is named, and what would do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from stoflow_connector_ebay.clients.reference import AspectRule, ConditionRule
from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.requirements import (
    CONDITION_IDS,
    CategoryFacts,
    SellerFacts,
    category_violations,
    picture_violations,
    seller_violations,
)
from stoflow_connector_ebay.schemas import CONDITIONS
from tests.unit.stoflow_connector_ebay.samples import make_product, make_task


def terms(**changes: Any) -> ListingTerms:
    return ListingTerms.from_task(make_task(product=make_product(**changes)))


def seller(**changes: Any) -> SellerFacts:
    fine: dict[str, Any] = {
        "policy_ids": {
            "fulfillment": frozenset({"F1"}),
            "payment": frozenset({"P1"}),
            "return": frozenset({"R1"}),
        },
        "location_status": "ENABLED",
        "is_registered": True,
        "most_quantity": None,
        "most_amount": None,
    }
    return SellerFacts(**{**fine, **changes})


def aspect(name: str, **changes: Any) -> AspectRule:
    open_rule: dict[str, Any] = {
        "is_required": False,
        "is_single": False,
        "values": frozenset(),
        "max_length": 0,
    }
    return AspectRule(name, **{**open_rule, **changes})


def test_every_condition_of_the_schema_has_its_id() -> None:
    """Whatever condition a product may have, the preflight can compare it with what a category takes."""
    assert set(CONDITION_IDS) == set(CONDITIONS)
    assert len(set(CONDITION_IDS.values())) == len(CONDITION_IDS)


def test_faultless_listing_passes() -> None:
    """A listing that keeps every rule has no violation."""
    rules = [
        aspect("Brand", is_required=True, is_single=True, max_length=65),
        aspect("Size", is_required=True),
    ]
    category = CategoryFacts(aspects=rules, conditions=ConditionRule(True, frozenset({"3000"})))
    assert category_violations(category, terms()) == []
    assert seller_violations(seller(most_quantity=2, most_amount=(Decimal("39.98"), "USD")), terms()) == []
    assert picture_violations(make_product().images) == []


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"is_registered": False}, "account"),
        ({"policy_ids": None}, "account"),
        ({"location_status": None}, "account.settings.EBAY_US.merchantLocationKey"),
        ({"location_status": "DISABLED"}, "account.settings.EBAY_US.merchantLocationKey"),
        ({"most_quantity": 1}, "product.content.stockQuantity"),
        ({"most_amount": (Decimal("39.97"), "USD")}, "product.content.price"),
    ],
)
def test_seller_who_lacks_something_is_told_where(facts: dict[str, Any], field: str) -> None:
    """What the seller has to repair is named by the path of the account's setting or of the product."""
    assert [one.field for one in seller_violations(seller(**facts), terms())] == [field]


def test_limit_in_another_currency_is_not_compared() -> None:
    """A selling limit in a currency that the listing does not use says nothing of it."""
    assert seller_violations(seller(most_amount=(Decimal("1.00"), "EUR")), terms()) == []


@pytest.mark.parametrize(
    ("rule", "field", "said"),
    [
        (aspect("Pattern", is_required=True), "product.content.attributes.Pattern", "requires Pattern"),
        (aspect("Material", is_single=True), "product.content.attributes.Material", "one value, got 2"),
        (
            aspect("Size", values=frozenset({"S", "L"})),
            "product.content.attributes.Size",
            "does not take 'M'; it takes: L, S",
        ),
        (aspect("Brand", max_length=4), "product.content.brand", "4 characters"),
    ],
)
def test_item_specific_that_breaks_its_rule_is_named(rule: AspectRule, field: str, said: str) -> None:
    """Required, cardinality, closed lists and lengths: each violation names the field and what would do."""
    (violation,) = category_violations(CategoryFacts(aspects=[rule]), terms())
    assert (violation.field, said in violation.description) == (field, True)


def test_condition_that_a_category_does_not_take_names_those_that_it_takes() -> None:
    """The seller reads which conditions to choose from, in the words of the mapping."""
    facts = CategoryFacts(conditions=ConditionRule(True, frozenset({"1000", "2990"})))
    (violation,) = category_violations(facts, terms())
    assert violation.field == "mappings.condition"
    assert violation.description.endswith("it takes: NEW, PRE_OWNED_EXCELLENT")


def test_category_without_a_word_on_conditions_takes_any() -> None:
    """Where eBay lists no conditions nothing is held against the product."""
    assert category_violations(CategoryFacts(), terms()) == []


def test_only_pictures_known_to_be_small_are_refused() -> None:
    """500 pixels on the longest side suffice; a picture whose size is not known passes."""
    product = make_product()
    for image, (width, height) in zip(product.images, [(500, 10), (499, 499), (0, 0)], strict=True):
        image.width_pixels, image.height_pixels = width, height
    assert [one.field for one in picture_violations(product.images)] == ["product.images[1]"]
