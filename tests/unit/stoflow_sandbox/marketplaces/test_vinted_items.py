"""Photos, items, wardrobe and orders of the Vinted sandbox."""

from typing import Any

import pytest

from stoflow_sandbox.marketplaces.vinted.members import SeedError, seed_member
from stoflow_sandbox.marketplaces.vinted.orders import SaleError, sell_item
from stoflow_sandbox.marketplaces.vinted.state import World, member_from_json, member_to_json
from tests.unit.stoflow_sandbox.marketplaces.vinted_member import BASE_URL, Seat, png, wrong_fields


def test_item_shows_what_was_sent(seat: Seat) -> None:
    """A created item is answered with its number and page, can be read, and is in the wardrobe."""
    item_id = seat.create(price="12.5")
    item = seat.call("GET", f"/item_upload/items/{item_id}").content["item"]
    assert item["url"] == f"{BASE_URL}/items/{item_id}"
    assert item["price"] == {"amount": "12.50", "currency_code": "EUR"}
    listed = seat.wardrobe()["items"]
    assert [(one["id"], one["title"], one["is_closed"]) for one in listed] == [
        (item_id, "Blue linen shirt", False)
    ]


def test_same_body_again_makes_another_item(seat: Seat) -> None:
    """Creating is not idempotent; only the used photos stand in the way of the very same body."""
    body = seat.item_body()
    assert seat.call("POST", "/item_upload/items", body).status == 200
    again = seat.call("POST", "/item_upload/items", body)
    assert (again.status, wrong_fields(again)) == (400, ["assigned_photos"])
    seat.create()
    assert seat.member.created == {"Blue linen shirt": 2}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"title": "Hat"}, ["title"]),
        ({"title": "x" * 101}, ["title"]),
        ({"title": "x" * 100}, []),
        ({"description": "Blue"}, ["description"]),
        ({"description": "x" * 2001}, ["description"]),
        ({"price": 0.5}, ["price"]),
        ({"price": "1.234"}, ["price"]),
        ({"price": "NaN"}, ["price"]),
        ({"currency": "USD"}, ["currency"]),
        ({"color_ids": [1, 2, 3]}, ["color_ids"]),
        ({"color_ids": []}, []),
        ({"catalog_id": 1}, ["catalog_id"]),
        ({"size_id": None}, ["size_id"]),
        ({"catalog_id": 156}, ["size_id"]),
        ({"catalog_id": 156, "size_id": None}, []),
        ({"status_id": 5}, ["status_id"]),
        ({"package_size_id": True}, ["package_size_id"]),
        ({"assigned_photos": []}, ["assigned_photos"]),
        ({"assigned_photos": [{"id": 1, "orientation": 0}]}, ["assigned_photos"]),
        ({"temp_uuid": "another"}, ["temp_uuid"]),
        ({"id": 7}, ["id"]),
        ({"item_attributes": None}, ["item_attributes"]),
        ({"title": "", "price": None, "catalog_id": None}, ["catalog_id", "price", "title"]),
    ],
)
def test_limits_of_an_item(seat: Seat, changes: dict[str, Any], fields: list[str]) -> None:
    """Each limit is kept, and all violations are named at once."""
    reply = seat.call("POST", "/item_upload/items", seat.item_body(**changes))
    assert wrong_fields(reply) == fields
    assert (reply.status, len(seat.member.items)) == ((400, 0) if fields else (200, 1))


def test_at_most_twenty_photos(seat: Seat) -> None:
    """Twenty photos are taken, twenty-one are not."""
    photos = [seat.upload().content["id"] for _ in range(21)]
    too_many = seat.call("POST", "/item_upload/items", seat.item_body(photos))
    assert wrong_fields(too_many) == ["assigned_photos"]
    assert seat.call("POST", "/item_upload/items", seat.item_body(photos[:20])).status == 200


def test_every_upload_is_another_photo(seat: Seat) -> None:
    """The same bytes twice are two photos; what is no picture is refused."""
    assert seat.upload(png()).content["id"] != seat.upload(png()).content["id"]
    refused = seat.upload(b"no picture")
    assert (refused.status, wrong_fields(refused)) == (400, ["photo[file]"])
    assert wrong_fields(seat.upload(temp_uuid="")) == ["photo[temp_uuid]"]


def test_update_replaces_the_item_whole(seat: Seat) -> None:
    """What an update leaves out is lost, photos included; another member's item is not found."""
    photos = [seat.upload().content["id"] for _ in range(2)]
    item_id = seat.create(photo_ids=photos, brand_id=53)
    body = seat.item_body(photos[1:], id=item_id, title="Blue linen shirt, reduced", price=19)
    reply = seat.call("PUT", f"/item_upload/items/{item_id}", body)
    item = reply.content["item"]
    assert (item["title"], item["brand_id"], item["price"]["amount"]) == (
        "Blue linen shirt, reduced",
        None,
        "19.00",
    )
    assert [photo["id"] for photo in item["photos"]] == photos[1:]
    assert str(photos[0]) not in seat.member.photos
    other = Seat(seat.world, seat.clock, "bob")
    assert other.call("PUT", f"/item_upload/items/{item_id}", body).status == 404


def test_deleted_item_is_not_found(seat: Seat) -> None:
    """Deleting works once; then deleting and reading are 404 and the wardrobe is empty."""
    item_id = seat.create()
    assert seat.call("POST", f"/items/{item_id}/delete").status == 200
    assert seat.call("POST", f"/items/{item_id}/delete").status == 404
    assert seat.call("GET", f"/item_upload/items/{item_id}").status == 404
    assert seat.wardrobe()["items"] == []


def test_sold_item_is_closed_and_an_order(seat: Seat) -> None:
    """A sale closes the item, which then cannot be changed, deleted or sold, and leads to its label."""
    item_id = seat.create()
    item = seat.member.items[str(item_id)]
    sale = sell_item(seat.world, seat.member, item, "a-buyer", seat.clock.now())
    assert seat.wardrobe()["items"][0]["is_closed"] is True
    assert seat.call("POST", f"/items/{item_id}/delete").status == 400
    with pytest.raises(SaleError):
        sell_item(seat.world, seat.member, item, "another", seat.clock.now())
    orders = seat.call("GET", "/my_orders", query="type=sold&status=all&page=1&per_page=100").content
    assert [one["transaction_id"] for one in orders["my_orders"]] == [int(sale.transaction_id)]
    transaction = seat.call("GET", f"/transactions/{sale.transaction_id}").content["transaction"]
    assert transaction["order"]["items"][0]["id"] == item_id
    label = seat.call("GET", f"/shipments/{transaction['shipment']['id']}/label_url").content
    assert label["label_url"].startswith(BASE_URL)


def test_wardrobe_comes_in_pages_newest_first(seat: Seat) -> None:
    """Pages hold what they say, in order, and their number is told; a new item may take its time."""
    made = [seat.create(title=f"Shirt number {number}") for number in range(5)]
    pages = [seat.wardrobe(f"page={page}&per_page=2") for page in (1, 2, 3)]
    assert [one["id"] for page in pages for one in page["items"]] == made[::-1]
    assert pages[0]["pagination"] == {"current_page": 1, "total_pages": 3, "total_entries": 5, "per_page": 2}
    seat.member.wardrobe_delay_seconds = 30
    late = seat.create(title="Not yet to be seen")
    assert late not in [one["id"] for one in seat.wardrobe()["items"]]
    seat.clock.advance(31)
    assert seat.wardrobe()["items"][0]["id"] == late


def test_seed_names_every_violation() -> None:
    """A wrong seed changes nothing and says everything that is wrong with it."""
    world = World()
    with pytest.raises(SeedError) as caught:
        seed_member(world, {"login": "ann", "currency": "XXX", "session_seconds": "1", "shoe_size": 38})
    assert [one.partition(":")[0] for one in caught.value.violations] == [
        "shoe_size",
        "password",
        "session_seconds",
        "currency",
    ]
    assert world.members == {}


def test_member_survives_its_file(seat: Seat) -> None:
    """Items, photos and sales are the same after writing and reading."""
    item = seat.member.items[str(seat.create())]
    sell_item(seat.world, seat.member, item, "a-buyer", 1.0)
    assert member_from_json(member_to_json(seat.member)) == seat.member
