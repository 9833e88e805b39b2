"""What refuses a call to Vinted before any rule sees it."""

import pytest

from tests.unit.stoflow_sandbox.marketplaces.vinted_member import Seat

CREATE = ("POST", "/item_upload/items")


def test_call_without_session_is_401(seat: Seat) -> None:
    """Neither a missing nor a foreign cookie signs anybody in."""
    for cookie in (None, "_vinted_session=guess", "=;;"):
        assert seat.call("GET", "/my_orders", query="type=sold", cookie=cookie).status == 401


def test_session_ends_with_its_time(seat: Seat) -> None:
    """A session works until its seconds are over, then it is 401."""
    seat.clock.advance(seat.member.session_seconds - 60)
    assert seat.call("GET", "/my_orders", query="type=sold").status == 200
    seat.clock.advance(120)
    assert seat.call("GET", "/my_orders", query="type=sold").status == 401


@pytest.mark.parametrize(
    "headers",
    [{"x_csrf_token": None}, {"x_csrf_token": "guess"}, {"origin": "http://elsewhere"}, {"origin": None}],
)
def test_write_from_elsewhere_is_403_and_does_nothing(seat: Seat, headers: dict[str, str | None]) -> None:
    """A write needs the page's CSRF token and its origin; reads need neither."""
    reply = seat.call("POST", "/item_upload/items", seat.item_body(), "", **headers)
    assert (reply.status, reply.effects, seat.member.items) == (403, [], {})
    assert seat.call("GET", "/my_orders", query="type=sold", **headers).status == 200


def test_captcha_refuses_everything_until_it_is_ended(seat: Seat) -> None:
    """Asked for a captcha, the member is answered 403 with the captcha's address, and nothing is done."""
    body = seat.item_body()
    seat.member.needs_captcha = True
    reply = seat.call(*CREATE, body)
    assert (reply.status, reply.content) == (403, {"url": "http://127.0.0.1:1/captcha"})
    assert seat.member.items == {}
    seat.member.needs_captcha = False
    assert seat.call(*CREATE, body).status == 200


def test_rate_is_kept_within_a_minute(seat: Seat) -> None:
    """The call above the rate is 429 with the seconds to wait, after which the next is welcome."""
    seat.member.requests_per_minute = 2
    assert [seat.call("GET", "/my_orders", query="type=sold").status for _ in range(2)] == [200, 200]
    refused = seat.call("GET", "/my_orders", query="type=sold")
    assert refused.status == 429
    seat.clock.advance(int(refused.headers["Retry-After"]) + 1)
    assert seat.call("GET", "/my_orders", query="type=sold").status == 200


def test_unknown_call_is_404(seat: Seat) -> None:
    """Only the modelled calls exist, each with its own method."""
    for method, path in (("GET", "/users/1"), ("DELETE", "/items/1"), ("GET", "/wardrobe/ann/items")):
        assert seat.call(method, path).status == 404
