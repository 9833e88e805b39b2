"""What eBay would refuse is said before anything is written: all of it at once, by field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from stoflow_connector_sdk import AuthRequiredError, EffectOutcome, PermanentError
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_ebay.publishing import Publishing

CATEGORY = "/commerce/taxonomy/v1/category_tree/*/get_item_aspects_for_category"


async def refused(publishing: Publishing) -> set[str]:
    """Runs the preflight, which must fail; returns the fields."""
    with pytest.raises(PermanentError) as caught:
        await publishing.attempt("preflight")
    assert (caught.value.effect, caught.value.code) == (EffectOutcome.NOT_SENT, "PREFLIGHT_FAILED")
    return {violation.field for violation in caught.value.violations}


def writes(judge: Judge) -> Iterable[tuple[str, str, int]]:
    return [one for one in judge.exchanges if one[0] != "GET" and "/oauth2/" not in one[1]]


async def test_everything_wrong_is_said_at_once(publishing: Publishing, judge: Judge) -> None:
    """Policies, location, registration, aspects, condition, limit and pictures: one refusal names them all."""
    publishing.renew(
        policies=[
            {"kind": "payment", "id": "P1", "marketplace_id": "EBAY_US"},
            {"kind": "return", "id": "R1", "marketplace_id": "EBAY_DE"},
            {"kind": "fulfillment", "id": "F1", "marketplace_id": "EBAY_US"},
        ],
        locations=[{"key": "main", "enabled": False}],
        registration_completed=False,
        selling_limit={"quantity": 1, "amount": {"currency": "USD", "value": "20.00"}},
    )
    publishing.settings_by_hand = {
        "fulfillmentPolicyId": "F2",
        "paymentPolicyId": "P1",
        "returnPolicyId": "R1",
        "merchantLocationKey": "main",
    }
    attributes = publishing.product.content.attributes
    del attributes["Size"]
    attributes["Department"].values[:] = ["Ladies"]
    attributes["Color"].values[:] = ["Blue", "Red"]
    publishing.mappings = {"category": "63861", "condition": "USED_GOOD"}
    publishing.product.images[1].width_pixels = 499
    publishing.product.images[1].height_pixels = 300
    assert await refused(publishing) == {
        "account",
        "account.settings.EBAY_US.fulfillmentPolicyId",
        "account.settings.EBAY_US.returnPolicyId",
        "account.settings.EBAY_US.merchantLocationKey",
        "product.content.stockQuantity",
        "product.content.price",
        "product.content.attributes.Size",
        "product.content.attributes.Department",
        "product.content.attributes.Color",
        "mappings.condition",
        "product.images[1]",
    }
    assert not writes(judge)


@pytest.mark.parametrize(
    ("category", "said"), [("15724", "leaf"), ("99999", "does not belong"), ("0", "root")]
)
async def test_category_must_be_a_leaf(publishing: Publishing, category: str, said: str) -> None:
    """A category that is no leaf of the site's tree is refused with eBay's own reason."""
    publishing.mappings = {"category": category, "condition": "NEW"}
    with pytest.raises(PermanentError, match=said) as caught:
        await publishing.attempt("preflight")
    assert [one.field for one in caught.value.violations] == ["mappings.category"]


async def test_seller_without_business_policies_is_told(publishing: Publishing) -> None:
    """A seller who has not opted in to business policies learns that, and not that three ids are wrong."""
    publishing.renew(programs=["OUT_OF_STOCK_CONTROL"])
    assert await refused(publishing) == {"account"}


async def test_unknown_location_is_named(publishing: Publishing) -> None:
    """A location that the seller does not have is a violation of the account's settings."""
    publishing.settings_by_hand = {**publishing.site_settings, "merchantLocationKey": "attic"}
    assert await refused(publishing) == {"account.settings.EBAY_US.merchantLocationKey"}


async def test_second_listing_asks_nothing_again(publishing: Publishing, judge: Judge) -> None:
    """What eBay said of seller and category is kept: another product of the same kind costs no request."""
    await publishing.attempt("preflight")
    asked = len(judge.exchanges)
    assert asked > 0
    await publishing.attempt("preflight")
    assert len(judge.exchanges) == asked


async def test_kept_problem_is_looked_at_again(publishing: Publishing) -> None:
    """A problem is never said on the strength of what is kept: a seller who repaired it is not refused again."""
    attributes = publishing.product.content.attributes
    publishing.control.seed_seller(
        publishing.seller.username,
        client_id=publishing.seller.client_id,
        client_secret=publishing.seller.client_secret,
        locations=[{"key": "main", "enabled": False}],
    )
    assert await refused(publishing) == {"account.settings.EBAY_US.merchantLocationKey"}
    publishing.control.seed_seller(
        publishing.seller.username,
        client_id=publishing.seller.client_id,
        client_secret=publishing.seller.client_secret,
        locations=[{"key": "main", "enabled": True}],
    )
    await publishing.attempt("preflight")
    # And what the product itself lacks is seen although the category's rules are kept.
    del attributes["Size"]
    assert await refused(publishing) == {"product.content.attributes.Size"}


async def test_consent_without_the_account_scope_asks_for_reconnecting(publishing: Publishing) -> None:
    """A consent that does not cover the Account API cannot be repaired by trying again."""
    scope = "https://api.ebay.com/oauth/api_scope"
    publishing.renew(scopes=[scope, f"{scope}/sell.inventory"])
    with pytest.raises(AuthRequiredError) as caught:
        await publishing.attempt("preflight")
    assert caught.value.code == "1100"


async def test_categories_are_asked_for_in_the_applications_name(publishing: Publishing) -> None:
    """What eBay tells to anybody is asked with the application's token, which no seller's consent bounds."""
    scope = "https://api.ebay.com/oauth/api_scope"
    scopes = [f"{scope}/sell.inventory", f"{scope}/sell.account"]
    publishing.renew(scopes=scopes)
    await publishing.attempt("preflight")


async def test_small_picture_is_refused_by_ebay_too(publishing: Publishing) -> None:
    """The sandbox enforces what the preflight says of pictures: a small one cannot be published."""
    await publishing.until("create_offer")
    small = publishing.catalogue.add("black", (400, 300))
    publishing.replace_image(2, small)
    publishing.outputs["upload_image"].pop()
    await publishing.attempt("upload_image", item_index=2)
    await publishing.attempt("put_inventory_item")
    with pytest.raises(PermanentError) as caught:
        await publishing.attempt("publish_offer")
    assert [(one.field, one.code) for one in caught.value.violations] == [("product.images", "25014")]


async def test_category_without_item_specifics_asks_for_none(publishing: Publishing) -> None:
    """204 in place of item specifics, which the document allows, holds nothing against the product."""
    del publishing.product.content.attributes["Size"]
    publishing.fault_of_anybody("status", "GET", CATEGORY, status=204, content=None, times=1)
    await publishing.attempt("preflight")


async def test_trouble_of_ebay_is_no_refusal(publishing: Publishing) -> None:
    """When eBay cannot say what a category asks for, the step is tried again; nothing is held against the product."""
    rule: dict[str, Any] = {"status": 500, "times": 1}
    publishing.fault_of_anybody("status", "GET", CATEGORY, **rule)
    with pytest.raises(Exception, match="item specifics") as caught:
        await publishing.attempt("preflight")
    assert type(caught.value).__name__ == "RetryableError"
    await publishing.attempt("preflight")
