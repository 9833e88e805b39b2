"""Products in Etsy's words."""

from __future__ import annotations

import pytest
from stoflow.catalog.v1 import product_pb2
from stoflow.common.v1.money_pb2 import Money

from stoflow_connector_etsy.listing_terms import ListingTerms
from stoflow_connector_etsy.mapping import MARKER_START, draft_marker, listing_texts, new_draft
from stoflow_connector_etsy.price import format_price, read_money
from stoflow_connector_etsy.texts import plain_words, tag_violations, title_violations
from stoflow_connector_sdk import EffectOutcome, PermanentError
from tests.unit.stoflow_connector_etsy.samples import SETTINGS, make_product, make_task, make_terms


def test_draft_carries_its_reference_and_nothing_else_does() -> None:
    """The reference stands in the draft's description alone; the texts that replace it do not have it."""
    terms = make_terms()
    draft = new_draft(terms, "abcdefghij0123456789")
    assert draft_marker("abcdefghij0123456789") in draft["description"]
    assert draft["description"].startswith("Light cotton dress.")
    texts = listing_texts(terms)
    assert MARKER_START not in "".join(texts.values())
    assert texts["description"] == terms.content.description


def test_draft_says_everything_that_etsy_asks_for() -> None:
    """Every required field of createDraftListing and of a physical listing is there, in Etsy's words."""
    draft = new_draft(make_terms(), "r")
    expected = {
        "quantity": "2",
        "price": "19.99",
        "title": "Summer dress",
        "who_made": "someone_else",
        "when_made": "1970s",
        "is_supply": "false",
        "taxonomy_id": "1429",
        "shipping_profile_id": "31",
        "return_policy_id": "41",
        "readiness_state_id": "51",
        "tags": "summer,cotton",
        "materials": "Cotton organic,Linen",
        "item_weight": "350",
        "item_weight_unit": "g",
        "type": "physical",
    }
    assert {name: draft[name] for name in expected} == expected


def test_what_the_product_does_not_say_stays_as_it_is_at_etsy() -> None:
    """An update names neither tags, section, sizes nor price, stock and state, when there is nothing to say."""
    settings = {name: value for name, value in SETTINGS.items() if name != "returnPolicyId"}
    product = make_product(attributes={"Size": ["M"]})
    product.content.ClearField("materials")
    product.content.ClearField("weight_grams")
    texts = listing_texts(ListingTerms.from_task(make_task(product=product, settings=settings)))
    assert sorted(texts) == [
        "description",
        "is_supply",
        "shipping_profile_id",
        "taxonomy_id",
        "title",
        "when_made",
        "who_made",
    ]


def test_every_violation_is_said_at_once() -> None:
    """Settings, category, title, tags and origin are judged together, before anything is sent."""
    product = make_product(title="100% wool % silk\n", origin=product_pb2.Origin())
    product.content.attributes["Tags"].values.append("far too long for a tag on Etsy")
    with pytest.raises(PermanentError) as caught:
        ListingTerms.from_task(make_task(product=product, settings={"shopId": "1"}, mappings={}))
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert sorted({one.field for one in caught.value.violations}) == [
        "account.settings.readinessStateId",
        "account.settings.shippingProfileId",
        "mappings.category",
        "product.content.attributes.Tags",
        "product.content.origin",
        "product.content.origin.whoMade",
        "product.content.title",
    ]


def test_account_without_a_shop_is_to_be_connected_again() -> None:
    """Without a shop nothing can be asked of Etsy."""
    with pytest.raises(PermanentError) as caught:
        ListingTerms.from_task(make_task(settings={}))
    assert [one.field for one in caught.value.violations] == ["account.settings.shopId"]


@pytest.mark.parametrize(
    ("title", "wrong"),
    [("Ring ™ & stone", 0), ("a" * 141, 1), ("A & B & C", 1), ("Emoji \U0001f600", 1), ("a" * 140, 0)],
)
def test_titles_are_judged_as_etsy_does(title: str, wrong: int) -> None:
    """Length, characters, and those that may stand in a title once."""
    assert len(title_violations(title)) == wrong


def test_tags_are_judged_as_etsy_does() -> None:
    """At most thirteen of at most twenty characters, letters, digits and a few signs."""
    assert tag_violations(["mid-century", "mother's day"]) == []
    assert len(tag_violations(["a" * 21, "no/slash"] + [f"tag {n}" for n in range(12)])) == 3


def test_materials_lose_what_etsy_refuses() -> None:
    """Signs become spaces, equal words one, and what is left of nothing is left out."""
    assert plain_words(["Cotton (organic)", "cotton-linen", "!!", "Cotton  organic"]) == [
        "Cotton organic",
        "cotton linen",
    ]


@pytest.mark.parametrize(
    ("currency", "minor", "written", "money"),
    [
        ("USD", 1999, "19.99", {"amount": 1999, "divisor": 100}),
        ("USD", 5, "0.05", {"amount": 5, "divisor": 100}),
        ("JPY", 1999, "1999", {"amount": 1999, "divisor": 1}),
        ("JPY", 1999, "1999", {"amount": 199900, "divisor": 100}),
    ],
)
def test_prices_keep_their_digits(currency: str, minor: int, written: str, money: dict[str, int]) -> None:
    """Minor units become decimals and Etsy's money minor units, whatever its divisor."""
    price = Money(currency_code=currency, amount_minor=minor)
    assert format_price(price) == written
    assert read_money({**money, "currency_code": currency}) == price


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"amount": 1, "divisor": 0, "currency_code": "USD"},
        {"amount": 1, "divisor": 1000, "currency_code": "USD"},
    ],
)
def test_money_that_is_none_is_not_known(content: object) -> None:
    """What cannot be written in the currency's minor units is not known, rather than rounded."""
    assert read_money(content) is None
