"""What the request log tells and what it keeps to itself."""

import json

from stoflow_sandbox.marketplaces.exchange import Call, Effect, Reply, Subject
from stoflow_sandbox.marketplaces.request_log import LogFilter, RequestLog

JSON = {"content-type": "application/json"}


def make_log(limit: int = 10) -> RequestLog:
    return RequestLog(lambda: 1.0, limit)


def test_secrets_never_enter_the_log() -> None:
    """Authorization, cookies and the secret fields of a token request are left out."""
    form = b"grant_type=refresh_token&refresh_token=SECRET&code=SECRET&scope=a"
    headers = {
        "authorization": "Basic SECRET",
        "cookie": "SECRET",
        "content-type": "application/x-www-form-urlencoded",
    }

    entry = make_log().open(Call("POST", "/token", "", headers, form, "http://x"), Subject("token"))

    assert "SECRET" not in json.dumps(entry.view())
    assert entry.body == {"grant_type": "refresh_token", "scope": "a"}


def test_bodies_that_are_no_text_are_digests() -> None:
    """A picture is logged as its size and SHA-256."""
    call = Call(
        "POST", "/image", "", {"content-type": "multipart/form-data; boundary=b"}, b"\x00" * 5, "http://x"
    )

    body = make_log().open(call, Subject("createImageFromFile")).body

    assert (body["size"], body["media_type"], len(body["sha256"])) == (5, "multipart/form-data", 64)


def test_entry_tells_what_was_created() -> None:
    """Of all effects, `created` lists the new things with their ids."""
    entry = make_log().open(
        Call("POST", "/offer", "", JSON, b'{"sku":"A"}', "http://x"), Subject("createOffer")
    )
    entry.record_reply(
        Reply(201, {}, effects=[Effect("offer.created", "9", "A"), Effect("item.replaced", "A", "A")])
    )

    assert entry.effect_applied
    assert entry.created == [{"kind": "offer.created", "id": "9", "sku": "A"}]


def test_filters_combine() -> None:
    """An entry must meet every filter given."""
    log = make_log()
    for seller, path in (("ann", "/offer"), ("ann", "/offer/1/publish"), ("bob", "/offer/1/publish")):
        log.open(Call("POST", path, "", {}, b"", "http://x"), Subject("x", seller))

    found = log.select(LogFilter(seller="ann", path="/offer/*/publish"))

    assert [entry.seq for entry in found] == [2]


def test_full_log_drops_the_oldest_and_says_so() -> None:
    """Beyond its limit the log keeps the newest entries and counts the lost ones."""
    log = make_log(limit=2)
    for _ in range(3):
        log.open(Call("GET", "/", "", {}, b"", "http://x"), Subject("x"))

    assert [entry.seq for entry in log.select(LogFilter())] == [2, 3]
    assert log.dropped == 1


async def test_wait_returns_what_there_is_when_time_is_up() -> None:
    """Pending entries do not count, and the caller sees the completed ones."""
    log = make_log()
    done, _pending = (log.open(Call("GET", "/", "", {}, b"", "http://x"), Subject("x")) for _ in range(2))
    await log.close(done, "answered")

    assert await log.wait_for(LogFilter(), 2, 0) == [done]
