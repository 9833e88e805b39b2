"""A product becomes a live listing on Etsy, once; every exchange obeys Etsy's document."""

from __future__ import annotations

import httpx
import pytest

from stoflow_connector_etsy.mapping import MARKER_START
from stoflow_connector_sdk import (
    AuthRequiredError,
    ConnectorError,
    EffectOutcome,
    ListingState,
    NeedsHumanError,
    PermanentError,
    RetryableError,
)
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_etsy.selling import BOOTS, Job, Selling

LIVE = ListingState.LISTING_STATE_LIVE


async def test_product_becomes_a_live_listing(selling: Selling) -> None:
    """After the steps in order Etsy shows one listing with our texts, SKU, price, stock and pictures in order."""
    job = await selling.run("publish")
    shown = selling.only()
    assert job.last.listing is not None
    assert (job.last.listing.state, job.last.listing.sku) == (LIVE, selling.sku)
    assert job.last.remote_id == str(shown["listing_id"])
    assert (shown["title"], shown["who_made"], shown["when_made"]) == (
        "Summer dress",
        "someone_else",
        "1970s",
    )
    assert shown["description"] == selling.product.content.description
    (product,) = shown["inventory"]["products"]
    (offering,) = product["offerings"]
    assert (product["sku"], offering["quantity"], offering["price"]["amount"]) == (selling.sku, 2, 1999)
    assert shown["digests"] == selling.digests()
    assert shown["fees"] == 1
    created = selling.state()["created"]
    assert created["listings"] == {selling.sku: 1}
    assert sum(created["drafts"].values()) == 1
    assert sum(created["images"].values()) == 3


async def test_draft_carries_the_reference_until_it_is_finished(selling: Selling) -> None:
    """The reference is in the draft's description, which no buyer sees, and gone before buyers do."""
    job = await selling.run("publish", last="put_inventory")
    reference = str(job.outputs["create_draft"][0]["reference"])
    assert f"{MARKER_START}{reference}]" in selling.only("draft")["description"]
    await selling.attempt(job, "finish_draft")
    assert MARKER_START not in selling.only("draft")["description"]


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("timeout_after_effect", {}),
        ("reset_after_effect", {}),
        ("status", {"status": 500, "apply": "before"}),
        ("malformed_body", {"apply": "before"}),
    ],
)
async def test_lost_draft_is_found_and_no_second_one_made(
    selling: Selling, judge: Judge, kind: str, rule: dict[str, object]
) -> None:
    """A draft whose answer was lost, or was a 500, is found by its reference among others and adopted."""
    selling.control.add_fault(
        kind, method="POST", path="/v3/application/shops/*/listings", seller=selling.shop.username, **rule
    )
    job = await selling.run("publish", last="preflight")
    with pytest.raises(RetryableError) as caught:
        await selling.attempt(job, "create_draft")
    assert caught.value.effect is EffectOutcome.UNKNOWN
    judge.take("createDraftListing", "response")
    found = await selling.attempt(job, "create_draft", probe=True)
    draft = selling.only("draft")
    assert found.remote_id == str(draft["listing_id"])
    assert sum(selling.state()["created"]["drafts"].values()) == 1


async def test_late_draft_is_swept(selling: Selling) -> None:
    """A draft that appears after its settling time, beside a second one, is deleted before anything is activated."""
    selling.fault("late_effect", "POST", "/shops/*/listings", delay_seconds=2.5)
    job = await selling.run("publish", last="preflight")
    with pytest.raises(RetryableError):
        await selling.attempt(job, "create_draft")
    second = await selling.attempt(job, "create_draft", probe=True, settle=0.0)
    selling.control.requests(wait_count=2, method="POST", operation="createDraftListing", timeout=10)
    for index in range(3):
        await selling.attempt(job, "upload_image", item_index=index)
    for name in ("arrange_images", "put_inventory", "finish_draft", "activate"):
        await selling.attempt(job, name)
    shown = selling.only()
    assert str(shown["listing_id"]) == second.remote_id
    assert selling.state()["created"]["listings"] == {selling.sku: 1}


async def test_refused_draft_says_every_field(selling: Selling) -> None:
    """What Etsy refuses is permanent, was not sent as far as the effect goes, and names the fields."""
    job = await selling.run("publish", last="preflight")
    selling.fault(
        "status", "POST", "/shops/*/listings", status=400, content={"error": "Invalid taxonomy_id: no."}
    )
    with pytest.raises(PermanentError) as caught:
        await selling.attempt(job, "create_draft")
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert [one.field for one in caught.value.violations] == ["mappings.category"]


async def test_preflight_says_everything_at_once(selling: Selling) -> None:
    """Currency, shipping profile and the category's required property are told together, and nothing is made."""
    selling.category = BOOTS
    selling.product.content.price.currency_code = "EUR"
    object.__setattr__(selling.shop, "shipping_profile_ids", [1])
    with pytest.raises(PermanentError) as caught:
        await selling.run("publish")
    assert sorted(one.field for one in caught.value.violations) == [
        "account.settings.shippingProfileId",
        "product.content.attributes.Shoe size",
        "product.content.price.currencyCode",
    ]
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert selling.shown() == []


@pytest.mark.parametrize("country", ["US", "DE"])
async def test_return_policy_is_for_shops_outside_the_european_union(selling: Selling, country: str) -> None:
    """A shop in Germany lists without a return policy; one in the United States is told that it needs one."""
    shop = selling.shop
    selling.shop = selling.control.seed_shop(
        f"{shop.username}-{country}",
        client_id=shop.client_id,
        client_secret=shop.client_secret,
        country=country,
    )
    selling.use()
    selling.without = {"returnPolicyId"}
    if country == "DE":
        assert (await selling.run("publish")).last.listing is not None
        return
    with pytest.raises(PermanentError) as caught:
        await selling.run("publish")
    assert [one.field for one in caught.value.violations] == ["account.settings.returnPolicyId"]


async def test_category_that_etsy_does_not_know_is_told(selling: Selling) -> None:
    """A category id that is no node of the taxonomy is a violation of the mapping."""
    selling.category = "999999"
    with pytest.raises(PermanentError) as caught:
        await selling.run("publish")
    assert [one.field for one in caught.value.violations] == ["mappings.category"]


async def test_required_property_is_set_before_activation(selling: Selling) -> None:
    """A property that the category requires is answered from the product and set on the draft."""
    selling.category = BOOTS
    selling.product.content.attributes["Shoe size"].values.append("39")
    await selling.run("publish")
    assert ["39"] in [one["values"] for one in selling.only()["properties"].values()]


async def test_what_etsy_has_set_up_is_asked_once(selling: Selling, judge: Judge) -> None:
    """A second preflight within minutes asks neither the shop nor the taxonomy again."""
    job = Job("publish")
    await selling.attempt(job, "preflight")
    before = len(judge.exchanges)
    await selling.attempt(job, "preflight")
    assert len(judge.exchanges) == before


@pytest.mark.parametrize("mode", ["front", "equal"])
async def test_order_of_pictures_is_repaired(selling: Selling, mode: str) -> None:
    """Ranks that Etsy ignores or gives twice do not change the order that buyers see."""
    shop = selling.shop
    selling.control.seed_shop(
        shop.username, client_id=shop.client_id, client_secret=shop.client_secret, rank_mode=mode
    )
    await selling.run("publish")
    assert selling.only()["digests"] == selling.digests()


@pytest.mark.parametrize("kind", ["timeout_after_effect", "reset_after_effect"])
async def test_lost_picture_is_not_shown_twice(selling: Selling, kind: str) -> None:
    """A picture whose answer was lost is counted before the next attempt, and shown once in its place."""
    selling.fault(kind, "POST", "/shops/*/listings/*/images", skip=1)
    job = await selling.run("publish", last="create_draft")
    await selling.attempt(job, "upload_image", item_index=0)
    with pytest.raises(RetryableError):
        await selling.attempt(job, "upload_image", item_index=1)
    for index in (1, 2):
        await selling.attempt(job, "upload_image", item_index=index)
    await selling.attempt(job, "arrange_images")
    assert selling.only("draft")["digests"] == selling.digests()


async def test_late_picture_is_removed(selling: Selling) -> None:
    """A picture that appears after a second one was sent in its place is removed before the listing goes live."""
    selling.fault("late_effect", "POST", "/shops/*/listings/*/images", delay_seconds=2.0)
    job = await selling.run("publish", last="create_draft")
    with pytest.raises(RetryableError):
        await selling.attempt(job, "upload_image", item_index=0)
    for index in range(3):
        await selling.attempt(job, "upload_image", item_index=index)
    selling.control.requests(wait_count=4, method="POST", operation="uploadListingImage", timeout=10)
    await selling.attempt(job, "arrange_images")
    assert selling.only("draft")["digests"] == selling.digests()


async def test_pictures_are_arranged_when_none_can_appear_any_more(selling: Selling) -> None:
    """After an upload without an answer the check outwaits what may still come, and removes it."""
    selling.use(etsy_settle_seconds=3)
    selling.fault("late_effect", "POST", "/shops/*/listings/*/images", delay_seconds=2.5)
    job = await selling.run("publish", last="create_draft")
    with pytest.raises(RetryableError):
        await selling.attempt(job, "upload_image", item_index=0)
    await selling.attempt(job, "upload_image", item_index=0, number=2)
    for index in (1, 2):
        await selling.attempt(job, "upload_image", item_index=index)
    await selling.attempt(job, "arrange_images")
    assert len(selling.control.requests(seller=selling.shop.username, kind="late_effect")) == 1
    assert selling.only("draft")["digests"] == selling.digests()


async def test_picture_that_vanished_is_copied_again(selling: Selling) -> None:
    """A picture that somebody removed meanwhile is back in its place after the check."""
    job = await selling.run("publish", last="upload_image")
    listing_id, image_id = (
        job.outputs["create_draft"][0]["listingId"],
        job.outputs["upload_image"][1]["imageId"],
    )
    path = f"/v3/application/shops/{selling.shop.shop_id}/listings/{listing_id}/images/{image_id}"
    headers = {
        "x-api-key": f"{selling.shop.client_id}:{selling.shop.client_secret}",
        "authorization": f"Bearer {selling.tokens.token}",
    }
    async with httpx.AsyncClient(base_url=selling.control.base_url, trust_env=False) as by_hand:
        assert (await by_hand.delete(path, headers=headers)).status_code == 204
    await selling.attempt(job, "arrange_images")
    assert selling.only("draft")["digests"] == selling.digests()


async def test_activation_is_not_paid_twice(selling: Selling) -> None:
    """An activation whose answer was lost is found, and costs one fee."""
    job = await selling.run("publish", last="finish_draft")
    selling.fault("timeout_after_effect", "PATCH", "/shops/*/listings/*")
    with pytest.raises(RetryableError) as caught:
        await selling.attempt(job, "activate")
    assert caught.value.effect is EffectOutcome.UNKNOWN
    result = await selling.attempt(job, "activate", probe=True)
    assert result.listing is not None
    assert result.listing.state == LIVE
    assert selling.only()["fees"] == 1


async def test_published_again_the_listing_is_adopted_and_keeps_its_pictures(selling: Selling) -> None:
    """Publishing a listed product again brings its listing up to date, and neither makes nor costs anything."""
    first = await selling.run("publish")
    selling.generation += 1
    selling.change(stock_quantity=5, title="Summer dress, long")
    second = await selling.run("publish", probe=True, remote_id=first.last.remote_id, settle=0.0)
    shown = selling.only()
    assert second.last.remote_id == first.last.remote_id
    assert (shown["title"], shown["quantity"], shown["fees"]) == ("Summer dress, long", 5, 1)
    assert shown["digests"] == selling.digests()


async def test_sold_out_listing_is_renewed_with_its_stock(selling: Selling) -> None:
    """Etsy renews what was sold out with one piece; afterwards it has as many as the product."""
    first = await selling.run("publish")
    selling.control.buy(selling.shop.username, {"listing_id": int(first.last.remote_id), "quantity": 2})
    assert selling.only("sold_out")
    selling.generation += 1
    selling.change(stock_quantity=4)
    job = Job("publish")
    for name in ("preflight", "create_draft"):
        await selling.attempt(
            job, name, probe=name == "create_draft", remote_id=first.last.remote_id, settle=0.0
        )
    for index in range(3):
        await selling.attempt(job, "upload_image", item_index=index)
    for name in ("arrange_images", "put_inventory", "finish_draft", "activate"):
        await selling.attempt(job, name)
    shown = selling.only()
    assert (shown["quantity"], shown["fees"]) == (4, 2)


async def test_renewal_whose_answer_was_lost_still_gets_its_stock(selling: Selling) -> None:
    """The probe after a lost renewal finds it active with one piece, and writes the stock."""
    first = await selling.run("publish")
    selling.control.buy(selling.shop.username, {"listing_id": int(first.last.remote_id), "quantity": 2})
    selling.generation += 1
    selling.change(stock_quantity=4)
    job = Job("publish")
    for name in ("preflight", "create_draft"):
        await selling.attempt(
            job, name, probe=name == "create_draft", remote_id=first.last.remote_id, settle=0.0
        )
    selling.fault("timeout_after_effect", "PATCH", "/shops/*/listings/*", body_contains="state=active")
    with pytest.raises(RetryableError):
        await selling.attempt(job, "activate")
    await selling.attempt(job, "activate", probe=True, settle=0.0)
    assert (selling.only()["quantity"], selling.only()["fees"]) == (4, 2)


async def test_what_a_person_named_is_taken(selling: Selling) -> None:
    """A draft and a listing that an operator settled as done are adopted; an unknown id is theirs to settle again."""
    job = await selling.run("publish", last="finish_draft")
    listing_id = str(selling.only("draft")["listing_id"])
    taken = await selling.attempt(job, "create_draft", adopt=listing_id)
    assert taken.output["listingId"] == listing_id
    assert (await selling.attempt(job, "activate", adopt=listing_id)).remote_id == listing_id
    for name in ("create_draft", "activate"):
        with pytest.raises(NeedsHumanError, match="12345"):
            await selling.attempt(job, name, adopt="12345")


async def test_listing_of_another_shop_is_not_ours(selling: Selling, judge: Judge) -> None:
    """Etsy shows everybody's public listings; one of another shop is never adopted."""
    other = selling.control.seed_shop(
        f"{selling.shop.username}-b",
        client_id=selling.shop.client_id,
        client_secret=selling.shop.client_secret,
    )
    mine = selling.shop
    job = await selling.run("publish")
    selling.shop = other
    selling.use()
    with pytest.raises(NeedsHumanError):
        await selling.attempt(Job("publish"), "create_draft", adopt=job.last.remote_id)
    selling.shop = mine


async def test_expired_token_is_refreshed_and_rotated(selling: Selling) -> None:
    """A refused token is refreshed once and the call repeated; the next refresh uses the rotated token."""
    for refreshes in (2, 3):
        job = await selling.run("publish", last="preflight")
        selling.control.call("POST", f"sellers/{selling.shop.username}/expire_access_tokens")
        selling.generation += 1
        await selling.attempt(job, "create_draft")
        assert selling.tokens.refreshes == refreshes


async def test_lost_refresh_is_tried_once_with_the_old_token(selling: Selling) -> None:
    """When the answer with the rotated token is lost the old one is tried once; then the seller connects again."""
    selling.control.add_fault("timeout_after_effect", method="POST", path="/v3/public/oauth/token")
    with pytest.raises(AuthRequiredError, match="connect the account again") as caught:
        await selling.run("publish", last="preflight")
    assert caught.value.code == "invalid_grant"
    tokens = [
        entry for entry in selling.control.requests(operation="token") if entry["status"] in (None, 400)
    ]
    assert len(tokens) >= 2


async def test_refresh_that_never_arrived_succeeds_with_the_old_token(selling: Selling) -> None:
    """A refresh that Etsy never saw costs nothing but a second one."""
    selling.control.add_fault("timeout_before_effect", method="POST", path="/v3/public/oauth/token")
    await selling.run("publish", last="preflight")
    assert selling.tokens.refreshes == 1


async def test_revoked_grant_asks_for_reconnecting(selling: Selling) -> None:
    """A withdrawn consent pauses the account, with nothing sent."""
    job = await selling.run("publish", last="preflight")
    selling.control.revoke(selling.shop.username)
    with pytest.raises(AuthRequiredError) as caught:
        await selling.attempt(job, "create_draft")
    assert caught.value.effect is EffectOutcome.NOT_SENT


async def test_consent_without_a_scope_asks_for_reconnecting(selling: Selling) -> None:
    """A scope that the consent lacks cannot be refreshed into being."""
    shop = selling.shop
    selling.shop = selling.control.seed_shop(
        shop.username,
        client_id=shop.client_id,
        client_secret=shop.client_secret,
        refresh_token="1.another",
        scopes=["listings_r", "shops_r"],
    )
    selling.use()
    job = await selling.run("publish", last="preflight")
    with pytest.raises(AuthRequiredError) as caught:
        await selling.attempt(job, "create_draft")
    assert (caught.value.http_status, caught.value.effect) == (403, EffectOutcome.NOT_SENT)


async def test_wrong_shared_secret_is_no_sellers_fault(selling: Selling) -> None:
    """A refused API key is retried later, for an operator to repair."""
    selling.use(etsy_shared_secret="wrong")
    with pytest.raises(RetryableError) as caught:
        await selling.run("publish")
    assert caught.value.retry_after_seconds == 300


async def test_secrets_are_in_no_error(selling: Selling) -> None:
    """Neither the shared secret nor a token stands in what a failure says."""
    selling.use(etsy_shared_secret="wrong-and-secret")
    with pytest.raises(ConnectorError) as caught:
        await selling.run("publish")
    said = f"{caught.value.message} {caught.value.raw_body}"
    assert "wrong-and-secret" not in said
    assert selling.tokens.token not in said
