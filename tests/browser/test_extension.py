"""The extension in a real Chromium, at the sandbox site, with a gateway that does what the test tells it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from stoflow_sandbox.marketplaces.vinted.control import SeededMember, VintedSandboxControl
from tests.browser.chromium import EXTENSION, Chromium, chromium
from tests.browser.photos import PhotoServer
from tests.browser.plain_gateway import Browser, PlainGateway
from tests.integration.sandbox_vinted.test_serving import API, body
from tests.unit.stoflow_sandbox.marketplaces.vinted_member import TEMP_UUID, png

CREATE_PATH = f"{API}/item_upload/items"
EXTENSION_ORIGIN = "chrome-extension://egpclaibieaclpafbfkebkmpefdoaaii"


class Stage:
    """What a test of the extension has at hand."""

    def __init__(
        self,
        gateway: PlainGateway,
        photos: PhotoServer,
        site_url: str,
        member: SeededMember,
        control: VintedSandboxControl,
    ) -> None:
        self.gateway = gateway
        self.photos = photos
        self.site_url = site_url
        self.member = member
        self.control = control

    async def set_up(self, browser: Chromium) -> tuple[Browser, Page]:
        """Pairs, signs in and waits until the browser is ready; returns the gateway's view and the tab."""
        await browser.pair(self.gateway.code)
        session = await self.gateway.wait_for_browser()
        tab = await browser.sign_in(self.site_url, self.member)
        await session.wait_for_state("READY")
        return session, tab

    async def upload(self, session: Browser, **changes: str) -> dict[str, Any]:
        parameters = {
            "url": self.photos.url("one.png"),
            "content_sha256": hashlib.sha256(png()).hexdigest(),
            "media_type": "image/png",
            "file_name": "one.png",
            "temp_uuid": TEMP_UUID,
        }
        return await session.perform("upload_photo", **{**parameters, **changes})

    async def item(self, session: Browser, title: str = "Blue linen shirt") -> dict[str, Any]:
        """Uploads a photo and returns the body of an item that shows it."""
        result = await self.upload(session)
        assert result["http_status"] == 200, result
        return body(json.loads(result["body"])["id"], title)

    def hold_create(self) -> str:
        return self.control.add_fault("hold", method="POST", path=CREATE_PATH, seller=self.member.login)

    async def wait_for_hit(self, rule: str) -> None:
        await asyncio.to_thread(self.control.wait_for_hit, rule)

    @property
    def created(self) -> dict[str, int]:
        created: dict[str, int] = self.control.wardrobe(self.member.login)["created"]["items"]
        return created

    @property
    def operations(self) -> list[str]:
        return [entry["operation"] for entry in self.control.requests(seller=self.member.login)]


@pytest.fixture
def stage(
    gateway: PlainGateway,
    photos: PhotoServer,
    site_url: str,
    member: SeededMember,
    control: VintedSandboxControl,
) -> Stage:
    return Stage(gateway, photos, site_url, member, control)


async def test_pairs_and_performs_what_is_listed_and_nothing_else(
    stage: Stage, extension: Path, tmp_path: Path
) -> None:
    """After a wrong code the right one pairs; photo, create, change, reads and delete arrive as they should, from the
    page's own origin; what is not listed is refused by name and never sent; the popup says all of it.
    """
    async with chromium(tmp_path / "profile", extension) as browser:
        page = await browser.pair("AAAA-AAAA")
        await expect(page.get_by_text("This code is wrong")).to_be_visible()
        await page.close()
        session, _ = await stage.set_up(browser)
        popup = await browser.extension_page("pages/popup.html")
        await expect(popup.get_by_text(f"Signed in as {stage.member.login}")).to_be_visible()
        await expect(popup.get_by_text("Connected, at work")).to_be_visible()

        created = await session.perform("create_item", body=await stage.item(session))
        item_id = str(json.loads(created["body"])["item"]["id"])
        photo = stage.control.item(item_id)["photos"][0]["id"]
        changed = body(photo, "Blue linen shirt, reduced")
        changed["item"]["id"] = int(item_id)
        user = stage.member.user_id
        for operation, parameters in (
            ("update_item", {"item_id": item_id, "body": changed}),
            ("get_item", {"item_id": item_id}),
            ("list_wardrobe", {"user_id": user, "page": 1, "per_page": 96}),
            ("list_orders", {"page": 1, "per_page": 100}),
            ("delete_item", {"item_id": item_id}),
        ):
            result = await session.perform(operation, **parameters)
            assert (result["outcome"], result["http_status"]) == ("ANSWERED", 200), result
        gone = await session.perform("get_transaction", transaction_id="1")
        assert (gone["outcome"], gone["http_status"]) == ("ANSWERED", 404)
        assert stage.control.wardrobe(stage.member.login)["deleted"] == {item_id: "Blue linen shirt, reduced"}
        before = stage.operations
        for operation, parameters, named in (
            ("solve_captcha", {}, "solve_captcha"),
            ("get_item", {"item_id": "1/../../users"}, "item_id"),
            ("get_item", {"item_id": "1", "host": "elsewhere"}, "host"),
            ("toString", {}, "toString"),
        ):
            refused = await session.perform(operation, **parameters)
            assert (refused["outcome"], refused["error"]["kind"]) == ("NOT_SENT", "NOT_ALLOWED")
            assert named in refused["error"]["message"]
        for changes, kind in (
            ({"url": "http://127.0.0.1:9/one.png"}, "NOT_ALLOWED"),
            ({"url": stage.photos.url("two.png")}, "PHOTO_UNREADABLE"),
            ({"content_sha256": "0" * 64}, "PHOTO_UNREADABLE"),
        ):
            assert (await stage.upload(session, **changes))["error"]["kind"] == kind
        assert stage.operations == before
    assert before == [
        "uploadPhoto",
        "createItem",
        "updateItem",
        "getItem",
        "listWardrobe",
        "listOrders",
        "deleteItem",
        "getTransaction",
    ]
    assert set(stage.gateway.origins) == {EXTENSION_ORIGIN}


async def test_two_tabs_perform_once_and_one_takes_over(
    stage: Stage, extension: Path, tmp_path: Path
) -> None:
    """With two tabs open a create is sent once, also when its id is repeated; the tab closed, the other performs."""
    async with chromium(tmp_path / "profile", extension) as browser:
        session, first = await stage.set_up(browser)
        second = await browser.context.new_page()
        await second.goto(stage.site_url)
        item = await stage.item(session)
        request_id = str(uuid.uuid4())
        created = await session.perform("create_item", request_id, body=item)
        again = await session.perform("create_item", request_id, body=item)
        assert created["http_status"] == 200
        assert (again["outcome"], again["error"]["kind"]) == ("UNKNOWN", "FORGOTTEN")
        assert stage.created == {"Blue linen shirt": 1}
        await first.close()
        assert (await session.perform("list_orders", page=1, per_page=1))["http_status"] == 200
        await second.close()
        await session.wait_for_state("NO_TAB")
        none = await session.perform("list_orders", page=1, per_page=1)
        assert (none["outcome"], none["error"]["kind"]) == ("NOT_SENT", "NO_TAB")


async def test_tab_closed_after_the_create_reached_the_site(
    stage: Stage, extension: Path, tmp_path: Path
) -> None:
    """The create is at the site, its answer is not here, the tab closes: UNKNOWN, kept until acknowledged, and the
    same id is never performed again.
    """
    async with chromium(tmp_path / "profile", extension) as browser:
        session, tab = await stage.set_up(browser)
        item = await stage.item(session)
        session.acknowledges = False
        rule = stage.hold_create()
        request_id = await session.begin("create_item", body=item)
        await stage.wait_for_hit(rule)
        await tab.close()
        result = await session.wait_for("result", request_id=request_id)
        assert (result["outcome"], result["error"]["kind"]) == ("UNKNOWN", "TAB_CLOSED")
        await browser.context.new_page()
        tab = await browser.context.new_page()
        await tab.goto(stage.site_url)
        await session.wait_for_state("READY")
        again = await session.perform("create_item", request_id, body=item)
        assert (again["outcome"], again["error"]["kind"]) == ("UNKNOWN", "TAB_CLOSED")
        wardrobe = await session.perform("list_wardrobe", user_id=stage.member.user_id, page=1, per_page=96)
        assert [one["title"] for one in json.loads(wardrobe["body"])["items"]] == ["Blue linen shirt"]
    assert stage.created == {"Blue linen shirt": 1}


async def test_captcha_stops_until_the_seller_goes_on(stage: Stage, extension: Path, tmp_path: Path) -> None:
    """A captcha stops the browser and what waits in it; solving it changes nothing before the seller continues."""
    async with chromium(tmp_path / "profile", extension) as browser:
        session, tab = await stage.set_up(browser)
        stage.control.ask_captcha(stage.member.login)
        ids = [await session.begin("list_orders", page=page, per_page=1) for page in (1, 2, 3)]
        results = [await session.wait_for("result", request_id=one) for one in ids]
        assert [one.get("http_status") for one in results] == [403, None, None]
        assert [one["error"]["kind"] for one in results] == ["CAPTCHA", "PAUSED", "PAUSED"]
        assert (await session.wait_for("pause"))["reason"] == "CAPTCHA"
        assert stage.operations == ["listOrders"]

        popup = await browser.extension_page("pages/popup.html")
        await expect(popup.get_by_text("Vinted asks whether you are a person")).to_be_visible()
        await tab.goto(stage.site_url)
        await tab.get_by_role("button", name="I am a person").click()
        assert (await session.perform("list_orders", page=1, per_page=1))["error"]["kind"] == "PAUSED"
        assert stage.operations == ["listOrders"]
        await popup.get_by_role("button", name="Continue").click()
        await session.wait_for_state("READY")
        assert (await session.perform("list_orders", page=1, per_page=1))["http_status"] == 200


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "NO_SESSION"), (403, "FORBIDDEN"), (429, "RATE_LIMITED")]
)
@pytest.mark.long
async def test_refusals_stop_like_a_captcha(
    status: int, reason: str, stage: Stage, extension: Path, tmp_path: Path
) -> None:
    """401, 403 without a captcha, and 429 with its Retry-After come back as they are and stop the browser."""
    stage.control.add_fault("status", path=f"{API}/my_orders", status=status, seller=stage.member.login)
    async with chromium(tmp_path / "profile", extension) as browser:
        session, _ = await stage.set_up(browser)
        result = await session.perform("list_orders", page=1, per_page=1)
        assert (result["http_status"], result["error"]["kind"]) == (status, reason)
        assert (result["headers"].get("retry-after") is not None) == (status == 429)
        assert (await session.wait_for_state("PAUSED"))["pause"] == reason
        assert (await session.perform("list_orders", page=1, per_page=1))["error"]["kind"] == "PAUSED"


async def test_worker_that_ends_loses_no_answer(stage: Stage, extension: Path, tmp_path: Path) -> None:
    """Chromium may end the service worker at any time: the tab goes on, and the next worker carries its answer."""
    async with chromium(tmp_path / "profile", extension) as browser:
        session, _ = await stage.set_up(browser)
        item = await stage.item(session)
        rule = stage.hold_create()
        request_id = await session.begin("create_item", body=item)
        await stage.wait_for_hit(rule)
        page = await browser.extension_page("pages/popup.html")
        devtools = await browser.context.new_cdp_session(page)
        await devtools.send("ServiceWorker.enable")
        await devtools.send("ServiceWorker.stopAllWorkers")
        await session.wait_gone()
        stage.control.release(rule)
        back = await stage.gateway.wait_for_browser(2)
        assert [one["request_id"] for one in back.hello["requests"]] == [request_id]
        result = await back.wait_for("result", request_id=request_id)
        assert (result["outcome"], result["http_status"]) == ("ANSWERED", 200)
    assert stage.created == {"Blue linen shirt": 1}


async def test_browser_that_ends_says_so_when_it_is_back(
    stage: Stage, extension: Path, tmp_path: Path
) -> None:
    """The whole browser goes in the middle of a create: back with its profile it needs no pairing, says INTERRUPTED,
    and does not perform the id again.
    """
    async with chromium(tmp_path / "profile", extension) as browser:
        session, _ = await stage.set_up(browser)
        item = await stage.item(session)
        rule = stage.hold_create()
        request_id = await session.begin("create_item", body=item)
        await stage.wait_for_hit(rule)
        # What the closing tab still says must not count: the browser is gone first.
        session.acknowledges = False
    async with chromium(tmp_path / "profile", extension) as browser:
        back = await stage.gateway.wait_for_browser(2)
        assert back.hello["client_id"] == session.hello["client_id"]
        result = await back.wait_for("result", request_id=request_id)
        assert result["outcome"] == "UNKNOWN"
        assert result["error"]["kind"] in {"INTERRUPTED", "TAB_CLOSED"}
        again = await back.perform("create_item", request_id, body=item)
        assert again["outcome"] == "UNKNOWN"
    assert stage.created == {"Blue linen shirt": 1}


async def test_seller_unpairs_and_pauses(stage: Stage, extension: Path, tmp_path: Path) -> None:
    """The popup's switch pauses and continues; unpairing says goodbye and forgets the token."""
    async with chromium(tmp_path / "profile", extension) as browser:
        session, _ = await stage.set_up(browser)
        popup = await browser.extension_page("pages/popup.html")
        await popup.get_by_role("button", name="Pause").click()
        assert (await session.wait_for("pause"))["reason"] == "SELLER"
        assert (await session.perform("list_orders", page=1, per_page=1))["error"]["kind"] == "PAUSED"
        await popup.get_by_role("button", name="Continue").click()
        await session.wait_for("resume")
        pairing = await browser.extension_page("pages/pairing.html")
        await pairing.get_by_role("button", name="Unpair this browser").click()
        assert (await session.wait_for("bye"))["reason"] == "UNPAIRED"
        await session.wait_gone()
        await expect(popup.get_by_text("not paired with a StoFlow account")).to_be_visible()


async def test_as_shipped_it_may_do_nothing(tmp_path: Path, stage: Stage) -> None:
    """Not configured by an operator, the extension has no host it may reach, and says so."""
    manifest = json.loads((EXTENSION / "manifest.json").read_text())
    assert manifest["host_permissions"] == []
    assert "content_scripts" not in manifest
    async with chromium(tmp_path / "profile", EXTENSION) as browser:
        popup = await browser.extension_page("pages/popup.html")
        await expect(popup.get_by_text(re.compile("not configured yet"))).to_be_visible()
        await expect(popup.get_by_role("button", name="Pair this browser")).to_be_hidden()
