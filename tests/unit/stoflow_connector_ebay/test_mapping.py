"""Products in eBay's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoflow_connector_ebay.listing_terms import ListingTerms
from stoflow_connector_ebay.mapping import inventory_item, new_offer, updated_offer
from tests.unit.stoflow_connector_ebay.samples import make_product, make_task


def terms_of(**product: Any) -> ListingTerms:
    return ListingTerms.from_task(make_task(product=make_product(**product)))


def test_inventory_item_holds_what_ebay_shows_of_the_article() -> None:
    """Title, text, condition, quantity, aspects and pictures go into the item, pictures in order."""
    assert inventory_item(terms_of(), ["https://i/3", "https://i/1"]) == {
        "availability": {"shipToLocationAvailability": {"quantity": 2}},
        "condition": "USED_EXCELLENT",
        "product": {
            "title": "Summer dress",
            "description": "Light cotton dress.\nWorn < 3 times & washed.",
            "imageUrls": ["https://i/3", "https://i/1"],
            "brand": "Marimekko",
            "aspects": {
                "Brand": ["Marimekko"],
                "Color": ["Blue"],
                "Department": ["Women"],
                "Material": ["Cotton", "Linen"],
                "Size": ["M"],
            },
        },
    }


def test_item_without_brand_and_attributes_sends_neither() -> None:
    """Fields that the seller left empty are absent, since eBay refuses empty ones."""
    product = make_product()
    product.content.brand = ""
    product.content.attributes.clear()
    body = inventory_item(ListingTerms.from_task(make_task(product=product)), ["https://i/1"])
    assert set(body["product"]) == {"title", "description", "imageUrls"}


def test_own_brand_attribute_wins_over_the_brand_field() -> None:
    """A seller's attribute named Brand is sent as it is."""
    product = make_product()
    product.content.attributes["Brand"].values.append("Unbranded")
    body = inventory_item(ListingTerms.from_task(make_task(product=product)), [])
    assert body["product"]["aspects"]["Brand"] == ["Unbranded"]


def test_new_offer_holds_every_field_that_publishing_needs() -> None:
    """The offer names site, format, category, policies, location, a price as text, GTC, and no catalogue."""
    assert new_offer(terms_of()) == {
        "sku": "DRESS1",
        "marketplaceId": "EBAY_US",
        "format": "FIXED_PRICE",
        "availableQuantity": 2,
        "categoryId": "63861",
        "includeCatalogProductDetails": False,
        "listingDescription": "Light cotton dress.<br>Worn &lt; 3 times &amp; washed.",
        "listingDuration": "GTC",
        "listingPolicies": {
            "fulfillmentPolicyId": "F1",
            "paymentPolicyId": "P1",
            "returnPolicyId": "R1",
        },
        "merchantLocationKey": "main",
        "pricingSummary": {"price": {"currency": "USD", "value": "19.99"}},
    }


def as_read(terms: ListingTerms, **more: Any) -> dict[str, Any]:
    """What GET answers for an offer with these terms."""
    return {**new_offer(terms), "offerId": "1", "status": "UNPUBLISHED", "hideBuyerDetails": False, **more}


def test_offer_that_is_ours_already_needs_no_update() -> None:
    """An offer with our terms is left alone, whatever else eBay returns of it."""
    assert updated_offer(as_read(terms_of()), terms_of()) is None


def test_update_of_an_existing_offer_keeps_what_the_seller_set_at_ebay() -> None:
    """Adopting an offer changes our fields and sends every other updatable one back as it was."""
    existing = as_read(
        terms_of(amount_minor=100),
        storeCategoryNames=["/Dresses"],
        quantityLimitPerBuyer=1,
        listing={"listingId": "7"},
    )
    existing["listingPolicies"] = {**existing["listingPolicies"], "eBayPlusIfEligible": True}
    existing["pricingSummary"]["originalRetailPrice"] = {"currency": "USD", "value": "50.00"}
    body = updated_offer(existing, terms_of())
    assert body is not None
    assert body["pricingSummary"] == {
        "price": {"currency": "USD", "value": "19.99"},
        "originalRetailPrice": {"currency": "USD", "value": "50.00"},
    }
    assert body["listingPolicies"]["eBayPlusIfEligible"] is True
    assert body["storeCategoryNames"] == ["/Dresses"]
    assert body["quantityLimitPerBuyer"] == 1
    assert not {"offerId", "status", "sku", "marketplaceId", "format", "listing"} & set(body)


@pytest.mark.parametrize("catalogue", [True, None])
def test_update_turns_the_catalogue_off(catalogue: bool | None) -> None:
    """An offer that lets eBay's catalogue overwrite the seller's texts is corrected."""
    existing = as_read(terms_of(), includeCatalogProductDetails=catalogue)
    body = updated_offer(existing, terms_of())
    assert body is not None
    assert body["includeCatalogProductDetails"] is False


@given(description=st.text(min_size=1, max_size=4000))
def test_description_never_becomes_markup(description: str) -> None:
    """Whatever a seller writes, the listing's HTML holds no tag but the line breaks that the mapping sets."""
    html = new_offer(terms_of(description=description.replace("\x00", " ")))["listingDescription"]
    assert "<" not in html.replace("<br>", "")
    assert len(html) <= 500_000
