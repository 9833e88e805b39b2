"""An eBay account on its way into connection, out of it and back."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from stoflow.accounts.v1 import account_pb2
from stoflow.jobs.v1 import job_pb2

from tests.integration.connector_ebay.selling import EbayShop

CONNECTED = account_pb2.ACCOUNT_STATE_CONNECTED
RECONNECT = account_pb2.ACCOUNT_STATE_RECONNECT_REQUIRED
COMPLETED = job_pb2.JOB_STATE_COMPLETED


async def test_seller_connects_by_ebays_consent_page(shop: EbayShop) -> None:
    """Consent, code and identity make an account with eBay's immutable user id, which then works."""
    async with shop.connector():
        job = await shop.connect()
        assert job.state == COMPLETED, job
        account = await shop.account()
        seller = (await shop.control.state(shop.seller.username))["sellers"][shop.seller.username]
        assert (account.state, account.remote_account_id) == (CONNECTED, seller["user_id"])
        assert (account.display_name, list(account.sites)) == (shop.seller.username, ["EBAY_US"])
        assert (await shop.run("sync_orders")).state == COMPLETED
    exchanged = await shop.control.requests(operation="token")
    bodies = [str(entry["body"]) for entry in exchanged]
    assert not any("v^1.1" in body for body in bodies)


async def test_seller_who_declines_is_not_connected(shop: EbayShop) -> None:
    """The error of the consent page ends the attempt, and the next one succeeds."""
    async with shop.connector():
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await shop.connect(decision="decline")
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        shop.account_id = ""
        job = await shop.connect()
        assert job.state == COMPLETED


async def test_code_whose_identity_could_not_be_read_is_not_lost(shop: EbayShop) -> None:
    """eBay takes a code once: when only the question who consented failed, the next attempt has the tokens still."""
    await shop.control.add_fault("status", method="GET", path="/commerce/identity/**", status=500)
    async with shop.connector():
        job = await shop.connect()
        assert (job.state, job.tasks[0].failure_count) == (COMPLETED, 1)


async def test_revoked_consent_makes_jobs_wait_and_reconnecting_resumes_them(shop: EbayShop) -> None:
    """invalid_grant closes the account, its jobs wait without losing a retry, and all go on after the new consent."""
    async with shop.connector():
        await shop.connect()
        await shop.control.revoke(shop.seller.username)
        first = await shop.submit("sync_orders")
        waiting = await shop.wait_for_wait(first.job_id, job_pb2.WAIT_REASON_ACCOUNT_RECONNECT_REQUIRED)
        assert (await shop.account()).state == RECONNECT
        assert waiting.tasks[0].failure_count == 0
        second = await shop.submit("sync_listings", "EBAY_US")
        await asyncio.sleep(0.5)
        assert (await shop.get_job(second.job_id)).state == job_pb2.JOB_STATE_PENDING
        assert "v^1.1" not in str(waiting)
        job = await shop.connect()
        assert job.state == COMPLETED
        assert (await shop.account()).state == CONNECTED
        for waited in (first, second):
            assert (await shop.end_of(waited.job_id)).state == COMPLETED


async def test_two_replicas_refresh_an_expired_token_once(shop: EbayShop) -> None:
    """Jobs on two replicas that are refused one token at the same time make one refresh call between them."""
    sites = ["EBAY_US", "EBAY_GB", "EBAY_DE", "EBAY_FR", "EBAY_IT", "EBAY_ES"]
    async with shop.connector(slots=3), shop.connector(slots=3):
        await shop.connect(sites=sites)
        # Both replicas have the token by now.
        await asyncio.gather(*(shop.run("sync_listings", site) for site in sites))
        await shop.control.expire_access_tokens(shop.seller.username)
        await shop.control.add_fault(
            "latency", method="POST", path="/identity/v1/oauth2/token", delay_seconds=0.5, times=None
        )
        before = len(await shop.control.requests(operation="token", seller=shop.seller.username))
        marker = (await shop.control.requests())[-1]["seq"]
        jobs = await asyncio.gather(*(shop.run("sync_listings", site) for site in sites))
        await shop.control.clear_faults()
    assert {job.state for job in jobs} == {COMPLETED}
    after = await shop.control.requests(operation="token", seller=shop.seller.username)
    assert len(after) - before == 1
    # A token that eBay knows no more names no seller.
    asked = await shop.control.requests(operation="getInventoryItems", after_seq=marker)
    assert [entry["status"] for entry in asked].count(401) >= 2
