"""The life of a listing at the Etsy sandbox: draft, activation, changes, expiry, deletion."""

from typing import Any

import pytest

from stoflow_sandbox.marketplaces.etsy.activation import TERM_SECONDS
from stoflow_sandbox.marketplaces.etsy.drafts import REQUIRED, REQUIRED_IF_PHYSICAL
from tests.integration.sandbox_etsy.etsy_client import BOOTS, EtsyClient
from tests.unit.stoflow_sandbox.marketplaces.etsy_site import EtsySite, error


def test_the_same_draft_again_is_a_second_draft(site: EtsySite, etsy: EtsyClient) -> None:
    """Creating a draft is not idempotent, and the sandbox counts every one."""
    assert etsy.draft() != etsy.draft()
    assert site.world.sellers["ann"].created["drafts"] == {"Linen summer dress": 2}


@pytest.mark.parametrize("name", [*REQUIRED, *REQUIRED_IF_PHYSICAL])
def test_each_required_field_is_enforced(site: EtsySite, etsy: EtsyClient, name: str) -> None:
    """A draft without one required field is refused, names it, and is not made."""
    refused = etsy.create_draft(**{name: None})

    assert (refused.status_code, error(refused)) == (400, f"{name} is required.")
    assert not site.world.sellers["ann"].listings


def test_download_needs_no_shipping(etsy: EtsyClient) -> None:
    """A digital draft asks for neither shipping profile nor readiness state."""
    answer = etsy.create_draft(type="download", shipping_profile_id=None, readiness_state_id=None)

    assert answer.status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"when_made": "2020_2025"},
        {"who_made": "me"},
        {"quantity": 0},
        {"quantity": 1000},
        {"price": 0.1},
        {"price": "nan"},
        {"price": "39.999"},
        {"taxonomy_id": 2},
        {"title": "x" * 141},
        {"title": "50% off, 100% linen"},
        {"title": "Dress for 20 €"},
        {"description": " "},
        {"tags": ",".join(f"tag {number}" for number in range(14))},
        {"tags": "a tag that is much too long"},
        {"tags": "summer!"},
        {"materials": "linen-cotton"},
        {"return_policy_id": 1},
        {"readiness_state_id": 1},
        {"image_ids": "1"},
    ],
    ids=str,
)
def test_wrong_values_are_refused(etsy: EtsyClient, change: dict[str, Any]) -> None:
    """Enumerations, ranges, lengths, characters and ids of other shops are checked."""
    assert etsy.create_draft(**change).status_code == 400


def test_every_violation_is_named_at_once(etsy: EtsyClient) -> None:
    """One refusal lists all that is wrong."""
    refused = error(etsy.create_draft(title="::", quantity=0, taxonomy_id=2, price=None))

    assert all(part in refused for part in ("only once", "Quantity", "taxonomy_id", "price is required"))


@pytest.mark.parametrize("name", ["tags", "tags[]"])
def test_arrays_come_in_every_spelling(etsy: EtsyClient, name: str) -> None:
    """Tags may be one comma-separated value or repeated fields."""
    form = etsy.draft_form(tags=None) | {name: ["linen", "summer,dress"]}

    assert etsy.shop_call("POST", "/listings", data=form).json()["tags"] == ["linen", "summer", "dress"]


def test_activation_publishes_once_and_costs_a_fee(site: EtsySite, etsy: EtsyClient) -> None:
    """The first activation is a publication with a fee and an end; the same again changes nothing."""
    listing_id = etsy.publish("DRESS-1")
    assert site.last_effects == ["listing.updated", "listing.activated"]

    etsy.patch(listing_id, state="active")

    assert site.last_effects == ["listing.updated"]
    listing = site.world.sellers["ann"].listings[listing_id]
    assert (listing.state, listing.fees) == ("active", 1)
    assert site.world.sellers["ann"].created["listings"] == {"DRESS-1": 1}


def test_activation_names_everything_that_is_missing(site: EtsySite, etsy: EtsyClient) -> None:
    """Image, return policy and required property are all asked for, and the draft stays a draft."""
    listing_id = etsy.draft(taxonomy_id=BOOTS, return_policy_id=None)

    refused = etsy.patch(listing_id, state="active", title="Other")

    assert refused.status_code == 400
    assert all(part in error(refused) for part in ("one image", "return policy", "Shoe size"))
    listing = site.world.sellers["ann"].listings[listing_id]
    assert (listing.state, listing.fields["title"]) == ("draft", "Linen summer dress")


def test_shop_in_the_european_union_needs_no_return_policy(site: EtsySite) -> None:
    """What the law says already, a listing there need not say."""
    etsy = site.client("elke", country="DE", currency="EUR")

    listing_id = etsy.publish(return_policy_id=None)

    assert etsy.listing(listing_id)["state"] == "active"
    assert etsy.shop_call("GET", "").json()["shop_location_country_iso"] == "DE"


def test_required_property_lets_boots_go_live(etsy: EtsyClient) -> None:
    """A required property counts once it is set with a possible value and scale."""
    listing_id = etsy.draft(taxonomy_id=BOOTS)
    etsy.upload(listing_id)
    size = etsy.call("GET", f"/seller-taxonomy/nodes/{BOOTS}/properties").json()["results"][0]
    path = f"/listings/{listing_id}/properties/{size['property_id']}"
    value = {"value_ids": size["possible_values"][2]["value_id"], "values": "38"}

    assert etsy.patch(listing_id, state="active").status_code == 400
    assert etsy.shop_call("PUT", path, data=value).status_code == 400
    assert etsy.shop_call("PUT", path, data=value | {"scale_id": 20, "value_ids": 1}).status_code == 400
    assert etsy.shop_call("PUT", path, data=value | {"scale_id": 20}).status_code == 200
    assert etsy.patch(listing_id, state="active").status_code == 200


def test_update_ignores_price_and_quantity(etsy: EtsyClient) -> None:
    """PATCH answers 200 and leaves price and quantity as they were."""
    listing_id = etsy.publish()

    answer = etsy.patch(listing_id, price="1.00", quantity=9, title="New title")

    assert answer.status_code == 200
    assert (answer.json()["price"]["amount"], answer.json()["quantity"]) == (3900, 2)
    assert answer.json()["title"] == "New title"


def test_update_leaves_what_it_does_not_name(etsy: EtsyClient) -> None:
    """A PATCH of the title keeps tags, description and inventory."""
    listing_id = etsy.publish()
    before = etsy.listing(listing_id)

    etsy.patch(listing_id, title="New title")

    after = etsy.listing(listing_id)
    changed = {name for name in before if before[name] != after[name]} - {
        "last_modified_timestamp",
        "updated_timestamp",
    }
    assert changed == {"title"}


def test_inactive_and_back_costs_nothing(site: EtsySite, etsy: EtsyClient) -> None:
    """Deactivation is reversible without a fee; a draft cannot be deactivated."""
    listing_id = etsy.publish()

    assert etsy.patch(listing_id, state="inactive").json()["state"] == "inactive"
    assert etsy.patch(listing_id, state="active").json()["state"] == "active"
    assert site.world.sellers["ann"].listings[listing_id].fees == 1
    assert etsy.patch(etsy.draft(), state="inactive").status_code == 409


def test_listing_expires_after_four_months_unless_renewed(site: EtsySite, etsy: EtsyClient) -> None:
    """A term that has run out ends the listing, or renews it for a fee; activating renews it too."""
    plain, renewing = etsy.publish("A"), etsy.publish("B", should_auto_renew="true")

    site.clock.advance(TERM_SECONDS + 1)
    # The term is longer than a refresh token lives.
    etsy = site.client(refresh_token="renewed")

    assert etsy.listing(plain)["state"] == "expired"
    assert etsy.listing(renewing)["state"] == "active"
    assert site.world.sellers["ann"].listings[renewing].fees == 2
    assert etsy.patch(plain, state="active").json()["state"] == "active"
    assert site.world.sellers["ann"].listings[plain].fees == 2


def test_listings_are_found_by_state_with_paging(etsy: EtsyClient) -> None:
    """The list shows one state at a time, active by default, newest first, counted in records."""
    drafts = [etsy.draft() for _ in range(3)]
    live = etsy.publish()

    def ids(**query: Any) -> list[int]:
        found = etsy.shop_call("GET", "/listings", params=query).json()["results"]
        return [one["listing_id"] for one in found]

    assert ids() == [live]
    assert ids(state="draft", limit=2) == [drafts[2], drafts[1]]
    assert ids(state="draft", limit=2, offset=2) == [drafts[0]]
    assert etsy.shop_call("GET", "/listings", params={"state": "gone"}).status_code == 400
    assert etsy.shop_call("GET", "/listings", params={"limit": 101}).status_code == 400


def test_batch_leaves_out_what_is_not_there(etsy: EtsyClient) -> None:
    """A batch answers the listings that exist and says nothing of the others; 101 ids are too many."""
    listing_id = etsy.publish()

    found = etsy.call("GET", "/listings/batch", params={"listing_ids": f"{listing_id},77"}).json()
    many = ",".join(str(number) for number in range(1, 102))

    assert [one["listing_id"] for one in found["results"]] == [listing_id]
    assert etsy.call("GET", "/listings/batch", params={"listing_ids": many}).status_code == 400


def test_deleted_listing_is_gone(etsy: EtsyClient) -> None:
    """A deletion answers 204, a second one 404."""
    listing_id = etsy.publish()

    assert etsy.call("DELETE", f"/listings/{listing_id}").status_code == 204
    assert etsy.call("DELETE", f"/listings/{listing_id}").status_code == 404
    assert etsy.call("GET", f"/listings/{listing_id}").status_code == 404
