"""A live listing follows its product, and nothing else of it changes."""

from __future__ import annotations

from typing import Any

import pytest

from stoflow_connector_sdk import EffectOutcome, ListingState, PermanentError, RetryableError
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_ebay.publishing import Publishing

INVENTORY = "/sell/inventory/v1"
BULK = f"{INVENTORY}/bulk_update_price_quantity"


def shown(publishing: Publishing) -> dict[str, Any]:
    (listing,) = publishing.memory.listings
    found: dict[str, Any] = publishing.control.listing(listing)
    return found


def item(publishing: Publishing) -> dict[str, Any]:
    found: dict[str, Any] = publishing.state()["items"][publishing.sku]
    return found


def only_offer(publishing: Publishing) -> dict[str, Any]:
    (found,) = publishing.state()["offers"].values()
    return dict(found)


def sent(judge: Judge, since: int) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in judge.exchanges[since:]]


async def edit_item(publishing: Publishing, **changes: Any) -> None:
    """The seller changes fields of the article at eBay."""
    path = f"{INVENTORY}/inventory_item/{publishing.sku}"
    content = publishing.as_seller("GET", path)
    for name in ("sku", "locale"):
        del content[name]
    content["product"] |= changes.pop("product", {})
    publishing.as_seller("PUT", path, content | changes)


async def test_price_costs_one_request(publishing: Publishing, judge: Judge) -> None:
    """A new price goes by the call that takes it alone: nothing is read, and no quantity is sent."""
    await publishing.run("publish")
    publishing.change(amount_minor=1750)
    before = len(judge.exchanges)
    results = await publishing.run("update")
    assert sent(judge, before) == [("POST", BULK)]
    assert shown(publishing)["price"] == {"currency": "USD", "value": "17.50"}
    assert shown(publishing)["quantity"] == 2
    last = results[-1].listing
    assert last is not None
    assert (last.state, last.price.amount_minor) == (ListingState.LISTING_STATE_LIVE, 1750)
    (known,) = publishing.memory.listings.values()
    assert known.product_version == publishing.product.version
    [request] = publishing.control.requests(seller=publishing.seller.username, path=BULK)
    assert "quantity" not in str(request["body"]).lower()


async def test_quantity_is_set_on_item_and_offer(publishing: Publishing, judge: Judge) -> None:
    """A new quantity is set on both, absolutely, since buyers can buy the smaller of the two."""
    await publishing.run("publish")
    for quantity in (5, 1):
        publishing.change(stock_quantity=quantity)
        before = len(judge.exchanges)
        await publishing.run("update")
        assert sent(judge, before) == [("POST", BULK)]
        assert item(publishing)["availability"]["shipToLocationAvailability"]["quantity"] == quantity
        assert only_offer(publishing)["availableQuantity"] == quantity
        assert shown(publishing)["quantity"] == quantity


async def test_fields_of_the_seller_survive(publishing: Publishing) -> None:
    """What the seller set at eBay survives an update of texts, also over a value of the catalogue."""
    await publishing.run("publish")
    await edit_item(
        publishing,
        product={"title": "Better title", "mpn": "M-1", "subtitle": "With pockets"},
        conditionDescription="A small stain.",
        packageWeightAndSize={"weight": {"unit": "GRAM", "value": 300.0}},
    )
    offer = only_offer(publishing)
    path = f"{INVENTORY}/offer/{offer['offerId']}"
    mine = {
        name: value
        for name, value in offer.items()
        if name not in {"offerId", "sku", "marketplaceId", "format", "status", "listing"}
    }
    mine["storeCategoryNames"] = ["/Dresses"]
    mine["pricingSummary"] = {"price": {"currency": "USD", "value": "25.00"}}
    mine["listingPolicies"] = {**mine["listingPolicies"], "eBayPlusIfEligible": True}
    publishing.as_seller("PUT", path, mine)
    publishing.change(description="Light linen dress.")
    await publishing.run("update")
    product = item(publishing)["product"]
    assert product["description"] == "Light linen dress."
    assert (product["title"], product["mpn"], product["subtitle"]) == (
        "Better title",
        "M-1",
        "With pockets",
    )
    assert item(publishing)["conditionDescription"] == "A small stain."
    assert item(publishing)["packageWeightAndSize"]["weight"]["value"] == 300.0
    now = only_offer(publishing)
    assert now["listingDescription"] == "Light linen dress."
    assert now["storeCategoryNames"] == ["/Dresses"]
    assert now["pricingSummary"]["price"]["value"] == "25.00"
    assert now["listingPolicies"]["eBayPlusIfEligible"] is True
    assert publishing.created() == (1, 1)


async def test_overwrite_brings_the_catalogue_back(publishing: Publishing) -> None:
    """Asked to overwrite, an update writes all that the catalogue says, and still loses nothing else."""
    await publishing.run("publish")
    await edit_item(publishing, product={"title": "Better title", "mpn": "M-1"})
    await publishing.run("update", overwrite=True)
    assert item(publishing)["product"]["title"] == "Summer dress"
    assert item(publishing)["product"]["mpn"] == "M-1"


async def test_attribute_that_is_gone_is_removed(publishing: Publishing) -> None:
    """An attribute that the catalogue has given up goes; one that the seller added at eBay stays."""
    await publishing.run("publish")
    aspects = item(publishing)["product"]["aspects"]
    await edit_item(publishing, product={"aspects": {**aspects, "Style": ["Maxi"]}})
    publishing.change()
    del publishing.product.content.attributes["Material"]
    publishing.product.content.attributes["Color"].values[:] = ["Green"]
    await publishing.run("update")
    now = item(publishing)["product"]["aspects"]
    assert "Material" not in now
    assert (now["Color"], now["Style"], now["Size"]) == (["Green"], ["Maxi"], ["M"])


async def test_only_new_pictures_are_uploaded(publishing: Publishing, judge: Judge) -> None:
    """An exchanged picture is the only one uploaded; order and the others stay."""
    await publishing.run("publish")
    first, _, last = shown(publishing)["imageUrls"]
    publishing.replace_image(1, publishing.catalogue.add("purple"))
    before = len(judge.exchanges)
    results = await publishing.run("update")
    uploads = [one for one in sent(judge, before) if "create_image_from_file" in one[1]]
    assert len(uploads) == 1
    urls = shown(publishing)["imageUrls"]
    assert (urls[0], urls[2], len(urls)) == (first, last, 3)
    assert results[-1].listing is not None
    # And the next update knows them all.
    publishing.change(title="Summer dress, blue")
    before = len(judge.exchanges)
    await publishing.run("update")
    assert not [one for one in sent(judge, before) if "create_image_from_file" in one[1]]
    assert shown(publishing)["imageUrls"] == urls


async def test_missing_picture_is_never_left_out(publishing: Publishing) -> None:
    """An item is not written while a picture of the product is not at eBay."""
    await publishing.run("publish")
    publishing.replace_image(1, publishing.catalogue.add("purple"))
    publishing.begin("update")
    with pytest.raises(PermanentError) as caught:
        await publishing.attempt("merge_inventory_item")
    assert (caught.value.code, caught.value.effect) == ("IMAGES_MISSING", EffectOutcome.NOT_SENT)


async def test_unchanged_product_sends_nothing(publishing: Publishing, judge: Judge) -> None:
    """A product whose change does not concern eBay costs no request, and its listing is up to date all the same."""
    await publishing.run("publish")
    publishing.change(category="clothing/women/tops")
    before = len(judge.exchanges)
    (result,) = await publishing.run("update")
    assert sent(judge, before) == []
    assert result.output["changed"] == []
    (known,) = publishing.memory.listings.values()
    assert known.product_version == publishing.product.version


async def test_older_update_is_dropped(publishing: Publishing, judge: Judge) -> None:
    """A job that carries an older product than the listing shows changes nothing, whatever it would change."""
    await publishing.run("publish")
    older = publishing.product
    publishing.change(title="Newer", amount_minor=2500)
    await publishing.run("update")
    newer, publishing.product = publishing.product, older
    before = len(judge.exchanges)
    (result,) = await publishing.run("update")
    assert (result.output, result.listing) == ({"dropped": "OLDER"}, None)
    assert sent(judge, before) == []
    # Nor does a publish that comes late set it back.
    await publishing.run("publish")
    assert (shown(publishing)["title"], shown(publishing)["price"]["value"]) == ("Newer", "25.00")
    (known,) = publishing.memory.listings.values()
    assert known.product_version == newer.version


async def test_refused_part_of_a_success_is_a_refusal(publishing: Publishing) -> None:
    """A part that eBay refuses inside an answer with status 207 fails the step, with eBay's reason by field."""
    await publishing.run("publish")
    publishing.renew(selling_limit={"amount": {"currency": "USD", "value": "50.00"}})
    publishing.change(amount_minor=9999)
    with pytest.raises(PermanentError) as caught:
        await publishing.run("update")
    assert [(one.field, one.code) for one in caught.value.violations] == [("account", "25026")]
    assert shown(publishing)["price"]["value"] == "19.99"


async def test_busy_part_is_tried_again(publishing: Publishing) -> None:
    """A part that eBay asks to repeat makes the step retryable, and the repeat succeeds."""
    await publishing.run("publish")
    publishing.change(amount_minor=1500)
    part = {
        "sku": publishing.sku,
        "statusCode": 500,
        "errors": [
            {"errorId": 25001, "domain": "API_INVENTORY", "category": "APPLICATION", "message": "Hm."}
        ],
    }
    publishing.fault("status", "POST", BULK, status=207, content={"responses": [part]})
    with pytest.raises(RetryableError):
        await publishing.run("update")
    await publishing.run("update")
    assert shown(publishing)["price"]["value"] == "15.00"


@pytest.mark.parametrize("change", [{"amount_minor": 1500}, {"title": "Other"}])
async def test_listing_that_the_seller_ended_is_reported(
    publishing: Publishing, change: dict[str, Any]
) -> None:
    """A listing that the seller ended at eBay is not listed again by an update; its end is reported."""
    await publishing.run("publish")
    publishing.as_seller("POST", f"{INVENTORY}/offer/{only_offer(publishing)['offerId']}/withdraw")
    publishing.change(**change)
    results = await publishing.run("update")
    assert results[-1].output["notLive"] == "GONE"
    (known,) = publishing.memory.listings.values()
    assert known.state == ListingState.LISTING_STATE_ENDED
    assert publishing.created() == (1, 1)
    publishing.change(amount_minor=1400)
    with pytest.raises(PermanentError) as caught:
        await publishing.run("update")
    assert caught.value.code == "NOT_LISTED"


async def test_product_without_a_listing_is_not_updated(publishing: Publishing, judge: Judge) -> None:
    """What was never published is nothing to update, and nothing is sent."""
    with pytest.raises(PermanentError) as caught:
        await publishing.run("update")
    assert (caught.value.code, [one.field for one in caught.value.violations]) == ("NOT_LISTED", ["site"])
    assert judge.exchanges == []


async def test_sold_out_product_is_not_live(publishing: Publishing) -> None:
    """Quantity 0 ends the listing, or hides it from buyers, and is reported as not for sale."""
    await publishing.run("publish")
    publishing.change(stock_quantity=0)
    results = await publishing.run("update")
    assert results[-1].listing is not None
    assert results[-1].listing.state == ListingState.LISTING_STATE_ENDED
    assert shown(publishing)["status"] == "ENDED"


async def test_found_listing_is_brought_up_to_date(publishing: Publishing) -> None:
    """A listing that only a sync knows, without any notes, gets all that the catalogue says and keeps the rest."""
    await publishing.run("publish")
    await edit_item(publishing, product={"mpn": "M-1"})
    (known,) = publishing.memory.listings.values()
    publishing.memory.listings[known.remote_id] = type(known)(
        known.remote_id, known.site, known.state, known.url, known.product_version, {}
    )
    publishing.change(title="Found dress")
    await publishing.run("update")
    assert (shown(publishing)["title"], item(publishing)["product"]["mpn"]) == ("Found dress", "M-1")
    assert len(shown(publishing)["imageUrls"]) == 3
    (known,) = publishing.memory.listings.values()
    assert known.notes["offerId"] == only_offer(publishing)["offerId"]
