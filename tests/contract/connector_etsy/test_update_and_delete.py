"""Listings follow their products and leave the market; every exchange obeys Etsy's document."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import httpx
import pytest

from stoflow_connector_sdk import (
    EffectOutcome,
    ListingState,
    NeedsHumanError,
    PermanentError,
    RateLimitedError,
    RetryableError,
)
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_etsy.selling import Job, Selling

ENDED = ListingState.LISTING_STATE_ENDED
LIVE = ListingState.LISTING_STATE_LIVE
SIZE = 62809790503


async def seller_upload(selling: Selling, color: str) -> str:
    """Adds a picture at Etsy as the seller does by hand; returns its SHA-256."""
    _, data = selling.catalogue.add(color)
    headers = {
        "x-api-key": f"{selling.shop.client_id}:{selling.shop.client_secret}",
        "authorization": f"Bearer {selling.tokens.token}",
    }
    path = f"/v3/application/shops/{selling.shop.shop_id}/listings/{selling.only()['listing_id']}/images"
    async with httpx.AsyncClient(base_url=selling.control.base_url, trust_env=False) as by_hand:
        files = {"image": ("own.jpg", data, "image/jpeg")}
        answer = await by_hand.post(path, headers=headers, files=files, data={"rank": "9"})
    assert answer.status_code == 201, answer.text
    return hashlib.sha256(data).hexdigest()


async def seller_put(selling: Selling, path: str, body: dict[str, Any]) -> None:
    """Changes something at Etsy as the seller does by hand."""
    headers = {
        "x-api-key": f"{selling.shop.client_id}:{selling.shop.client_secret}",
        "authorization": f"Bearer {selling.tokens.token}",
    }
    async with httpx.AsyncClient(base_url=selling.control.base_url, trust_env=False) as by_hand:
        answer = await by_hand.put(f"/v3/application{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


def variations(selling: Selling) -> dict[str, Any]:
    """Two sizes with prices, stocks and SKUs of their own; one is the product."""

    def one(sku: str, size: str, value_id: int, price: float, quantity: int) -> dict[str, Any]:
        return {
            "sku": sku,
            "property_values": [
                {"property_id": SIZE, "property_name": "Size", "value_ids": [value_id], "values": [size]}
            ],
            "offerings": [
                {
                    "price": price,
                    "quantity": quantity,
                    "is_enabled": True,
                    "readiness_state_id": selling.shop.readiness_state_ids[0],
                }
            ],
        }

    on_property = {name: [SIZE] for name in ("price_on_property", "quantity_on_property", "sku_on_property")}
    return {
        "products": [one("other", "S", 1796, 11.0, 4), one(selling.sku, "M", 1797, 19.99, 2)],
        **on_property,
    }


async def test_update_brings_texts_price_and_stock(selling: Selling) -> None:
    """After an update Etsy shows the product as it is now, in the same listing, at no cost."""
    await selling.run("publish")
    selling.change(title="Long summer dress", description="Longer.", stock_quantity=6)
    selling.product.content.price.amount_minor = 2550
    job = await selling.run("update")
    shown = selling.only()
    assert (shown["title"], shown["description"], shown["quantity"]) == ("Long summer dress", "Longer.", 6)
    assert shown["inventory"]["products"][0]["offerings"][0]["price"]["amount"] == 2550
    assert job.last.listing is not None
    assert (job.last.listing.state, job.last.listing.price.amount_minor) == (LIVE, 2550)
    assert shown["fees"] == 1


async def test_price_never_goes_through_the_listing(selling: Selling) -> None:
    """updateListing ignores price and quantity without a word, so neither is ever sent there."""
    await selling.run("publish")
    await selling.run("update")
    bodies = [str(entry.get("body") or "") for entry in selling.requests(operation="updateListing")]
    assert bodies
    assert not [body for body in bodies if "price=" in body or "quantity=" in body]


async def test_variations_survive_an_update(selling: Selling) -> None:
    """Sizes that the seller made at Etsy stay, with their prices; only the product's own one changes."""
    await selling.run("publish")
    listing_id = selling.only()["listing_id"]
    await seller_put(selling, f"/listings/{listing_id}/inventory", variations(selling))
    selling.change(stock_quantity=9)
    selling.product.content.price.amount_minor = 3000
    await selling.run("update")
    inventory = selling.only()["inventory"]
    offered = {
        one["sku"]: (one["offerings"][0]["price"]["amount"], one["offerings"][0]["quantity"])
        for one in inventory["products"]
    }
    assert offered == {"other": (1100, 4), selling.sku: (3000, 9)}
    assert inventory["price_on_property"] == inventory["sku_on_property"] == [SIZE]
    assert [one["property_values"][0]["values"] for one in inventory["products"]] == [["S"], ["M"]]


async def test_inventory_that_is_right_is_not_written(selling: Selling) -> None:
    """An update that changes neither SKU, price nor stock writes no inventory."""
    await selling.run("publish")
    before = len(selling.requests(operation="updateListingInventory"))
    selling.change(title="Other")
    await selling.run("update")
    assert len(selling.requests(operation="updateListingInventory")) == before


async def test_product_without_stock_leaves_the_market(selling: Selling) -> None:
    """Etsy refuses a quantity of zero, so it is never sent: the listing becomes inactive, its inventory stays."""
    await selling.run("publish")
    selling.change(stock_quantity=0)
    job = await selling.run("update")
    shown = selling.only("inactive")
    assert shown["quantity"] == 2
    assert job.last.listing is not None
    assert job.last.listing.state == ENDED


async def test_listing_is_found_by_sku_when_nobody_knows_it(selling: Selling) -> None:
    """Without a known listing the shop is searched, in every state, for the SKU."""
    await selling.run("publish")
    selling.listings = []
    selling.change(title="Found again")
    await selling.run("update")
    assert selling.only()["title"] == "Found again"


async def test_changed_pictures_are_shown_in_their_order(selling: Selling) -> None:
    """New pictures are added, old ones taken off, known ones moved and not sent again; the seller's own stay behind."""
    await selling.run("publish")
    uploads = len(selling.requests(operation="uploadListingImage"))
    own = await seller_upload(selling, "orange")
    selling.picture("blue", "white", "red")
    await selling.run("update")
    assert selling.only()["digests"] == [*selling.digests(), own]
    assert len(selling.requests(operation="uploadListingImage")) == uploads + 2
    selling.picture("white")
    await selling.run("update")
    assert selling.only()["digests"] == [*selling.digests(), own]
    assert len(selling.requests(operation="uploadListingImage")) == uploads + 2


@pytest.mark.parametrize("kind", ["timeout_after_effect", "reset_after_effect"])
async def test_lost_picture_of_an_update_is_shown_once(selling: Selling, kind: str) -> None:
    """A picture whose answer was lost is told from the seller's own, and is not shown twice."""
    await selling.run("publish")
    own = await seller_upload(selling, "orange")
    selling.picture("blue", "white", "red")
    selling.fault(kind, "POST", "/shops/*/listings/*/images")
    job = Job("update")
    planned = await selling.attempt(job, "put_inventory")
    (following,) = planned.follow_ups
    with pytest.raises(RetryableError):
        await selling.attempt(job, "update_pictures", given=following.input)
    await selling.attempt(job, "update_pictures", given=following.input)
    assert selling.only()["digests"] == [*selling.digests(), own]


async def test_pictures_that_nobody_noted_are_left_alone(selling: Selling) -> None:
    """Pictures of a listing that we did not publish are the seller's, however the product changes."""
    await selling.run("publish")
    before = selling.only()["digests"]
    selling.listings = [replace(known, notes={}) for known in selling.listings]
    selling.picture("white")
    await selling.run("update")
    assert selling.only()["digests"] == before


async def test_update_older_than_the_listing_is_dropped(selling: Selling) -> None:
    """A job that waited while a newer one ran changes nothing, and says nothing of the listing."""
    await selling.run("publish")
    selling.listings = [replace(known, product_version=2) for known in selling.listings]
    selling.change(title="Old news")
    job = await selling.run("update")
    assert selling.only()["title"] == "Summer dress"
    assert [(result.output, result.listing) for result in job.results] == [({"dropped": "OLDER"}, None)] * 2


async def test_retried_older_update_is_dropped_behind_its_first_step(selling: Selling) -> None:
    """A failed job that is retried after a newer one changes no texts and no pictures."""
    await selling.run("publish")
    before = selling.only()["digests"]
    selling.change(title="Old news")
    selling.picture("white")
    job = Job("update")
    planned = await selling.attempt(job, "put_inventory")
    (following,) = planned.follow_ups
    # Meanwhile a newer one has run.
    selling.listings = [replace(known, product_version=2) for known in selling.listings]
    await selling.attempt(job, "update_pictures", given=following.input)
    result = await selling.attempt(job, "update_listing")
    assert (result.output, result.listing) == ({"dropped": "OLDER"}, None)
    assert (selling.only()["title"], selling.only()["digests"]) == ("Summer dress", before)


async def test_update_without_a_listing_is_told(selling: Selling) -> None:
    """There is nothing to update: the seller is told to publish first."""
    with pytest.raises(PermanentError, match="publish the product first"):
        await selling.run("update")


async def test_listing_that_vanished_between_two_steps_is_reported(selling: Selling) -> None:
    """A listing deleted by hand while it is updated is reported as ended."""
    await selling.run("publish")
    job = await selling.run("update", last="put_inventory")
    selling.options = {"method": "DELETE"}
    await selling.run("delete")
    result = await selling.attempt(job, "update_listing")
    assert result.listing is not None
    assert result.listing.state == ENDED


async def test_delete_deactivates_and_publish_brings_back_without_a_fee(selling: Selling) -> None:
    """By default a listing only leaves the market; published again it returns, and nothing is paid."""
    first = await selling.run("publish")
    job = await selling.run("delete")
    assert job.last.listing is not None
    assert job.last.listing.state == ENDED
    assert selling.only("inactive")
    selling.generation += 1
    await selling.run("publish", probe=True, remote_id=first.last.remote_id, settle=0.0)
    assert selling.only()["fees"] == 1


async def test_delete_for_good(selling: Selling) -> None:
    """With the option the listing is gone; deleting it again is done already."""
    await selling.run("publish")
    selling.options = {"method": "DELETE"}
    await selling.run("delete")
    assert selling.shown() == []
    again = await selling.run("delete")
    assert again.last.output["isGone"] is True
    assert again.last.listing is not None
    assert again.last.listing.state == ENDED


async def test_delete_in_a_state_that_forbids_it(selling: Selling) -> None:
    """After Etsy's 409 the listing is made inactive first, and then deleted."""
    await selling.run("publish")
    selling.options = {"method": "DELETE"}
    selling.fault("status", "DELETE", "/listings/*", status=409, content={"error": "Wrong state."})
    await selling.run("delete")
    assert selling.shown() == []


@pytest.mark.parametrize("method", ["DEACTIVATE", "DELETE"])
@pytest.mark.parametrize("kind", ["timeout_after_effect", "reset_after_effect"])
async def test_ending_may_be_repeated(selling: Selling, method: str, kind: str) -> None:
    """An ending whose answer was lost is repeated and succeeds."""
    await selling.run("publish")
    selling.options = {"method": method}
    verb, path = ("DELETE", "/listings/*") if method == "DELETE" else ("PATCH", "/shops/*/listings/*")
    selling.fault(kind, verb, path)
    with pytest.raises(RetryableError):
        await selling.run("delete")
    await selling.run("delete")
    assert selling.shown("active") == []


async def test_nothing_to_delete_is_done(selling: Selling) -> None:
    """A product that was never listed, nor found in the shop, is off the market."""
    job = await selling.run("delete")
    assert (job.last.output["isGone"], job.last.listing) == (True, None)


async def test_sku_of_several_listings_is_a_persons_to_sort_out(selling: Selling) -> None:
    """Which of two live listings of one SKU is meant is not guessed."""
    await selling.run("publish")
    selling.generation += 1
    await selling.run("publish")
    selling.listings = []
    with pytest.raises(NeedsHumanError, match=selling.sku):
        await selling.run("delete")
    assert len(selling.shown("active")) == 2


async def test_search_through_a_changing_shop_proves_nothing(selling: Selling) -> None:
    """When the shop's listings change while they are read, no conclusion is drawn."""
    content = {"count": 7, "results": []}
    selling.fault("status", "GET", "/shops/*/listings", status=200, content=content, times=3)
    with pytest.raises(RetryableError) as caught:
        await selling.run("delete")
    assert (caught.value.code, caught.value.effect) == ("SCAN_INCOMPLETE", EffectOutcome.NOT_SENT)


async def test_used_up_day_is_a_long_wait_that_sends_nothing(selling: Selling, judge: Judge) -> None:
    """After a 429 of the day the job waits as long as Etsy says, and until then nothing more is sent."""
    await selling.run("publish")
    selling.control.set_limits(
        client_id=selling.shop.client_id, per_day=200, used_today=200, retry_after_seconds=86_400
    )
    with pytest.raises(RateLimitedError) as caught:
        await selling.run("update")
    assert caught.value.retry_after_seconds == 86_400
    before = len(judge.exchanges)
    with pytest.raises(RateLimitedError) as caught:
        await selling.run("update")
    assert caught.value.effect is EffectOutcome.NOT_SENT
    assert (caught.value.retry_after_seconds or 0) > 80_000
    assert len(judge.exchanges) == before


async def test_last_calls_of_the_day_take_things_off_the_market(selling: Selling) -> None:
    """When nothing else may be sent any more, a deletion still is."""
    await selling.run("publish")
    selling.control.set_limits(client_id=selling.shop.client_id, per_day=1000, used_today=960)
    selling.use()
    refused = 0
    for _ in range(10):
        try:
            await selling.run("update")
        except RateLimitedError:
            refused += 1
    assert refused > 5
    await selling.run("delete")
    assert selling.only("inactive")


async def test_calls_keep_the_pace_of_the_second(selling: Selling) -> None:
    """With five calls a second, told by headers that are cut off, nothing is refused but before the first answer."""
    selling.control.set_limits(client_id=selling.shop.client_id, per_second=5, is_header_truncated=True)
    await selling.run("publish")
    assert [entry for entry in selling.requests() if entry["status"] == 429] == []
