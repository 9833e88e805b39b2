"""The life of items, offers and listings."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from stoflow_sandbox.marketplaces.ebay import items, offers, prices
from stoflow_sandbox.marketplaces.ebay.listings import REVISIONS_PER_DAY
from tests.unit.stoflow_sandbox.marketplaces.ebay_seller import SKU, Shop, error_ids, parameters


def test_second_offer_is_refused_with_the_first_ones_id(shop: Shop) -> None:
    """POST /offer for the same SKU, site and format answers 25002 with the offerId that exists."""
    offer_id = shop.stage()

    reply = shop.create_offer()

    assert (reply.status, error_ids(reply)) == (400, [25002])
    assert parameters(reply) == {"offerId": offer_id}
    assert shop.seller.created["offers"] == {SKU: 1}


def test_another_site_is_another_offer(shop: Shop) -> None:
    """The same SKU can be offered on two sites."""
    shop.stage()

    assert shop.create_offer(shop.offer_body("EBAY_DE", "EUR")).status == 201


@pytest.mark.parametrize("missing", ["sku", "marketplaceId", "format"])
def test_offer_needs_its_key(shop: Shop, missing: str) -> None:
    """SKU, site and format are required to create an offer, whatever else may wait."""
    shop.put_item()
    body = shop.offer_body()
    del body[missing]

    assert error_ids(shop.create_offer(body)) == [25709]


def test_offer_of_an_unknown_sku_is_refused(shop: Shop) -> None:
    """An offer needs its inventory item first."""
    assert error_ids(shop.create_offer()) == [25702]


@pytest.mark.parametrize("sku", ["x" * 51, "with space", "umläut", "a/b"])
def test_unusable_sku_is_refused(shop: Shop, sku: str) -> None:
    """A SKU has at most 50 characters without spaces or slashes."""
    assert error_ids(shop.put_item(sku=sku)) == [25707]


def test_publishing_again_keeps_the_listing(shop: Shop) -> None:
    """A published offer answers the number of the listing it has and no second one appears."""
    offer_id, listing_id = shop.live()

    reply = shop.publish(offer_id)

    assert (reply.status, reply.content) == (200, {"listingId": listing_id})
    assert not reply.effects
    assert shop.seller.created["listings"] == {SKU: 1}


def test_withdrawn_offer_stays_and_relists_under_a_new_number(shop: Shop) -> None:
    """Withdrawing ends the listing and keeps the offer; publishing again makes another listing."""
    offer_id, listing_id = shop.live()

    assert shop.withdraw(offer_id).content == {"listingId": listing_id}
    assert shop.seller.listings[listing_id].status == "ENDED"
    assert "listing" not in offers.get_offer(shop.seller, offer_id).content
    assert error_ids(shop.withdraw(offer_id)) == [25713]
    assert shop.publish(offer_id).content["listingId"] != listing_id
    assert shop.seller.created["listings"] == {SKU: 2}


def test_offer_shows_its_listing_only_while_published(shop: Shop) -> None:
    """GET /offer/{id} says PUBLISHED with the listing's number and status, and UNPUBLISHED before."""
    offer_id = shop.stage()
    assert offers.get_offer(shop.seller, offer_id).content["status"] == "UNPUBLISHED"

    listing_id = shop.publish(offer_id).content["listingId"]

    view = offers.get_offer(shop.seller, offer_id).content
    assert view["status"] == "PUBLISHED"
    assert (view["listing"]["listingId"], view["listing"]["listingStatus"]) == (listing_id, "ACTIVE")


def test_update_replaces_the_whole_offer(shop: Shop) -> None:
    """What PUT /offer leaves out is lost."""
    offer_id = shop.stage()

    assert shop.update_offer(offer_id, {"categoryId": "11483"}).status == 200

    view = offers.get_offer(shop.seller, offer_id).content
    assert view["categoryId"] == "11483"
    assert view["pricingSummary"] == {}
    assert "merchantLocationKey" not in view


def test_published_offer_refuses_an_update_that_would_unlist_it(shop: Shop) -> None:
    """A live listing cannot lose what publishing requires, and a refused update changes nothing."""
    offer_id, _ = shop.live()
    before = shop.snapshot()
    body = shop.update_body()
    del body["listingPolicies"], body["listingDescription"]

    assert set(error_ids(shop.update_offer(offer_id, body))) == {25007, 25008, 25009, 25016}
    assert shop.snapshot() == before


def test_live_listing_follows_item_and_offer(shop: Shop) -> None:
    """Replacing the item or the offer of a live listing revises what buyers see."""
    offer_id, listing_id = shop.live()
    body = shop.item_body()
    body["product"]["title"] = "Blue linen shirt, size M"

    assert shop.put_item(body).status == 204
    price = {"price": {"currency": "USD", "value": "19.50"}}
    assert shop.update_offer(offer_id, shop.update_body(pricingSummary=price)).status == 200

    shown = shop.seller.listings[listing_id].shown
    assert (shown["title"], shown["price"]["value"]) == ("Blue linen shirt, size M", "19.50")


def test_item_of_a_live_listing_keeps_what_publishing_requires(shop: Shop) -> None:
    """PUT inventory_item without pictures is refused while a listing shows the item."""
    shop.live()
    body = shop.item_body()
    body["product"]["imageUrls"] = []

    assert error_ids(shop.put_item(body)) == [25014]


def test_listing_takes_250_revisions_a_day(shop: Shop) -> None:
    """The 251st revision of a day is refused, the next day's first is not."""
    offer_id, _ = shop.live()
    for revision in range(REVISIONS_PER_DAY):
        price = {"price": {"currency": "USD", "value": f"{revision + 30}.00"}}
        assert shop.update_offer(offer_id, shop.update_body(pricingSummary=price)).status == 200

    assert error_ids(shop.update_offer(offer_id, shop.update_body())) == [25019]
    shop.now += 86_400
    assert shop.update_offer(offer_id, shop.update_body()).status == 200


def test_deleting_an_item_takes_offers_and_listings_along(shop: Shop) -> None:
    """DELETE inventory_item ends the listing and removes the offer; a repeat finds nothing."""
    offer_id, listing_id = shop.live()

    reply = items.delete_item(shop.seller, SKU, shop.context)

    assert reply.status == 204
    assert [effect.kind for effect in reply.effects] == ["listing.ended", "offer.deleted", "item.deleted"]
    assert shop.seller.listings[listing_id].status == "ENDED"
    assert error_ids(offers.get_offer(shop.seller, offer_id)) == [25713]
    assert error_ids(items.delete_item(shop.seller, SKU, shop.context)) == [25710]


def test_sku_without_offers_answers_404(shop: Shop) -> None:
    """GET /offer?sku= never answers an empty list: 25713 without offers, 25702 without the item."""
    shop.put_item()
    without_offers = offers.find_offers(shop.seller, SKU, None, None)
    without_item = offers.find_offers(shop.seller, "GHOST", None, None)

    assert not isinstance(without_offers, list)
    assert not isinstance(without_item, list)
    assert (without_offers.status, error_ids(without_offers)) == (404, [25713])
    assert (without_item.status, error_ids(without_item)) == (404, [25702])


def test_item_list_counts_pages(shop: Shop) -> None:
    """The second page of two has the rest, and `size` is the number of pages."""
    for number in range(3):
        shop.put_item(sku=f"SKU-{number}")

    content = items.list_items(shop.seller, 2, 1, {"href": "/"}).content

    assert [item["sku"] for item in content["inventoryItems"]] == ["SKU-2"]
    assert (content["total"], content["size"]) == (3, 2)


def bulk(shop: Shop, **request: object) -> tuple[int, list[dict[str, object]]]:
    reply = prices.update_prices(shop.seller, {"requests": [{"sku": SKU} | request]}, shop.context)
    return reply.status, reply.content["responses"]


def test_bulk_update_sets_price_and_both_quantities(shop: Shop) -> None:
    """One call changes the item's quantity and the offer's price and quantity, and the listing follows."""
    offer_id, listing_id = shop.live()
    change = {"offerId": offer_id, "availableQuantity": 7, "price": {"currency": "USD", "value": "11.00"}}

    status, responses = bulk(shop, shipToLocationAvailability={"quantity": 5}, offers=[change])

    assert (status, responses) == (200, [{"offerId": offer_id, "sku": SKU, "statusCode": 200}])
    shown = shop.seller.listings[listing_id].shown
    assert (shown["quantity"], shown["price"]["value"]) == (5, "11.00")


def test_bulk_update_reports_each_failure_in_207(shop: Shop) -> None:
    """An unpublished offer and an unknown one are refused part by part."""
    offer_id = shop.stage()

    status, responses = bulk(
        shop,
        offers=[{"offerId": offer_id, "availableQuantity": 1}, {"offerId": "1", "availableQuantity": 1}],
    )

    assert status == 207
    assert [part["statusCode"] for part in responses] == [400, 404]


def test_stock_of_zero_ends_or_hides(shop: Shop) -> None:
    """Quantity 0 ends a listing, but with out-of-stock control it hides it until there is stock again."""
    offer_id, first = shop.live()
    bulk(shop, offers=[{"offerId": offer_id, "availableQuantity": 0}])
    assert shop.seller.listings[first].status == "ENDED"

    shop.seller.programs.append("OUT_OF_STOCK_CONTROL")
    shop.update_offer(offer_id, shop.update_body())
    second = shop.publish(offer_id).content["listingId"]
    bulk(shop, offers=[{"offerId": offer_id, "availableQuantity": 0}])
    assert shop.seller.listings[second].status == "OUT_OF_STOCK"
    bulk(shop, offers=[{"offerId": offer_id, "availableQuantity": 1}])
    assert shop.seller.listings[second].status == "ACTIVE"


class Inventory(RuleBasedStateMachine):
    """Any order of calls on two SKUs and two sites."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop()

    skus = st.sampled_from(["A1", "B2"])
    sites = st.sampled_from([("EBAY_US", "USD"), ("EBAY_DE", "EUR")])

    def offer_ids(self, sku: str) -> list[str]:
        return [offer.offer_id for offer in self.shop.seller.offers_of(sku)]

    @rule(sku=skus, quantity=st.integers(0, 3))
    def put_item(self, sku: str, quantity: int) -> None:
        body = self.shop.item_body()
        body["availability"]["shipToLocationAvailability"]["quantity"] = quantity
        self.shop.put_item(body, sku=sku)

    @rule(sku=skus, site=sites)
    def create_offer(self, sku: str, site: tuple[str, str]) -> None:
        self.shop.create_offer(self.shop.offer_body(*site) | {"sku": sku})

    @rule(sku=skus)
    def publish(self, sku: str) -> None:
        for offer_id in self.offer_ids(sku):
            self.shop.publish(offer_id)

    @rule(sku=skus)
    def withdraw(self, sku: str) -> None:
        for offer_id in self.offer_ids(sku)[:1]:
            self.shop.withdraw(offer_id)

    @rule(sku=skus)
    def delete_offer(self, sku: str) -> None:
        for offer_id in self.offer_ids(sku)[:1]:
            offers.delete_offer(self.shop.seller, offer_id, self.shop.context)

    @rule(sku=skus)
    def delete_item(self, sku: str) -> None:
        items.delete_item(self.shop.seller, sku, self.shop.context)

    @invariant()
    def live_listings_and_published_offers_are_the_same(self) -> None:
        seller = self.shop.seller
        live = {one.listing_id: one.offer_id for one in seller.listings.values() if one.status != "ENDED"}
        published = {one.listing_id: one.offer_id for one in seller.offers.values() if one.listing_id}
        assert live == published

    @invariant()
    def counts_cover_what_exists(self) -> None:
        seller = self.shop.seller
        assert sum(seller.created["listings"].values()) == len(seller.listings)
        assert sum(seller.created["offers"].values()) >= len(seller.offers)
        keys = [offer.key for offer in seller.offers.values()]
        assert len(keys) == len(set(keys))
        assert {offer.sku for offer in seller.offers.values()} <= seller.items.keys()


def test_any_order_of_calls_keeps_offers_and_listings_consistent() -> None:
    """Whatever the order: one offer a key, a live listing for each published offer, counts that add up."""
    run_state_machine_as_test(Inventory, settings=settings(max_examples=40, stateful_step_count=25))
