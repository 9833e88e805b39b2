"""What eBay wants before it publishes, rule by rule."""

from collections.abc import Callable
from typing import Any

import pytest

from stoflow_sandbox.marketplaces.ebay.images import UNUSED_LIFETIME_SECONDS
from tests.unit.stoflow_sandbox.marketplaces.ebay_seller import SKU, Shop, error_ids, parameters

Change = Callable[[dict[str, Any], dict[str, Any], Shop], Any]


def aspects(item: dict[str, Any]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = item["product"]["aspects"]
    return given


BROKEN: dict[str, tuple[int, Change]] = {
    "no title": (25016, lambda item, offer, shop: item["product"].pop("title")),
    "blank title": (25016, lambda item, offer, shop: item["product"].update(title="  ")),
    "title of 81 characters": (25016, lambda item, offer, shop: item["product"].update(title="x" * 81)),
    "subtitle of 56 characters": (25016, lambda item, offer, shop: item["product"].update(subtitle="x" * 56)),
    "no description anywhere": (
        25016,
        lambda item, offer, shop: (item["product"].pop("description"), offer.pop("listingDescription")),
    ),
    "no picture": (25014, lambda item, offer, shop: item["product"].update(imageUrls=[])),
    "25 pictures": (
        25014,
        lambda item, offer, shop: item["product"].update(imageUrls=[shop.upload() for _ in range(25)]),
    ),
    "a picture that eBay never got": (
        25015,
        lambda item, offer, shop: item["product"].update(imageUrls=["https://example.com/a.jpg"]),
    ),
    "no quantity": (25004, lambda item, offer, shop: item.pop("availability")),
    "quantity 0": (
        25004,
        lambda item, offer, shop: item["availability"]["shipToLocationAvailability"].update(quantity=0),
    ),
    "no condition": (25021, lambda item, offer, shop: item.pop("condition")),
    "a condition that the category forbids": (
        25021,
        lambda item, offer, shop: item.update(condition="USED_GOOD"),
    ),
    "a required aspect missing": (25029, lambda item, offer, shop: aspects(item).pop("Size")),
    "a required aspect blank": (25029, lambda item, offer, shop: aspects(item).update(Size=[" "])),
    "a value outside a closed list": (
        25022,
        lambda item, offer, shop: aspects(item).update(Department=["Boys"]),
    ),
    "two values of a single aspect": (25022, lambda item, offer, shop: aspects(item).update(Size=["M", "L"])),
    "no category": (25005, lambda item, offer, shop: offer.pop("categoryId")),
    "an unknown category": (25005, lambda item, offer, shop: offer.update(categoryId="424242")),
    "a category that is no leaf": (25005, lambda item, offer, shop: offer.update(categoryId="1059")),
    "no fulfillment policy": (
        25007,
        lambda item, offer, shop: offer["listingPolicies"].pop("fulfillmentPolicyId"),
    ),
    "an unknown payment policy": (
        25008,
        lambda item, offer, shop: offer["listingPolicies"].update(paymentPolicyId="1"),
    ),
    "another site's return policy": (
        25009,
        lambda item, offer, shop: offer["listingPolicies"].update(
            returnPolicyId=shop.offer_body("EBAY_DE")["listingPolicies"]["returnPolicyId"]
        ),
    ),
    "a payment policy as return policy": (
        25009,
        lambda item, offer, shop: offer["listingPolicies"].update(
            returnPolicyId=offer["listingPolicies"]["paymentPolicyId"]
        ),
    ),
    "no location": (25012, lambda item, offer, shop: offer.pop("merchantLocationKey")),
    "an unknown location": (25012, lambda item, offer, shop: offer.update(merchantLocationKey="attic")),
    "a disabled location": (
        25012,
        lambda item, offer, shop: shop.seller.locations["main"].update(merchantLocationStatus="DISABLED"),
    ),
    "no price": (25003, lambda item, offer, shop: offer.pop("pricingSummary")),
    "price 0": (25003, lambda item, offer, shop: offer["pricingSummary"]["price"].update(value="0.00")),
    "three decimals": (
        25003,
        lambda item, offer, shop: offer["pricingSummary"]["price"].update(value="1.001"),
    ),
    "another site's currency": (
        25003,
        lambda item, offer, shop: offer["pricingSummary"]["price"].update(currency="EUR"),
    ),
    "no duration": (25006, lambda item, offer, shop: offer.pop("listingDuration")),
    "a duration of 7 days": (25006, lambda item, offer, shop: offer.update(listingDuration="DAYS_7")),
    "an unfinished registration": (
        25018,
        lambda item, offer, shop: setattr(shop.seller, "registration_completed", False),
    ),
    "a selling limit reached": (
        25026,
        lambda item, offer, shop: setattr(shop.seller, "selling_limit", {"quantity": 1}),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_refuses_with_its_own_error_and_changes_nothing(shop: Shop, name: str) -> None:
    """An offer with one fault is refused with the id of that fault alone and no listing appears."""
    expected, breaks = BROKEN[name]
    item, offer = shop.item_body(), shop.offer_body()
    breaks(item, offer, shop)
    assert shop.put_item(item).status == 201
    offer_id = shop.create_offer(offer).content["offerId"]
    before = shop.snapshot()

    reply = shop.publish(offer_id)

    assert (reply.status, set(error_ids(reply))) == (400, {expected})
    assert not reply.effects
    assert shop.snapshot() == before


def test_every_fault_is_reported_at_once(shop: Shop) -> None:
    """An empty item and offer get one refusal that names everything missing."""
    shop.put_item({"product": {}})
    offer_id = shop.create_offer({"sku": SKU, "marketplaceId": "EBAY_US", "format": "FIXED_PRICE"}).content[
        "offerId"
    ]

    ids = error_ids(shop.publish(offer_id))

    assert {25003, 25004, 25005, 25006, 25007, 25008, 25009, 25012, 25014, 25016, 25021} <= set(ids)


def test_a_faultless_offer_becomes_a_listing(shop: Shop) -> None:
    """Publishing answers a listing number and the listing shows item and offer, with the smaller quantity."""
    _, listing_id = shop.live()

    listing = shop.seller.listings[listing_id]
    assert listing.status == "ACTIVE"
    assert listing.shown["title"] == "Blue linen shirt"
    assert listing.shown["quantity"] == 2
    assert listing.shown["price"] == {"currency": "USD", "value": "25.00"}


def test_title_of_80_characters_passes(shop: Shop) -> None:
    """The limit of a title is 80 characters, inclusive."""
    body = shop.item_body()
    body["product"]["title"] = "x" * 80
    shop.put_item(body)

    assert shop.publish(shop.create_offer().content["offerId"]).status == 200


def test_brand_field_stands_for_the_brand_aspect(shop: Shop) -> None:
    """product.brand satisfies a required Brand aspect."""
    body = shop.item_body()
    del aspects(body)["Brand"]
    body["product"]["brand"] = "Acme"
    shop.put_item(body)

    assert shop.publish(shop.create_offer().content["offerId"]).status == 200


def test_missing_aspect_is_named(shop: Shop) -> None:
    """Error 25029 carries the aspect's name as parameter."""
    body = shop.item_body()
    del aspects(body)["Color"]
    shop.put_item(body)

    assert parameters(shop.publish(shop.create_offer().content["offerId"]))["field"] == "Color"


def test_unused_picture_expires_after_thirty_days(shop: Shop) -> None:
    """A picture uploaded a month ago cannot be published, but a listing that shows one goes on."""
    offer_id, _ = shop.live()
    shop.put_item(shop.item_body(), sku="OTHER-1")
    other = shop.create_offer(shop.offer_body() | {"sku": "OTHER-1"}).content["offerId"]

    shop.now += UNUSED_LIFETIME_SECONDS + 1

    assert error_ids(shop.publish(other)) == [25015]
    assert shop.update_offer(offer_id, shop.update_body(availableQuantity=1)).status == 200


def test_without_business_policies_nothing_is_published(shop: Shop) -> None:
    """A seller who has not opted in to business policies gets all three policy errors."""
    shop.seller.programs.clear()

    assert set(error_ids(shop.publish(shop.stage()))) == {25007, 25008, 25009}


def test_catalogue_overwrites_the_title_unless_told_not_to(shop: Shop) -> None:
    """includeCatalogProductDetails, true by default, puts eBay's title over the seller's."""
    body = shop.item_body()
    body["product"]["ean"] = ["9780141439518"]
    shop.put_item(body)
    offer = shop.offer_body()
    del offer["includeCatalogProductDetails"]
    listing_id = shop.publish(shop.create_offer(offer).content["offerId"]).content["listingId"]

    assert shop.seller.listings[listing_id].shown["title"] == "Pride and Prejudice (Penguin Classics)"
