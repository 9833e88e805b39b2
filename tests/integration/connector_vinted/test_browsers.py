"""Browsers come, go, lose answers and are refused: nothing is made twice and nothing hangs."""

from __future__ import annotations

import asyncio

import pytest
from stoflow.accounts.v1 import account_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_sandbox.browser.scripted_browser import PairingRefusedError
from tests.integration.connector_vinted.stage import Replica, Seller, Stage, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
CREATE = "/api/v2/item_upload/items"


async def created(seller: Seller) -> int:
    """How many items were ever made for the seller."""
    return sum((await seller.wardrobe())["created"]["items"].values())


async def hold_create(seller: Seller) -> str:
    """Lets the site obey the create and hold its answer."""
    return await seller.stage.control.add_fault(
        "hold", seller=seller.login, method="POST", path=CREATE, apply="before", limit_seconds=20
    )


async def test_offline_seller_s_job_waits_and_runs_when_the_browser_returns(
    seller: Seller, replica: Replica
) -> None:
    """A job waits as SELLER_OFFLINE without an attempt, and runs to its end after the browser has connected."""
    job_id = await seller.submit("publish", await seller.create_product(pictures=1))
    waiting = await seller.waits(job_id, job_pb2.WAIT_REASON_SELLER_OFFLINE)
    assert [task.attempt_count for task in waiting.tasks] == [0, 0, 0]
    await seller.open_browser(replica)
    await seller.completed(job_id)
    assert await created(seller) == 1


async def test_two_browsers_publish_once_and_the_second_takes_over(seller: Seller, replica: Replica) -> None:
    """Only the elected browser acts; when it goes, the one that stood by is elected and does the next job."""
    first = await seller.open_browser(replica)
    second = await seller.open_browser(replica, role="STANDBY")
    await seller.run("publish", await seller.create_product(pictures=1))
    assert [m for m in second.received if m["type"] == "command"] == []
    await seller.crash_browser(first)
    await wait_until(lambda: second.role == "ACTIVE")
    await seller.run("publish", await seller.create_product(pictures=1))
    assert await created(seller) == 2
    assert [m for m in second.received if m["type"] == "command"] != []


async def test_pause_holds_jobs_back_until_the_seller_resumes(seller: Seller, replica: Replica) -> None:
    """A paused browser gets no commands: its jobs wait for the seller, and go on with the resumption."""
    browser = await seller.open_browser(replica)
    browser.pause()
    await wait_until(lambda: browser.role == "STANDBY")
    job_id = await seller.submit("check_connection")
    await seller.waits(job_id, job_pb2.WAIT_REASON_SELLER_OFFLINE)
    browser.resume()
    await seller.completed(job_id)
    # A pause of the seller's own is no stop of the account.
    assert (await seller.account()).state == account_pb2.ACCOUNT_STATE_CONNECTED


async def test_captcha_stops_the_account_until_the_seller_resumes(seller: Seller, replica: Replica) -> None:
    """A captcha ends all calls: the job needs a human, the account says so, and only a resumption goes on."""
    browser = await seller.open_browser(replica)
    control = seller.stage.control
    await control.ask_captcha(seller.login)
    job_id = await seller.submit("check_connection")
    job = await seller.waits(job_id, job_pb2.WAIT_REASON_NEEDS_HUMAN)
    assert (job.failure.code, job.failure.http_status) == ("CAPTCHA", 403)
    account = await seller.account()
    assert account.state == account_pb2.ACCOUNT_STATE_RECONNECT_REQUIRED
    assert account.stop_reason == account_pb2.ACCOUNT_STOP_REASON_NEEDS_HUMAN
    calls = len(await control.requests(seller=seller.login))
    other = await seller.submit("sync_orders")
    await asyncio.sleep(1.5)
    assert (await seller.job(other)).state == job_pb2.JOB_STATE_PENDING
    assert len(await control.requests(seller=seller.login)) == calls
    await control.end_captcha(seller.login)
    browser.resume()
    await seller.completed(job_id)
    await seller.completed(other)
    assert (await seller.account()).stop_reason == account_pb2.ACCOUNT_STOP_REASON_UNSPECIFIED


@pytest.mark.parametrize(
    ("status", "reason", "wait"),
    [
        (
            401,
            account_pb2.ACCOUNT_STOP_REASON_SESSION_EXPIRED,
            job_pb2.WAIT_REASON_ACCOUNT_RECONNECT_REQUIRED,
        ),
        (403, account_pb2.ACCOUNT_STOP_REASON_NEEDS_HUMAN, job_pb2.WAIT_REASON_NEEDS_HUMAN),
        (429, account_pb2.ACCOUNT_STOP_REASON_NEEDS_HUMAN, job_pb2.WAIT_REASON_NEEDS_HUMAN),
    ],
)
async def test_refusals_stop_the_account_at_once(
    seller: Seller,
    replica: Replica,
    status: int,
    reason: account_pb2.AccountStopReason.ValueType,
    wait: job_pb2.WaitReason.ValueType,
) -> None:
    """After 401, 403 or 429 the account says why it is stopped, and goes on only when the seller resumes."""
    browser = await seller.open_browser(replica)
    control = seller.stage.control
    await control.add_fault("status", seller=seller.login, path="/api/**", status=status)
    job_id = await seller.submit("check_connection")
    await seller.waits(job_id, wait)
    assert (await seller.account()).stop_reason == reason
    browser.resume()
    await seller.completed(job_id)


async def test_lost_answer_is_settled_by_what_the_browser_kept(seller: Seller, replica: Replica) -> None:
    """The connection breaks while the site obeys the create: after the reconnection its answer is used, once."""
    browser = await seller.open_browser(replica)
    control = seller.stage.control
    rule = await hold_create(seller)
    job_id = await seller.submit("publish", await seller.create_product(pictures=1))
    await control.wait_for_hit(rule)
    await browser.go_offline()
    await control.release(rule)
    await asyncio.sleep(0.3)
    browser.go_online()
    await seller.completed(job_id)
    assert await created(seller) == 1


async def test_tab_closed_after_the_create_reached_the_site(seller: Seller, replica: Replica) -> None:
    """The outcome is unknown: the wardrobe is read when the seller is back, and exactly one item stands there."""
    browser = await seller.open_browser(replica)
    control = seller.stage.control
    rule = await hold_create(seller)
    job_id = await seller.submit("publish", await seller.create_product(pictures=1))
    await control.wait_for_hit(rule)
    await browser.close_tab()
    await control.release(rule)
    await seller.waits(job_id, job_pb2.WAIT_REASON_SELLER_OFFLINE)
    await browser.open_tab(control.base_url, seller.login, seller.password)
    await seller.completed(job_id)
    assert await created(seller) == 1


async def test_another_browser_probes_the_wardrobe_before_it_creates(
    seller: Seller, replica: Replica
) -> None:
    """The browser that sent the create is gone for good: its successor finds the item in the wardrobe."""
    first = await seller.open_browser(replica)
    second = await seller.open_browser(replica, role="STANDBY")
    control = seller.stage.control
    rule = await hold_create(seller)
    job_id = await seller.submit("publish", await seller.create_product(pictures=1))
    await control.wait_for_hit(rule)
    await seller.crash_browser(first)
    await control.release(rule)
    await seller.completed(job_id)
    assert await created(seller) == 1
    operations = [m["operation"] for m in second.received if m["type"] == "command"]
    assert "list_wardrobe" in operations
    assert "create_item" not in operations


async def test_replica_killed_mid_command_is_recovered_by_the_other(stage: Stage) -> None:
    """SIGKILL while the site holds the answer: the browser connects elsewhere, and what it kept completes the job."""
    marketplace = "vinted-killed"
    first, second = await stage.start_replica(marketplace), await stage.start_replica(marketplace)
    await stage.map_bags(marketplace)
    seller = await stage.open_seller(marketplace)
    try:
        browser = await seller.open_browser(first)
        rule = await hold_create(seller)
        job_id = await seller.submit("publish", await seller.create_product(pictures=1))
        await stage.control.wait_for_hit(rule)
        first.process.kill()
        await stage.control.release(rule)
        await asyncio.sleep(0.5)
        await seller.move_browser(browser, second)
        await seller.completed(job_id)
        assert await created(seller) == 1
    finally:
        await seller.close()


async def test_another_seller_s_login_is_not_used(stage: Stage, seller: Seller, replica: Replica) -> None:
    """A browser in which somebody else is signed in stands by, and nothing is sent through it."""
    browser = await seller.open_browser(replica)
    await seller.run("check_connection")
    stranger = await stage.control.seed_member(f"other-{seller.login}")
    await browser.close_tab()
    await browser.open_tab(stage.control.base_url, stranger.login, stranger.password)
    role = await browser.wait_for("role", reason="WRONG_USER")
    assert role["role"] == "STANDBY"
    job_id = await seller.submit("check_connection")
    await seller.waits(job_id, job_pb2.WAIT_REASON_SELLER_OFFLINE)


async def test_code_that_was_never_issued_pairs_nobody(seller: Seller, replica: Replica) -> None:
    """A wrong code is refused, and a pairing that was made stays."""
    browser = await seller.pair_browser(replica)
    assert len(browser.token) >= 32
    with pytest.raises(PairingRefusedError, match="PAIRING_REFUSED"):
        await browser.pair("AAAA-AAAA")
