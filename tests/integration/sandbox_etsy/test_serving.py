"""The Etsy sandbox as a process: consent page, faults on the wire, log, webhooks, restart."""

import asyncio
import hashlib
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from stoflow_sandbox.marketplaces.control import SandboxControlError
from stoflow_sandbox.marketplaces.etsy.control import AsyncEtsySandboxControl, EtsySandboxControl
from stoflow_sandbox.marketplaces.etsy.webhooks import sign
from stoflow_sandbox.processes import Supervisor
from tests.integration.sandbox_etsy.etsy_client import REDIRECT, EtsyClient, jpeg

DRAFTS = "/v3/application/shops/*/listings"


def drafts(etsy: EtsyClient) -> list[int]:
    found = etsy.shop_call("GET", "/listings", params={"state": "draft"}).json()["results"]
    return [one["listing_id"] for one in found]


def test_draft_may_exist_although_the_answer_was_500(etsy: EtsyClient, control: EtsySandboxControl) -> None:
    """On demand the draft is made and the client is told of a server error; a retry makes a second one."""
    rule = control.add_fault(
        "status", path=DRAFTS, method="POST", seller=etsy.shop.username, status=500, apply="before"
    )

    refused = etsy.create_draft()

    (entry,) = control.requests(rule_id=rule)
    assert (refused.status_code, refused.json()) == (500, {"error": "Server Error"})
    assert (entry["operation"], entry["effect_applied"]) == ("createDraftListing", True)
    assert [str(number) for number in drafts(etsy)] == [entry["created"][0]["id"]]
    etsy.draft()
    assert len(drafts(etsy)) == 2


@pytest.mark.parametrize(("kind", "made"), [("reset_after_effect", 1), ("reset_before_effect", 0)])
def test_lost_answer_leaves_the_draft_or_not(
    etsy: EtsyClient, control: EtsySandboxControl, kind: str, made: int
) -> None:
    """A broken connection tells the client nothing; only the list of drafts does."""
    control.add_fault(kind, path=DRAFTS, method="POST", seller=etsy.shop.username)

    with pytest.raises(httpx.TransportError):
        etsy.create_draft()

    assert len(drafts(etsy)) == made


def test_lost_refresh_loses_the_grant(etsy: EtsyClient, control: EtsySandboxControl) -> None:
    """When the answer to a refresh is lost, the token that was sent is dead already."""
    control.add_fault("reset_after_effect", path="/v3/public/oauth/token", seller=etsy.shop.username)

    with pytest.raises(httpx.TransportError):
        etsy.refresh()

    assert etsy.refresh().json()["error"] == "invalid_grant"


def test_log_tells_what_happened_and_no_secret(etsy: EtsyClient, control: EtsySandboxControl) -> None:
    """The log has operation, SKU, harmless fields and effects, and neither token, key nor verifier."""
    listing_id = etsy.publish("LOGGED-1")

    entries = control.requests(seller=etsy.shop.username)

    kinds = [effect["kind"] for entry in entries for effect in entry["effects"]]
    assert kinds == [
        "token.created",
        "listing.created",
        "image.created",
        "inventory.replaced",
        "listing.updated",
        "listing.activated",
    ]
    by_operation = {entry["operation"]: entry for entry in entries}
    assert by_operation["createDraftListing"]["body"]["title"] == "Linen summer dress"
    assert by_operation["updateListing"]["sku"] == "LOGGED-1"
    text = str(entries)
    for secret in (etsy.access_token, etsy.refresh_token, etsy.shop.refresh_token, "hush"):
        assert str(secret) not in text
    listing = control.listing(str(listing_id))
    assert listing["digests"] == [hashlib.sha256(jpeg("teal")).hexdigest()]
    created = control.created(etsy.shop.username)
    assert created["drafts"] == {"Linen summer dress": 1}
    assert created["listings"] == {"LOGGED-1": 1}


def test_consent_page_leads_back_with_a_code(http: httpx.Client, control: EtsySandboxControl) -> None:
    """A browser sees who asks for what, agrees, and comes back with code and state."""
    shop = control.seed_shop("consenting", client_id="consent-app", client_secret="hush", is_connected=False)
    etsy = EtsyClient(http, shop)
    url = etsy.authorization_url("v" * 43)

    page = http.get(url)
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    agreed = http.post(url, data=fields | {"username": "consenting"}, follow_redirects=False)

    assert "listings_r" in page.text
    assert "Grant as consenting" in page.text
    location = httpx.URL(agreed.headers["location"])
    assert str(location).startswith(REDIRECT)
    assert location.params["state"] == "superstate"
    assert etsy.exchange(location.params["code"], "v" * 43).status_code == 200
    refused = http.post(url, data=fields | {"username": ""}, follow_redirects=False)
    assert "access_denied" in refused.headers["location"]
    assert http.get(url.replace("S256", "plain")).status_code == 400


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it is sent; refuses as often as the server says."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        with server.changed:
            server.received.append((dict(self.headers), body))
            server.changed.notify_all()
        status = server.statuses.pop(0) if server.statuses else 204
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A webhook endpoint on loopback, with `received` and the `statuses` to answer first."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.received, server.statuses = [], []
    changed = threading.Condition()

    def wait_for(count: int) -> None:
        with changed:
            assert changed.wait_for(lambda: len(server.received) >= count, timeout=10)

    server.changed, server.wait_for = changed, wait_for
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def test_webhook_is_signed_and_sent_until_acknowledged(
    http: httpx.Client, sandbox_url: str, receiver: Any
) -> None:
    """An order sends order.paid, again after a 503 under the same id, each attempt signed over its own time."""
    receiver.statuses = [503]
    async with AsyncEtsySandboxControl(sandbox_url) as control:
        shop = await control.seed_shop(
            "hooked",
            client_id="hooked-app",
            client_secret="hush",
            webhook_url=f"http://127.0.0.1:{receiver.server_port}/webhooks/etsy",
        )
        listing_id = await asyncio.to_thread(EtsyClient(http, shop).publish)
        receipt_id = await control.buy("hooked", {"listing_id": listing_id})
        await asyncio.to_thread(receiver.wait_for, 2)
        (sent,) = [one for one in await control.webhooks() if str(receipt_id) in one["body"]]

    (first, body), (second, _) = receiver.received
    assert first["webhook-id"] == second["webhook-id"] == sent["id"]
    for headers in (first, second):
        expected = sign(shop.webhook_secret, headers["webhook-id"], headers["webhook-timestamp"], body)
        assert headers["webhook-signature"] == expected
    assert httpx.Response(200, content=body).json() == {
        "event_type": "order.paid",
        "resource_url": f"{sandbox_url}/v3/application/shops/{shop.shop_id}/receipts/{receipt_id}",
        "shop_id": str(shop.shop_id),
    }


def test_webhook_can_be_repeated_and_forged(
    http: httpx.Client, control: EtsySandboxControl, receiver: Any
) -> None:
    """The same id comes again on demand, rightly signed or not."""
    url = f"http://127.0.0.1:{receiver.server_port}/"
    shop = control.seed_shop("forged", client_id="forged-app", client_secret="hush", webhook_url=url)
    control.buy("forged", {"listing_id": EtsyClient(http, shop).publish()})
    webhook_id = next(one["id"] for one in control.webhooks() if one["url"] == url)

    assert control.repeat_webhook(webhook_id) == 204
    assert control.repeat_webhook(webhook_id, is_forged=True) == 204

    headers, body = receiver.received[-1]
    right = sign(shop.webhook_secret, webhook_id, headers["webhook-timestamp"], body)
    assert headers["webhook-id"] == webhook_id
    assert headers["webhook-signature"] != right


def test_limits_are_set_by_control(etsy: EtsyClient, control: EtsySandboxControl) -> None:
    """A seller's day can be used up from outside, and wrong limits are refused."""
    control.set_limits(seller=etsy.shop.username, per_day=3, used_today=3, retry_after_seconds=86400)

    assert etsy.call("GET", "/users/me").headers["retry-after"] == "86400"
    with pytest.raises(SandboxControlError, match="either client_id or seller"):
        control.set_limits(per_day=3)
    with pytest.raises(SandboxControlError, match="per_week"):
        control.set_limits(seller=etsy.shop.username, per_week=3)


def test_impossible_control_calls_say_why(etsy: EtsyClient, control: EtsySandboxControl) -> None:
    """Unknown sellers, listings, receipts and orders that cannot be are refused with their reasons."""
    for call in (
        lambda: control.buy("nobody", {"sku": "X"}),
        lambda: control.buy(etsy.shop.username, {"sku": "X"}),
        lambda: control.change_receipt(etsy.shop.username, 1, "cancel"),
        lambda: control.listing("1"),
        lambda: control.consent(etsy.shop.username, "http://x/?client_id=nobody"),
    ):
        with pytest.raises(SandboxControlError) as raised:
            call()
        assert raised.value.violations


def test_listing_page_shows_pictures_but_no_draft(etsy: EtsyClient) -> None:
    """A live listing has a page with its picture; a draft has none."""
    live, draft = etsy.listing(etsy.publish()), etsy.draft()

    page = etsy.http.get(live["url"])
    picture = etsy.http.get(live["images"][0]["url_fullxfull"])

    assert live["title"] in page.text
    assert live["images"][0]["url_fullxfull"] in page.text
    assert picture.content == jpeg("teal")
    assert etsy.http.get(f"/listing/{draft}").status_code == 404


def test_shop_outlives_the_process(tmp_path: Path) -> None:
    """With STATE_DIR a listing, its picture and the grant are there again after a restart."""
    command = [sys.executable, "-m", "stoflow_sandbox.marketplaces.etsy"]
    environment = {"HTTP_ADDRESS": "127.0.0.1:0", "STATE_DIR": str(tmp_path / "state")}
    with Supervisor(tmp_path / "first") as supervisor:
        url = f"http://{supervisor.start('etsy', command, environment).wait_ready()['http_address']}"
        with EtsySandboxControl(url) as control, httpx.Client(base_url=url) as http:
            before = EtsyClient(http, control.seed_shop("ann", client_id="key", client_secret="hush"))
            listing_id = before.publish()
    with Supervisor(tmp_path / "second") as supervisor:
        url = f"http://{supervisor.start('etsy', command, environment).wait_ready()['http_address']}"
        with EtsySandboxControl(url) as control, httpx.Client(base_url=url) as http:
            shop = control.seed_shop("ann", client_id="key", client_secret="hush")
            after = EtsyClient(http, shop)
            assert after.refresh_token != before.refresh_token
            assert shop.shop_id == before.shop.shop_id
            listing = after.listing(listing_id)
            assert listing["state"] == "active"
            assert http.get(listing["images"][0]["url_fullxfull"]).content == jpeg("teal")
            assert after.publish("SECOND") > listing_id
