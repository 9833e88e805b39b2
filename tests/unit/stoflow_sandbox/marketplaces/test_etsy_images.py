"""Images at the Etsy sandbox: order, duplicates, limits, and ranks that cannot be trusted."""

import pytest

from tests.integration.sandbox_etsy.etsy_client import EtsyClient
from tests.unit.stoflow_sandbox.marketplaces.etsy_site import EtsySite

COLORS = ("red", "green", "blue")


def upload_three(etsy: EtsyClient, listing_id: int) -> list[int]:
    return [
        etsy.upload(listing_id, color, rank=rank).json()["listing_image_id"]
        for rank, color in enumerate(COLORS, start=1)
    ]


def order(etsy: EtsyClient, listing_id: int) -> list[int]:
    return [one["listing_image_id"] for one in etsy.images(listing_id)]


def test_ranks_are_obeyed_and_shift_the_rest(etsy: EtsyClient) -> None:
    """An upload at a taken rank moves the others back; overwrite takes its place instead."""
    listing_id = etsy.draft()
    first, second, third = upload_three(etsy, listing_id)

    fourth = etsy.upload(listing_id, "black", rank=2).json()["listing_image_id"]
    assert order(etsy, listing_id) == [first, fourth, second, third]

    fifth = etsy.upload(listing_id, "white", rank=1, overwrite="true").json()["listing_image_id"]
    assert order(etsy, listing_id) == [fifth, fourth, second, third]


def test_the_same_file_again_is_a_second_image(etsy: EtsyClient) -> None:
    """A repeated upload duplicates: nothing compares the files."""
    listing_id = etsy.draft()

    etsy.upload(listing_id, rank=1)
    etsy.upload(listing_id, rank=2)

    assert len(order(etsy, listing_id)) == 2


def test_unreliable_ranks_put_each_upload_first(site: EtsySite) -> None:
    """In rank mode front an image ends up first, whatever rank was asked for; image_ids repairs it."""
    etsy = site.client(rank_mode="front")
    listing_id = etsy.draft()
    uploaded = upload_three(etsy, listing_id)
    assert order(etsy, listing_id) == uploaded[::-1]

    etsy.patch(listing_id, image_ids=",".join(map(str, uploaded)))

    assert order(etsy, listing_id) == uploaded


def test_unreliable_ranks_may_all_be_the_first(site: EtsySite) -> None:
    """In rank mode equal every image claims rank 1, and the order of the answer is right."""
    etsy = site.client(rank_mode="equal")
    listing_id = etsy.draft()
    uploaded = upload_three(etsy, listing_id)

    assert [one["rank"] for one in etsy.images(listing_id)] == [1, 1, 1]
    assert order(etsy, listing_id) == uploaded


def test_removed_image_can_be_put_back(etsy: EtsyClient) -> None:
    """A copy stays at Etsy: the id assigns it again, without a new upload."""
    listing_id = etsy.draft()
    first, second, third = upload_three(etsy, listing_id)
    path = f"/listings/{listing_id}/images"

    assert etsy.shop_call("DELETE", f"{path}/{first}").status_code == 204
    assert etsy.shop_call("DELETE", f"{path}/{first}").status_code == 404
    files = {"listing_image_id": (None, str(first)), "rank": (None, "3")}
    assert etsy.shop_call("POST", path, files=files).status_code == 201
    assert order(etsy, listing_id) == [second, third, first]


def test_at_most_twenty(etsy: EtsyClient) -> None:
    """The twenty-first image is a conflict; overwriting one still works."""
    listing_id = etsy.draft()
    for rank in range(1, 21):
        assert etsy.upload(listing_id, rank=rank).status_code == 201

    assert etsy.upload(listing_id, rank=21).status_code == 409
    assert etsy.upload(listing_id, rank=20, overwrite="true").status_code == 201
    assert len(order(etsy, listing_id)) == 20


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0cut"])
def test_what_is_no_picture_is_refused(etsy: EtsyClient, content: bytes) -> None:
    """Only files that decode are taken."""
    listing_id = etsy.draft()

    files = {"image": ("x.jpg", content, "image/jpeg")}
    answer = etsy.shop_call("POST", f"/listings/{listing_id}/images", files=files)

    assert answer.status_code == 400
    assert order(etsy, listing_id) == []


def test_wrong_uploads_are_refused(etsy: EtsyClient) -> None:
    """Rank zero, a text too long, no file at all, and a body that is no multipart."""
    listing_id = etsy.draft()
    path = f"/listings/{listing_id}/images"

    assert etsy.upload(listing_id, rank=0).status_code == 400
    assert etsy.upload(listing_id, alt_text="x" * 501).status_code == 400
    assert etsy.shop_call("POST", path, files={"rank": (None, "1")}).status_code == 400
    assert etsy.shop_call("POST", path, data={"rank": 1}).status_code == 400


def test_active_listing_keeps_its_last_image(etsy: EtsyClient) -> None:
    """The only image of an active listing cannot be removed."""
    listing_id = etsy.publish()

    path = f"/listings/{listing_id}/images/{order(etsy, listing_id)[0]}"

    assert etsy.shop_call("DELETE", path).status_code == 400
