"""A product goes off one site; what is gone already is success."""

from __future__ import annotations

from typing import Any

import pytest

from stoflow_connector_sdk import ListingState, PermanentError, RetryableError
from tests.contract.connector_ebay.exchanges import Judge
from tests.contract.connector_ebay.publishing import Publishing

INVENTORY = "/sell/inventory/v1"
WITHDRAW = f"{INVENTORY}/offer/*/withdraw"
BULK = f"{INVENTORY}/bulk_update_price_quantity"
ENDED = ListingState.LISTING_STATE_ENDED


def status(publishing: Publishing) -> str:
    (listing,) = publishing.memory.listings
    return str(publishing.control.listing(listing)["status"])


def known_state(publishing: Publishing) -> int:
    (known,) = publishing.memory.listings.values()
    return int(known.state)


async def test_listing_is_withdrawn_by_one_request(publishing: Publishing, judge: Judge) -> None:
    """Delete withdraws the offer that was noted; the offer stays, and the listing is reported as ended."""
    await publishing.run("publish")
    before = len(judge.exchanges)
    (result,) = await publishing.run("delete")
    offer_id = publishing.state()["offers"].popitem()[0]
    assert judge.exchanges[before:] == [("POST", f"{INVENTORY}/offer/{offer_id}/withdraw", 200)]
    assert (status(publishing), known_state(publishing)) == ("ENDED", ENDED)
    assert result.output["method"] == "WITHDRAW"


async def test_deleting_again_is_success(publishing: Publishing) -> None:
    """A repeat finds nothing to end, which is what was asked for: 25713 is no failure."""
    await publishing.run("publish")
    await publishing.run("delete")
    (result,) = await publishing.run("delete")
    assert result.output["wasGone"] is True
    assert known_state(publishing) == ENDED


async def test_lost_answer_is_repeated(publishing: Publishing) -> None:
    """After an answer that never came the step is done again and finds the listing gone."""
    await publishing.run("publish")
    publishing.fault("timeout_after_effect", "POST", WITHDRAW)
    with pytest.raises(RetryableError):
        await publishing.run("delete")
    (result,) = await publishing.run("delete")
    assert result.output["wasGone"] is True
    assert (status(publishing), known_state(publishing)) == ("ENDED", ENDED)


@pytest.mark.parametrize("gone", ["offer", "inventory_item"])
async def test_offer_that_the_seller_removed_is_success(publishing: Publishing, gone: str) -> None:
    """An offer or item that the seller deleted at eBay has ended its listing, which is reported."""
    await publishing.run("publish")
    (offer_id,) = publishing.state()["offers"]
    publishing.as_seller("DELETE", f"{INVENTORY}/{gone}/{offer_id if gone == 'offer' else publishing.sku}")
    await publishing.run("delete")
    assert known_state(publishing) == ENDED


async def test_another_offer_of_the_sku_is_ended_too(publishing: Publishing) -> None:
    """When the noted offer is gone but the SKU is live by another, that one is withdrawn."""
    await publishing.run("publish")
    (offer_id,) = publishing.state()["offers"]
    publishing.as_seller("DELETE", f"{INVENTORY}/offer/{offer_id}")
    notes = dict(publishing.memory.listings)
    publishing.memory.listings.clear()
    await publishing.run("publish")
    (newer,) = publishing.memory.listings
    publishing.memory.listings = notes
    (result,) = await publishing.run("delete")
    assert result.output["listingId"] == newer
    assert publishing.control.listing(newer)["status"] == "ENDED"


async def test_never_listed_is_success(publishing: Publishing) -> None:
    """A product that eBay never saw is not for sale there: nothing fails, and no listing is reported."""
    (result,) = await publishing.run("delete")
    assert (result.listing, result.output["wasGone"]) == (None, True)


@pytest.mark.parametrize(("program", "left"), [("OUT_OF_STOCK_CONTROL", "OUT_OF_STOCK"), ("", "ENDED")])
async def test_empty_stock_hides_or_ends(publishing: Publishing, program: str, left: str) -> None:
    """OUT_OF_STOCK empties the site's offer and leaves the item's stock; eBay hides or ends the listing."""
    programs = ["SELLING_POLICY_MANAGEMENT", *([program] if program else [])]
    publishing.renew(programs=programs)
    await publishing.run("publish")
    for _ in range(2):
        await publishing.run("delete", method="OUT_OF_STOCK")
        assert (status(publishing), known_state(publishing)) == (left, ENDED)
    shipped = publishing.state()["items"][publishing.sku]["availability"]["shipToLocationAvailability"]
    assert shipped["quantity"] == 2
    # And publishing puts it on sale again: the hidden listing itself, or a new one.
    await publishing.run("publish")
    assert publishing.created() == (1, 1 if program else 2)
    live = [one for one in publishing.state()["listings"].values() if one["status"] == "ACTIVE"]
    assert [one["quantity"] for one in live] == [2]


async def test_listing_that_was_not_ended_is_tried_again(publishing: Publishing) -> None:
    """An answer that names no listing says that it was not ended, and the step is done again."""
    await publishing.run("publish")
    content: dict[str, Any] = {}
    publishing.fault("status", "POST", WITHDRAW, status=200, content=content)
    with pytest.raises(RetryableError) as caught:
        await publishing.run("delete")
    assert caught.value.code == "NOT_ENDED"
    await publishing.run("delete")
    assert status(publishing) == "ENDED"


async def test_answer_of_a_proxy_is_not_ebays_word(publishing: Publishing, judge: Judge) -> None:
    """A 404 without eBay's own error proves nothing: the listing is still for sale, and nobody says otherwise."""
    await publishing.run("publish")
    page = {"message": "no route"}
    publishing.fault("status", "POST", WITHDRAW, status=404, content=page)
    with pytest.raises(PermanentError):
        await publishing.run("delete")
    assert judge.take("withdrawOffer", "response")
    assert (status(publishing), known_state(publishing)) == ("ACTIVE", ListingState.LISTING_STATE_LIVE)


async def test_settings_are_not_needed_to_end(publishing: Publishing) -> None:
    """A listing can be ended although the account's policies for the site are gone."""
    await publishing.run("publish")
    publishing.settings_by_hand = {}
    await publishing.run("delete")
    assert status(publishing) == "ENDED"


async def test_unknown_site_is_named(publishing: Publishing) -> None:
    """A site that eBay does not have is a violation, not a success."""
    publishing.settings_by_hand = {}
    with pytest.raises(PermanentError) as caught:
        await publishing.run("delete", site="EBAY_MOON")
    assert [one.field for one in caught.value.violations] == ["site"]
