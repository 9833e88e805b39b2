"""Orchestrator, connector, extension, site: nothing stands for anything, and the browser is a real Chromium."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import expect
from stoflow.catalog.v1.listing_service_pb2 import ListListingsRequest
from stoflow.catalog.v1.product_service_pb2 import GetProductRequest, UpdateProductRequest
from stoflow.common.v1.money_pb2 import Money
from stoflow.jobs.v1.job_pb2 import WAIT_REASON_NEEDS_HUMAN, WAIT_REASON_SELLER_OFFLINE

from stoflow_sandbox.browser import BrowserSettings, ScriptedBrowser
from stoflow_sandbox.marketplaces.vinted.control import SeededMember, VintedSandboxControl
from stoflow_sandbox.servers import PostgresServer
from tests.browser.chromium import Chromium, chromium, configure
from tests.browser.stack import EXTENSION_ORIGIN, Shop, Stack, running_stack
from tests.integration.sandbox_vinted.test_serving import API
from tests.support.orchestrator import Stubs
from tests.unit.stoflow_sandbox.marketplaces.vinted_member import png

CREATE_PATH = f"{API}/item_upload/items"


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, site_url: str
) -> Iterator[Stack]:
    """One orchestrator and one connector for this module."""
    name = f"test_{uuid.uuid4().hex}"
    database_url = postgres_server.create_database(name)
    with running_stack(tmp_path_factory.mktemp("stack"), database_url, site_url) as running:
        yield running
    postgres_server.drop_database(name)


@pytest.fixture
async def shop(stack: Stack, control: VintedSandboxControl, member: SeededMember) -> AsyncIterator[Shop]:
    stubs = Stubs(stack.orchestrator.grpc_address)
    opened = Shop(stubs, control, member)
    await opened.open()
    yield opened
    await stubs.close()


@pytest.fixture
def extension(stack: Stack, tmp_path: Path) -> Path:
    """The extension, configured for the real gateway, site and images."""
    return configure(tmp_path, stack.gateway_url, [stack.site_url], [stack.images_origin])


async def set_up(browser: Chromium, shop: Shop, stack: Stack) -> None:
    """Pairs with a code of the account, signs in at the site."""
    pairing = await browser.pair(await shop.pairing_code())
    await expect(pairing.get_by_text("This browser is paired with")).to_be_visible()
    await pairing.close()
    await browser.sign_in(stack.site_url, shop.member)


async def end(running: asyncio.Task[None], browser: ScriptedBrowser) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await browser.close()


async def test_publish_update_and_delete(stack: Stack, shop: Shop, extension: Path, tmp_path: Path) -> None:
    """A job waits for its seller, runs when the browser is there, and item, change and end are what the site shows;
    with two tabs open everything is done once.
    """
    product_id = await shop.product(png("navy"), png("teal"))
    publish = await shop.submit("publish", product_id)
    await shop.wait_waiting(publish, WAIT_REASON_SELLER_OFFLINE)
    async with chromium(tmp_path / "profile", extension) as browser:
        await set_up(browser, shop, stack)
        second = await browser.context.new_page()
        await second.goto(stack.site_url)
        await shop.wait_completed(publish)
        assert shop.created == {"Blue linen shirt": 1}
        ((item_id, item),) = shop.wardrobe["items"].items()
        assert (item["price"]["amount"], item["size_id"], len(item["photos"])) == ("25.00", 208, 2)
        request = ListListingsRequest(tenant_id=shop.tenant_id, product_id=product_id)
        (listing,) = (await shop.stubs.listings.ListListings(request)).listings
        assert listing.remote_id == item_id

        wanted = GetProductRequest(tenant_id=shop.tenant_id, product_id=product_id)
        product = (await shop.stubs.products.GetProduct(wanted)).product
        product.content.price.CopyFrom(Money(currency_code="EUR", amount_minor=1900))
        await shop.stubs.products.UpdateProduct(
            UpdateProductRequest(
                request_id=str(uuid.uuid4()),
                tenant_id=shop.tenant_id,
                product_id=product_id,
                content=product.content,
                etag=product.etag,
            )
        )
        await shop.wait_completed(await shop.submit("update", product_id))
        changed = shop.wardrobe["items"][item_id]
        assert (changed["price"]["amount"], len(changed["photos"])) == ("19.00", 2)
        await shop.wait_completed(await shop.submit("delete", product_id))
    assert shop.wardrobe["items"] == {}
    assert shop.wardrobe["deleted"] == {item_id: "Blue linen shirt"}
    creates = shop.control.requests(seller=shop.member.login, operation="createItem")
    assert len(creates) == 1


async def test_tab_closed_after_the_create_reached_the_site(
    stack: Stack, shop: Shop, extension: Path, tmp_path: Path
) -> None:
    """The item exists, its answer is lost with the tab: with a new tab the job finds it and makes no second one."""
    rule = shop.control.add_fault("hold", method="POST", path=CREATE_PATH, seller=shop.member.login)
    async with chromium(tmp_path / "profile", extension) as browser:
        await set_up(browser, shop, stack)
        publish = await shop.submit("publish", await shop.product(png()))
        await asyncio.to_thread(shop.control.wait_for_hit, rule, 60)
        for page in browser.context.pages:
            if page.url.startswith(stack.site_url):
                await page.close()
        await shop.wait_waiting(publish, WAIT_REASON_SELLER_OFFLINE)
        page = await browser.context.new_page()
        await page.goto(stack.site_url)
        job = await shop.wait_completed(publish)
    assert shop.created == {"Blue linen shirt": 1}
    (item_id,) = shop.wardrobe["items"]
    assert item_id in str(job)


async def test_second_browser_stands_by_and_takes_over(
    stack: Stack, shop: Shop, extension: Path, tmp_path: Path
) -> None:
    """Of two browsers of one account the first performs and the other stands by, until the first is gone."""
    settings = BrowserSettings(
        stack.gateway_url,
        str(uuid.uuid4()),
        origin=EXTENSION_ORIGIN,
        image_origins=frozenset({stack.images_origin}),
    )
    other = ScriptedBrowser(settings)
    product_id = await shop.product(png())
    async with AsyncExitStack() as cleanup:
        async with chromium(tmp_path / "profile", extension) as browser:
            await set_up(browser, shop, stack)
            await shop.wait_completed(await shop.submit("publish", product_id))
            await other.pair(await shop.pairing_code())
            await other.open_tab(stack.site_url, shop.member.login, shop.member.password)
            running = asyncio.create_task(other.run())
            cleanup.push_async_callback(end, running, other)
            welcome = await other.wait_for("welcome")
            assert (welcome["role"], welcome["reason"]) == ("STANDBY", "OTHER_BROWSER")
            await shop.wait_completed(await shop.submit("check_connection", ""))
        await other.wait_for("role", 60, role="ACTIVE")
        await shop.wait_completed(await shop.submit("delete", product_id))
    agents = [
        entry["headers"]["user-agent"].partition("/")[0]
        for entry in shop.control.requests(seller=shop.member.login)
    ]
    assert set(agents[:-1]) == {"Mozilla"}
    assert agents[-1] == "python-httpx"


async def test_captcha_stops_the_account_until_the_seller_goes_on(
    stack: Stack, shop: Shop, extension: Path, tmp_path: Path
) -> None:
    """A captcha makes the job wait for a person and nothing more is sent; solved, it waits on; the popup's Continue
    lets it end.
    """
    async with chromium(tmp_path / "profile", extension) as browser:
        await set_up(browser, shop, stack)
        shop.control.ask_captcha(shop.member.login)
        publish = await shop.submit("publish", await shop.product(png()))
        await shop.wait_waiting(publish, WAIT_REASON_NEEDS_HUMAN)
        sent = len(shop.control.requests(seller=shop.member.login))
        shop.control.end_captcha(shop.member.login)
        await asyncio.sleep(2)
        assert len(shop.control.requests(seller=shop.member.login)) == sent == 1
        popup = await browser.extension_page("pages/popup.html")
        await popup.get_by_role("button", name="Continue").click()
        await shop.wait_completed(publish)
    assert shop.created == {"Blue linen shirt": 1}
