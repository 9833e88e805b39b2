"""The scripted browser: every rule of PROTOCOL.md that a browser has to keep, at the real sandbox site."""

import asyncio
import hashlib
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stoflow_sandbox.browser import BrowserSettings, PairingRefusedError, RequestMemory, ScriptedBrowser
from stoflow_sandbox.marketplaces.vinted.control import SeededMember, VintedSandboxControl
from stoflow_sandbox.processes import Supervisor
from tests.browser.photos import PhotoServer
from tests.browser.plain_gateway import Browser, PlainGateway
from tests.integration.sandbox_vinted.test_serving import API, body
from tests.unit.stoflow_sandbox.marketplaces.vinted_member import TEMP_UUID, png

CREATE_PATH = f"{API}/item_upload/items"


@pytest.fixture
async def gateway() -> AsyncIterator[PlainGateway]:
    async with PlainGateway() as running:
        yield running


@pytest.fixture
async def photos() -> AsyncIterator[PhotoServer]:
    async with PhotoServer({"one.png": png()}) as running:
        yield running


@pytest.fixture
def settings(gateway: PlainGateway, photos: PhotoServer) -> BrowserSettings:
    return BrowserSettings(
        gateway.url,
        str(uuid.uuid4()),
        image_origins=frozenset({photos.origin}),
        least_reconnect_seconds=0.05,
        most_reconnect_seconds=0.2,
    )


@asynccontextmanager
async def running(browser: ScriptedBrowser) -> AsyncIterator[ScriptedBrowser]:
    """Serves until the block ends, then dies without a word, as a killed browser does."""
    task = asyncio.create_task(browser.run())
    try:
        yield browser
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await browser.close()


@asynccontextmanager
async def ready(
    settings: BrowserSettings, site: str, member: SeededMember, memory: RequestMemory | None = None
) -> AsyncIterator[ScriptedBrowser]:
    """A paired browser with a tab in which the member is signed in."""
    browser = ScriptedBrowser(settings, PlainGateway.token, memory)
    await browser.open_tab(site, member.login, member.password)
    async with running(browser):
        yield browser


async def upload(session: Browser, photos: PhotoServer, **changes: str) -> dict[str, Any]:
    parameters = {
        "url": photos.url("one.png"),
        "content_sha256": hashlib.sha256(png()).hexdigest(),
        "media_type": "image/png",
        "file_name": "one.png",
        "temp_uuid": TEMP_UUID,
    }
    return await session.perform("upload_photo", **{**parameters, **changes})


async def photo_id(session: Browser, photos: PhotoServer) -> int:
    result = await upload(session, photos)
    assert result["http_status"] == 200, result
    number: int = json.loads(result["body"])["id"]
    return number


async def test_pairing_gives_a_token_for_the_right_code_only(settings: BrowserSettings) -> None:
    """A wrong code is refused by name; the right one, in any spelling, brings the token."""
    browser = ScriptedBrowser(settings)
    with pytest.raises(PairingRefusedError, match="PAIRING_REFUSED"):
        await browser.pair("AAAA-AAAA")
    assert await browser.pair("k7qm 4txp") == PlainGateway.token


async def test_unknown_token_ends_the_browser(settings: BrowserSettings) -> None:
    """With a revoked token the browser does not connect again and again."""
    browser = ScriptedBrowser(settings, "revoked")
    await asyncio.wait_for(browser.run(), 5)
    assert browser.last_bye == "UNAUTHORIZED"


async def test_every_operation_reaches_its_call(
    gateway: PlainGateway,
    photos: PhotoServer,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """All nine operations arrive as the calls they name, and the answers come back with status and body."""
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser()
        created = await session.perform("create_item", body=body(await photo_id(session, photos)))
        (item_id,) = control.wardrobe(member.login)["items"]
        assert (created["http_status"], created["headers"]["content-type"]) == (200, "application/json")
        changed = body(0)
        changed["item"] |= {
            "id": int(item_id),
            "price": 19,
            "assigned_photos": [
                {"id": photo["id"], "orientation": 0} for photo in control.item(item_id)["photos"]
            ],
        }
        assert (await session.perform("update_item", item_id=item_id, body=changed))["http_status"] == 200
        assert (await session.perform("get_item", item_id=item_id))["http_status"] == 200
        sale = control.sell(item_id)
        for operation, parameters in (
            ("list_wardrobe", {"user_id": member.user_id, "page": 1, "per_page": 96}),
            ("list_orders", {"page": 1, "per_page": 100}),
            ("get_transaction", {"transaction_id": sale["transaction_id"]}),
            ("get_shipment_label", {"shipment_id": sale["shipment_id"]}),
        ):
            assert (await session.perform(operation, **parameters))["http_status"] == 200, operation
        assert (await session.perform("delete_item", item_id=item_id))["http_status"] == 400
    operations = [entry["operation"] for entry in control.requests(seller=member.login)]
    assert operations == [
        "uploadPhoto",
        "createItem",
        "updateItem",
        "getItem",
        "listWardrobe",
        "listOrders",
        "getTransaction",
        "getLabel",
        "deleteItem",
    ]


@pytest.mark.parametrize(
    ("operation", "parameters", "named"),
    [
        ("solve_captcha", {}, "solve_captcha"),
        ("get_item", {"item_id": "../users/1"}, "item_id"),
        ("get_item", {}, "item_id"),
        ("get_item", {"item_id": "1", "host": "elsewhere"}, "host"),
        ("list_wardrobe", {"user_id": "1", "page": 1, "per_page": 97}, "per_page"),
        ("create_item", {"body": []}, "body"),
    ],
)
async def test_what_is_not_listed_is_not_performed(
    operation: str,
    parameters: dict[str, Any],
    named: str,
    gateway: PlainGateway,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """An unknown operation, and a parameter that could lead elsewhere, is refused by name and not sent."""
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser()
        result = await session.perform(operation, **parameters)
    assert (result["outcome"], result["error"]["kind"]) == ("NOT_SENT", "NOT_ALLOWED")
    assert named in result["error"]["message"]
    assert control.requests(seller=member.login) == []


async def test_photo_from_elsewhere_or_changed_is_not_uploaded(
    gateway: PlainGateway,
    photos: PhotoServer,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """A foreign origin is not allowed; a missing or changed photo is unreadable; nothing reaches the site."""
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser()
        kinds = [
            (await upload(session, photos, **changes))["error"]["kind"]
            for changes in (
                {"url": "http://127.0.0.1:9/one.png"},
                {"url": photos.url("two.png")},
                {"content_sha256": "0" * 64},
            )
        ]
    assert kinds == ["NOT_ALLOWED", "PHOTO_UNREADABLE", "PHOTO_UNREADABLE"]
    assert control.requests(seller=member.login) == []


async def test_repeated_request_is_answered_from_memory(
    gateway: PlainGateway,
    photos: PhotoServer,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """The same id gets the same answer before, and FORGOTTEN after the acknowledgement; one item exists."""
    request_id = str(uuid.uuid4())
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser()
        item = body(await photo_id(session, photos))
        session.acknowledges = False
        first = await session.perform("create_item", request_id, body=item)
        assert await session.perform("create_item", request_id, body=item) == first
        await session.send("result_ack", request_id=request_id)
        forgotten = await session.perform("create_item", request_id, body=item)
    assert (forgotten["outcome"], forgotten["error"]["kind"]) == ("UNKNOWN", "FORGOTTEN")
    assert control.wardrobe(member.login)["created"]["items"] == {"Blue linen shirt": 1}


async def test_answer_is_kept_until_acknowledged(
    gateway: PlainGateway, settings: BrowserSettings, sandbox_url: str, member: SeededMember
) -> None:
    """An answer that nobody acknowledged is announced and sent again after each reconnect, then no more."""
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser(1)
        session.acknowledges = False
        request_id = await session.begin("list_orders", page=1, per_page=100)
        first = await session.wait_for("result")
        await session.socket.close(1001)
        second_session = await gateway.wait_for_browser(2)
        assert second_session.hello["requests"] == [
            {"request_id": request_id, "epoch": session.epoch, "state": "ANSWERED"}
        ]
        assert await second_session.wait_for("result") == first
        await second_session.socket.close(1001)
        third = await gateway.wait_for_browser(3)
        assert third.hello["requests"] == []


async def test_closed_tab_leaves_the_outcome_unknown(
    gateway: PlainGateway,
    photos: PhotoServer,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """The tab goes after the create reached the site: UNKNOWN, and then there is no tab for the next call."""
    async with ready(settings, sandbox_url, member) as browser:
        session = await gateway.wait_for_browser()
        item = body(await photo_id(session, photos))
        rule = control.add_fault("hold", method="POST", path=CREATE_PATH, seller=member.login)
        request_id = await session.begin("create_item", body=item)
        await asyncio.to_thread(control.wait_for_hit, rule)
        await browser.close_tab()
        result = await session.wait_for("result", request_id=request_id)
        assert (result["outcome"], result["error"]["kind"]) == ("UNKNOWN", "TAB_CLOSED")
        assert session.session == {"state": "NO_TAB"}
        next_one = await session.perform("list_orders", page=1, per_page=100)
        assert (next_one["outcome"], next_one["error"]["kind"]) == ("NOT_SENT", "NO_TAB")
    assert control.wardrobe(member.login)["created"]["items"] == {"Blue linen shirt": 1}


async def test_killed_browser_says_so_when_it_is_back(
    gateway: PlainGateway,
    photos: PhotoServer,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
    tmp_path: Path,
) -> None:
    """What ran when the browser was killed is INTERRUPTED and unknown after its restart, and not repeated."""
    memory = tmp_path / "memory.json"
    async with ready(settings, sandbox_url, member, RequestMemory(memory)):
        session = await gateway.wait_for_browser(1)
        item = body(await photo_id(session, photos))
        rule = control.add_fault("hold", method="POST", path=CREATE_PATH, seller=member.login)
        request_id = await session.begin("create_item", body=item)
        await asyncio.to_thread(control.wait_for_hit, rule)
    async with ready(settings, sandbox_url, member, RequestMemory(memory)):
        session = await gateway.wait_for_browser(2)
        result = await session.wait_for("result", request_id=request_id)
        assert (result["outcome"], result["error"]["kind"]) == ("UNKNOWN", "INTERRUPTED")
        again = await session.perform("create_item", request_id, body=item)
        assert again["error"]["kind"] in {"INTERRUPTED", "FORGOTTEN"}
    assert control.wardrobe(member.login)["created"]["items"] == {"Blue linen shirt": 1}


async def test_late_site_is_a_timeout(
    gateway: PlainGateway,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """A site that does not answer within the command's time leaves the outcome unknown."""
    control.add_fault("latency", path=f"{API}/my_orders", seller=member.login, delay_seconds=5)
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser()
        request_id = str(uuid.uuid4())
        await session.send(
            "command",
            request_id=request_id,
            epoch=session.epoch,
            operation="list_orders",
            parameters={"page": 1, "per_page": 1},
            timeout_seconds=0.2,
        )
        result = await session.wait_for("result", request_id=request_id)
    assert (result["outcome"], result["error"]["kind"]) == ("UNKNOWN", "TIMEOUT")


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_refusal_stops_the_browser_until_the_seller_goes_on(
    status: int,
    gateway: PlainGateway,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """After 401, 403 or 429 nothing more is sent, queued commands included, until the seller resumes."""
    reason = {401: "NO_SESSION", 403: "FORBIDDEN", 429: "RATE_LIMITED"}[status]
    rule = control.add_fault("status", path=f"{API}/my_orders", seller=member.login, status=status)
    async with ready(settings, sandbox_url, member) as browser:
        session = await gateway.wait_for_browser()
        ids = [await session.begin("list_orders", page=page, per_page=1) for page in (1, 2)]
        first = await session.wait_for("result", request_id=ids[0])
        assert (first["outcome"], first["http_status"], first["error"]["kind"]) == (
            "ANSWERED",
            status,
            reason,
        )
        queued = await session.wait_for("result", request_id=ids[1])
        assert (queued["outcome"], queued["error"]["kind"]) == ("NOT_SENT", "PAUSED")
        assert (await session.wait_for_state("PAUSED"))["pause"] == reason
        refused = await session.perform("list_orders", page=1, per_page=1)
        assert refused["error"]["kind"] == "PAUSED"
        assert [one["rule_id"] for one in control.requests(seller=member.login)] == [rule]
        browser.resume()
        await session.wait_for("resume")
        assert (await session.perform("list_orders", page=1, per_page=1))["http_status"] == 200


async def test_captcha_is_told_from_other_refusals(
    gateway: PlainGateway,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """A 403 that leads to a captcha pauses with CAPTCHA, also when it has been solved since."""
    control.ask_captcha(member.login)
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser()
        # The front page led to the captcha, whose page says who is signed in.
        result = await session.perform("list_orders", page=1, per_page=1)
        assert (result["http_status"], result["error"]["kind"]) == (403, "CAPTCHA")
        control.end_captcha(member.login)
        assert (await session.perform("list_orders", page=1, per_page=1))["error"]["kind"] == "PAUSED"


async def test_standby_and_stale_epoch_are_refused(
    gateway: PlainGateway, settings: BrowserSettings, sandbox_url: str, member: SeededMember
) -> None:
    """A browser on standby performs nothing, nor one that was elected anew a command of the epoch before."""
    async with (
        ready(settings, sandbox_url, member),
        ready(replace(settings, client_id=str(uuid.uuid4())), sandbox_url, member),
    ):
        active, standby = await gateway.wait_for_browser(1), await gateway.wait_for_browser(2)
        refused = await standby.perform("list_orders", page=1, per_page=1)
        assert (refused["outcome"], refused["error"]["kind"]) == ("NOT_SENT", "NOT_ACTIVE")
        stale = active.epoch
        await gateway.elect(active)
        active.epoch = stale
        refused = await active.perform("list_orders", page=1, per_page=1)
        assert (refused["outcome"], refused["error"]["kind"]) == ("NOT_SENT", "STALE_EPOCH")
        await gateway.elect(standby)
        assert (await standby.perform("list_orders", page=1, per_page=1))["http_status"] == 200


async def test_cancelled_before_it_began(
    gateway: PlainGateway,
    settings: BrowserSettings,
    sandbox_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> None:
    """A queued command is cancelled and not sent; the one that runs goes on to its answer."""
    rule = control.add_fault("hold", path=f"{API}/my_orders", seller=member.login)
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser()
        ids = [await session.begin("list_orders", page=page, per_page=1) for page in (1, 2)]
        await asyncio.to_thread(control.wait_for_hit, rule)
        for request_id in ids:
            await session.send("cancel", request_id=request_id)
        cancelled = await session.wait_for("result", request_id=ids[1])
        assert (cancelled["outcome"], cancelled["error"]["kind"]) == ("NOT_SENT", "CANCELLED")
        control.release(rule)
        assert (await session.wait_for("result", request_id=ids[0]))["http_status"] == 200
    assert len(control.requests(seller=member.login)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        '{"type": "solve"}',
        '{"type": "pong", "extra": 1}',
        '{"type": "cancel"}',
        '{"type": "role", "epoch": true, "role": "ACTIVE", "reason": "ELECTED"}',
    ],
)
async def test_malformed_message_ends_the_connection(
    text: str, gateway: PlainGateway, settings: BrowserSettings, sandbox_url: str, member: SeededMember
) -> None:
    """The browser says MALFORMED and closes with its code, whatever is wrong with a message."""
    async with ready(settings, sandbox_url, member):
        session = await gateway.wait_for_browser()
        await session.socket.send(text)
        assert (await session.wait_for("bye"))["reason"] == "MALFORMED"
        await session.wait_gone()
        assert session.socket.close_code == 4400


async def test_seller_pauses_and_goes_on(
    gateway: PlainGateway, settings: BrowserSettings, sandbox_url: str, member: SeededMember
) -> None:
    """The pause switch is said with its reason and holds over a reconnect."""
    async with ready(settings, sandbox_url, member) as browser:
        session = await gateway.wait_for_browser(1)
        await browser.wait_for("welcome")
        browser.pause()
        assert (await session.wait_for("pause"))["reason"] == "SELLER"
        await browser.go_offline()
        await session.wait_gone()
        browser.go_online()
        session = await gateway.wait_for_browser(2)
        assert session.hello["session"]["state"] == "PAUSED"
        browser.resume()
        assert (await session.wait_for_state("READY"))["user"]["login"] == member.login


async def test_process_pairs_when_its_code_appears_and_comes_back_with_its_token(
    gateway: PlainGateway, sandbox_url: str, member: SeededMember, tmp_path: Path
) -> None:
    """As a process it waits for its code, and after a kill it needs none: same client id, same token."""
    code = tmp_path / "code"
    environment = {
        "GATEWAY_URL": gateway.url,
        "SITE_URL": sandbox_url,
        "SITE_LOGIN": member.login,
        "SITE_PASSWORD": member.password,
        "STATE_FILE": str(tmp_path / "browser.json"),
        "PAIRING_CODE_FILE": str(code),
    }
    with Supervisor(tmp_path) as supervisor:
        service = supervisor.start("browser", [sys.executable, "-m", "stoflow_sandbox.browser"], environment)
        code.write_text(PlainGateway.code)
        first = await gateway.wait_for_browser(1)
        assert (await first.perform("list_orders", page=1, per_page=1))["http_status"] == 200
        service.kill()
        service.start()
        second = await gateway.wait_for_browser(2)
        await asyncio.to_thread(service.wait_ready)
        assert second.hello["client_id"] == first.hello["client_id"]
        await asyncio.to_thread(service.stop)
