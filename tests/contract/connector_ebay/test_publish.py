"""A product becomes a live listing; every exchange obeys eBay's documents."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from stoflow_connector_sdk import (
    AuthRequiredError,
    EffectOutcome,
    ListingState,
    NeedsHumanError,
    PermanentError,
    RetryableError,
)
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_ebay.publishing import Publishing

INVENTORY = "/sell/inventory/v1"


def errors(error_id: int) -> dict[str, Any]:
    """An answer of eBay with one error that names nothing."""
    return {"errors": [{"errorId": error_id, "domain": "ANY", "category": "REQUEST", "message": "No."}]}


async def test_product_becomes_a_live_listing(publishing: Publishing, judge: Judge) -> None:
    """After the steps in order eBay shows one listing with our texts, price and pictures in order."""
    result = await publishing.until("publish_offer")
    assert result.listing is not None
    assert result.listing.state == ListingState.LISTING_STATE_LIVE
    assert result.remote_id == result.listing.remote_id == result.output["listingId"]
    assert result.listing.url == f"https://www.ebay.com/itm/{result.remote_id}"
    shown = publishing.control.listing(result.remote_id)
    assert shown["status"] == "ACTIVE"
    assert shown["title"] == "Summer dress"
    assert shown["description"] == "Light cotton dress.<br>Worn &lt; 3 times &amp; washed."
    assert shown["price"] == {"currency": "USD", "value": "19.99"}
    assert shown["imageUrls"] == [output["imageUrl"] for output in publishing.outputs["upload_image"]]
    assert len(shown["imageUrls"]) == 3
    assert publishing.created() == (1, 1)
    assert [exchange[:2] for exchange in judge.exchanges][-4:] == [
        ("PUT", f"{INVENTORY}/inventory_item/{publishing.sku}"),
        ("POST", f"{INVENTORY}/offer"),
        ("GET", f"{INVENTORY}/offer/{publishing.outputs['create_offer'][0]['offerId']}"),
        ("POST", f"{INVENTORY}/offer/{publishing.outputs['create_offer'][0]['offerId']}/publish"),
    ]


async def test_every_request_names_its_languages(publishing: Publishing) -> None:
    """Each request to a selling API carries Accept-Language, each write of texts Content-Language as well."""
    await publishing.until("publish_offer")
    for entry in publishing.control.requests(seller=publishing.seller.username):
        if entry["operation"] == "token":
            continue
        headers = {name.lower(): value for name, value in entry["headers"].items()}
        assert headers["accept-language"] == "en-US", entry
        if entry["method"] in {"PUT", "POST"} and entry["path"].startswith(INVENTORY):
            assert headers["content-language"] == "en-US", entry
            assert headers["content-type"] == "application/json", entry


async def test_steps_done_twice_make_one_offer_and_one_listing(publishing: Publishing) -> None:
    """Repeating every step, as after a lost report, adopts what is there and creates nothing twice."""
    first = await publishing.until("publish_offer")
    for index in range(3):
        await publishing.attempt("upload_image", item_index=index)
    publishing.outputs["upload_image"] = publishing.outputs["upload_image"][:3]
    await publishing.attempt("put_inventory_item")
    offer = await publishing.attempt("create_offer")
    publishing.outputs["create_offer"] = publishing.outputs["create_offer"][:1]
    listing = await publishing.attempt("publish_offer")
    assert offer.remote_id == publishing.outputs["create_offer"][0]["offerId"]
    assert listing.remote_id == first.remote_id
    assert publishing.created() == (1, 1)


async def test_offer_and_listing_that_a_person_named_are_taken(publishing: Publishing) -> None:
    """Nothing is made beside what an operator settled as done, and the steps behind it find what they need."""
    first = await publishing.until("publish_offer")
    (offer,) = publishing.outputs.pop("create_offer")
    adopted = await publishing.attempt("create_offer", adopt=offer["offerId"])
    assert (adopted.remote_id, adopted.output["offerId"]) == (offer["offerId"], offer["offerId"])
    listing = await publishing.attempt("publish_offer", adopt=first.remote_id)
    assert (listing.output, listing.listing) == (first.output, first.listing)
    assert publishing.created() == (1, 1)


async def test_offer_that_a_person_named_and_ebay_does_not_know_is_theirs_to_settle(
    publishing: Publishing,
) -> None:
    """A mistyped id makes the job wait again; nothing is made."""
    await publishing.until("put_inventory_item")
    with pytest.raises(NeedsHumanError, match="0815"):
        await publishing.attempt("create_offer", adopt="0815")
    assert publishing.created() == (0, 0)


async def test_duplicate_offer_is_adopted_and_made_ours(publishing: Publishing, judge: Judge) -> None:
    """eBay's error 25002 with an offerId leads to that offer, which is updated to the product's terms."""
    await publishing.until("create_offer")
    publishing.change(stock_quantity=7)
    publishing.product.content.price.amount_minor = 2550
    result = await publishing.attempt("create_offer")
    assert result.output["adopted"] is True
    [offer] = publishing.state()["offers"].values()
    assert offer["offerId"] == result.remote_id
    assert offer["pricingSummary"]["price"]["value"] == "25.50"
    assert offer["availableQuantity"] == 7
    assert ("PUT", f"{INVENTORY}/offer/{result.remote_id}", 200) in judge.exchanges
    assert publishing.created() == (1, 0)


async def test_duplicate_offer_with_our_terms_is_left_alone(publishing: Publishing, judge: Judge) -> None:
    """An offer that is ours already costs no revision."""
    await publishing.until("create_offer")
    await publishing.attempt("create_offer")
    assert not [one for one in judge.exchanges if one[0] == "PUT" and "/offer/" in one[1]]


async def test_generic_user_error_is_looked_into(publishing: Publishing) -> None:
    """Error 25002 without an offerId makes the service look: an existing offer is adopted."""
    first = await publishing.until("create_offer")
    content = errors(25002)
    publishing.fault("status", "POST", f"{INVENTORY}/offer", status=400, content=content)
    assert (await publishing.attempt("create_offer")).remote_id == first.remote_id


async def test_generic_user_error_without_an_offer_is_permanent(publishing: Publishing) -> None:
    """Error 25002 that is about something else fails for good, and no offer was made."""
    await publishing.until("put_inventory_item")
    content = errors(25002)
    publishing.fault("status", "POST", f"{INVENTORY}/offer", status=400, content=content)
    with pytest.raises(PermanentError) as caught:
        await publishing.attempt("create_offer")
    assert (caught.value.effect, caught.value.code) == (EffectOutcome.NOT_SENT, "25002")


async def test_refusal_lists_every_violation(publishing: Publishing) -> None:
    """What eBay refuses at publishing reaches the seller field by field, all at once."""
    del publishing.product.content.attributes["Size"]
    del publishing.product.content.attributes["Color"]
    for index in range(len(publishing.product.images)):
        await publishing.attempt("upload_image", item_index=index)
    await publishing.attempt("put_inventory_item")
    await publishing.attempt("create_offer")
    with pytest.raises(PermanentError) as caught:
        await publishing.attempt("publish_offer")
    assert {(one.field, one.code) for one in caught.value.violations} == {
        ("product.content.attributes.Size", "25029"),
        ("product.content.attributes.Color", "25029"),
    }
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert '"errorId"' in caught.value.raw_body
    assert publishing.created() == (1, 0)


async def test_missing_picture_stops_before_the_item(publishing: Publishing, judge: Judge) -> None:
    """An item is never written with fewer pictures than the product has."""
    await publishing.attempt("upload_image", item_index=0)
    await publishing.attempt("upload_image", item_index=1)
    before = len(judge.exchanges)
    with pytest.raises(PermanentError, match="2 of 3 images") as caught:
        await publishing.attempt("put_inventory_item")
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert len(judge.exchanges) == before


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda image: setattr(image, "url", image.url + "x"), "IMAGE_NOT_READABLE"),
        (lambda image: setattr(image, "content_sha256", "0" * 64), "IMAGE_CHANGED"),
    ],
)
async def test_picture_that_is_not_the_catalogues_is_not_uploaded(
    publishing: Publishing, judge: Judge, spoil: object, code: str
) -> None:
    """Bytes that cannot be read, or are not those of the snapshot, never reach eBay."""
    assert callable(spoil)
    spoil(publishing.product.images[1])
    with pytest.raises(RetryableError) as caught:
        await publishing.attempt("upload_image", item_index=1)
    assert (caught.value.code, caught.value.effect) == (code, EffectOutcome.NOT_SENT)
    assert not judge.exchanges


async def test_unusable_picture_is_permanent(publishing: Publishing) -> None:
    """A file that is no picture is refused by eBay with its own code, as a violation of the images."""
    data = b"not a picture at all"
    image = publishing.product.images[0]
    image.url, image.content_sha256 = publishing.catalogue.add_bytes(data), hashlib.sha256(data).hexdigest()
    with pytest.raises(PermanentError) as caught:
        await publishing.attempt("upload_image", item_index=0)
    assert [(one.field, one.code) for one in caught.value.violations] == [("product.images", "190203")]


async def test_expired_token_is_refreshed_once_and_the_call_repeated(publishing: Publishing) -> None:
    """A refused token is refreshed and the same call sent again; the seller notices nothing."""
    await publishing.until("put_inventory_item")
    publishing.control.expire_access_tokens(publishing.seller.username)
    result = await publishing.attempt("create_offer")
    assert result.remote_id
    assert publishing.tokens.refreshes == 2
    assert publishing.created() == (1, 0)


async def test_token_refused_twice_asks_for_reconnecting(publishing: Publishing) -> None:
    """When the refreshed token is refused as well, the account must be connected again; nothing was sent."""
    await publishing.until("put_inventory_item")
    content = errors(1001)
    publishing.fault("status", "POST", f"{INVENTORY}/offer", status=401, content=content, times=2)
    with pytest.raises(AuthRequiredError) as caught:
        await publishing.attempt("create_offer")
    assert (caught.value.effect, caught.value.code) == (EffectOutcome.NOT_SENT, "1001")
    assert publishing.tokens.refreshes == 2


async def test_withdrawn_consent_asks_for_reconnecting(publishing: Publishing) -> None:
    """invalid_grant at the token endpoint means that the seller must give consent again."""
    await publishing.until("put_inventory_item")
    publishing.control.revoke(publishing.seller.username)
    with pytest.raises(AuthRequiredError, match="connect the account again") as caught:
        await publishing.attempt("create_offer")
    assert (caught.value.effect, caught.value.code) == (EffectOutcome.NOT_SENT, "invalid_grant")


async def test_wrong_application_secret_is_no_reason_to_reconnect(publishing: Publishing) -> None:
    """Wrong credentials of the application are the operator's: sellers are left alone, and it is retried."""
    settings = publishing.settings.model_copy(update={"ebay_client_id": "unknown"})
    publishing.use(settings)
    with pytest.raises(RetryableError, match="EBAY_CLIENT_ID") as caught:
        await publishing.attempt("create_offer")
    assert (caught.value.effect, caught.value.code) == (EffectOutcome.NOT_SENT, "invalid_client")
    assert caught.value.retry_after_seconds is not None


async def test_token_lacking_the_scope_asks_for_reconnecting(publishing: Publishing) -> None:
    """A consent without sell.inventory cannot be repaired by refreshing."""
    publishing.renew(scopes=["https://api.ebay.com/oauth/api_scope"])
    with pytest.raises(AuthRequiredError) as caught:
        await publishing.attempt("create_offer")
    assert (caught.value.http_status, caught.value.code) == (403, "1100")


async def test_ended_listing_is_a_persons_decision(publishing: Publishing) -> None:
    """An offer that eBay calls published while its listing has ended is not listed again by itself."""
    await publishing.until("create_offer")
    offer = next(iter(publishing.state()["offers"].values()))
    ended = {**offer, "status": "PUBLISHED", "listing": {"listingId": "1", "listingStatus": "EBAY_ENDED"}}
    publishing.fault("status", "GET", f"{INVENTORY}/offer/*", status=200, content=ended, times=2)
    with pytest.raises(NeedsHumanError) as caught:
        await publishing.attempt("publish_offer")
    assert caught.value.effect is EffectOutcome.NOT_SENT
    with pytest.raises(NeedsHumanError, match="EBAY_ENDED") as caught:
        await publishing.attempt("publish_offer", probe=True)
    assert caught.value.effect is EffectOutcome.UNKNOWN
    assert publishing.created() == (1, 0)


async def test_offer_that_vanished_is_permanent(publishing: Publishing) -> None:
    """Publishing an offer that eBay does not know fails for good, with eBay's own error."""
    await publishing.until("put_inventory_item")
    publishing.outputs["create_offer"] = [{"offerId": "999"}]
    with pytest.raises(PermanentError) as caught:
        await publishing.attempt("publish_offer")
    assert (caught.value.code, caught.value.effect) == ("25713", EffectOutcome.NOT_SENT)


async def test_warnings_of_ebay_are_kept(publishing: Publishing) -> None:
    """What eBay remarks while publishing is stored with the task's output."""
    await publishing.until("create_offer")
    warning = {"errorId": 25402, "domain": "API_INVENTORY", "category": "APPLICATION", "message": "Hm."}
    content = {"listingId": "110555", "warnings": [warning]}
    publishing.fault("status", "POST", f"{INVENTORY}/offer/*/publish", status=200, content=content)
    result = await publishing.attempt("publish_offer")
    assert result.output["warnings"] == [warning]
    assert result.remote_id == "110555"


async def test_sku_offered_on_another_site_is_left_alone(publishing: Publishing, judge: Judge) -> None:
    """An offer of the SKU that is not for the job's site is not changed; the seller is told of it."""
    await publishing.until("create_offer")
    [offer] = publishing.state()["offers"].values()
    elsewhere = {**offer, "marketplaceId": "EBAY_DE"}
    publishing.fault("status", "GET", f"{INVENTORY}/offer/*", status=200, content=elsewhere)
    with pytest.raises(PermanentError, match="EBAY_DE") as caught:
        await publishing.attempt("create_offer")
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert [one.field for one in caught.value.violations] == ["product.content.sku"]
    assert not [one for one in judge.exchanges if one[0] == "PUT" and "/offer/" in one[1]]


async def test_probe_that_ebay_refuses_proves_nothing(publishing: Publishing) -> None:
    """A refusal of the probe itself is no proof that the offer is absent."""
    await publishing.until("create_offer")
    for step in ("create_offer", "publish_offer"):
        publishing.fault("status", "GET", f"{INVENTORY}/offer**", status=400, content=errors(25709))
        with pytest.raises(PermanentError) as caught:
            await publishing.attempt(step, probe=True)
        assert (caught.value.code, caught.value.effect) == ("25709", EffectOutcome.UNKNOWN)
    assert publishing.created() == (1, 0)
