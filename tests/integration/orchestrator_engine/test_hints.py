"""Notifications of marketplaces: a hint, never the truth, once each, for every account of the seller."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import grpc.aio
import pytest
from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.control import eventually, reason_of, state_of
from tests.integration.orchestrator_engine.syncing import (
    add_seller,
    get_account,
    hint,
    live_syncs,
    open_syncing,
)

ORDERS, LISTINGS = rpc.HINT_KIND_ORDERS, rpc.HINT_KIND_LISTINGS
REVOKED, DELETED = rpc.HINT_KIND_AUTHORIZATION_REVOKED, rpc.HINT_KIND_ACCOUNT_DELETED


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases long enough for a test to act within one, on a busy machine as well."""
    return {"LEASE_SECONDS": "20", "DISPATCH_TIMEOUT_SECONDS": "20"}


async def wait_for_syncs(shop: Shop, *actions: str) -> None:
    async def are_there() -> bool:
        return [row[0] for row in await live_syncs(shop)] == sorted(actions)

    await eventually(are_there, f"{actions} are under way")


async def test_hint_brings_one_sync_about(shop: Shop) -> None:
    """A hint of orders makes one sync_orders job, and one of listings one sync_listings job."""
    await open_syncing(shop)
    response = await hint(shop, ORDERS)
    assert (response.is_new, response.account_count) == (True, 1)
    await wait_for_syncs(shop, "sync_orders")
    await hint(shop, LISTINGS)
    await wait_for_syncs(shop, "sync_listings", "sync_orders")


async def test_same_notification_again_changes_nothing(shop: Shop) -> None:
    """A notification that comes ten times at once, and once more later, brings one sync about."""
    connector = await open_syncing(shop)
    hint_id = str(uuid.uuid4())
    answers = await asyncio.gather(*(hint(shop, ORDERS, hint_id=hint_id) for _ in range(10)))
    assert sorted(answer.is_new for answer in answers) == [False] * 9 + [True]
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    await shop.wait_for_end(command.job_id)
    assert not (await hint(shop, ORDERS, hint_id=hint_id)).is_new
    await asyncio.sleep(2.5)
    assert await live_syncs(shop) == []


async def test_hint_during_a_sync_brings_another_about(shop: Shop) -> None:
    """What happens while a sync runs may have been missed by it: many hints meanwhile bring one more about."""
    connector = await open_syncing(shop)
    await hint(shop, ORDERS)
    command, granted = await connector.receive_and_start()
    for _ in range(3):
        await hint(shop, ORDERS)
    await asyncio.sleep(1.5)
    assert len(await live_syncs(shop)) == 1
    await connector.succeed(command, granted.lease_token)
    second, granted = await connector.receive_and_start()
    assert second.job_id != command.job_id
    await connector.succeed(second, granted.lease_token)
    await shop.wait_for_end(second.job_id)
    await asyncio.sleep(2.5)
    assert await live_syncs(shop) == []


async def test_every_tenants_account_of_the_seller_is_served(shop: Shop) -> None:
    """Two tenants who sell as the same seller both sync; a stranger's hint is taken and does nothing."""
    await open_syncing(shop)
    seller = (await get_account(shop)).remote_account_id
    other_tenant = await shop.stubs.create_tenant()
    other_account = await add_seller(shop, other_tenant, seller)
    assert (await hint(shop, ORDERS, seller)).account_count == 2
    await wait_for_syncs(shop, "sync_orders")

    async def other_syncs() -> bool:
        return len(await live_syncs(shop, other_account)) == 1

    await eventually(other_syncs, "the other tenant syncs")
    response = await hint(shop, ORDERS, "nobody")
    assert (response.is_new, response.account_count) == (True, 0)


async def test_hint_without_the_action_makes_no_job(shop: Shop) -> None:
    """A marketplace whose connector cannot sync orders takes the hint, and nothing follows."""
    await open_syncing(shop, "publish")
    assert (await hint(shop, ORDERS)).account_count == 1
    due = (
        "SELECT due_time > now() + interval '5 minutes' FROM public.account_syncs"
        " WHERE account_id = %s AND kind = 'ORDERS'"
    )

    async def is_settled() -> bool:
        return await shop.query(due, shop.account_id) == [(True,)]

    await eventually(is_settled, "the hint is settled")
    assert await live_syncs(shop) == []


async def test_hint_of_an_unknown_marketplace_is_refused(shop: Shop) -> None:
    """A marketplace that no connector has registered is NOT_FOUND."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await hint(shop, ORDERS, "seller")
    assert reason_of(caught.value) == "NOT_FOUND MARKETPLACE_NOT_FOUND"


async def test_revoked_authorization_closes_the_account(shop: Shop) -> None:
    """A revocation makes the account RECONNECT_REQUIRED; one from before its newest authorization is out of date."""
    await open_syncing(shop)
    assert (await hint(shop, REVOKED, when=datetime.now(UTC) - timedelta(hours=1))).account_count == 0
    assert (await get_account(shop)).state == account_pb2.ACCOUNT_STATE_CONNECTED
    assert (await hint(shop, REVOKED, when=datetime.now(UTC) + timedelta(seconds=1))).account_count == 1
    assert (await get_account(shop)).state == account_pb2.ACCOUNT_STATE_RECONNECT_REQUIRED
    job = await shop.create_job(action="sync_orders")
    await asyncio.sleep(1.5)
    assert state_of(await shop.get_job(job.job_id)) == "PENDING"


@pytest.mark.parametrize("way", ["hint", "call"])
async def test_deleted_sellers_data_are_erased(shop: Shop, way: str) -> None:
    """Credentials, name, seller's id and settings are gone, jobs are cancelled, and what stays names nobody."""
    connector = await open_syncing(shop)
    seller = (await get_account(shop)).remote_account_id
    running = await shop.create_job(action="sync_orders")
    command, granted = await connector.receive_and_start()
    waiting = await shop.create_job(action="sync_listings", not_before_time={"seconds": 4_000_000_000})
    await shop.query(
        "INSERT INTO public.pairings (pairing_id, tenant_id, account_id, marketplace, token_sha256, client_id,"
        " client_name) VALUES (gen_random_uuid(), %s, %s, %s, sha256('x'), gen_random_uuid(), 'Desk') RETURNING 1",
        shop.tenant_id,
        shop.account_id,
        shop.marketplace,
    )
    if way == "hint":
        assert (await hint(shop, DELETED, seller)).account_count == 1
    else:
        request = rpc.EraseAccountDataRequest(marketplace=shop.marketplace, remote_account_id=seller)
        assert (await shop.stubs.connector.EraseAccountData(request)).account_count == 1
        assert (await shop.stubs.connector.EraseAccountData(request)).account_count == 0
    assert state_of(await shop.wait_for_end(waiting.job_id)) == "CANCELLED"

    async def is_cancelled() -> bool:
        return state_of(await shop.get_job(running.job_id)) == "CANCELLED"

    await eventually(is_cancelled, "the running job is cancelled")
    account = await get_account(shop)
    assert account.state == account_pb2.ACCOUNT_STATE_ERASED
    assert (account.display_name, account.remote_account_id, len(account.settings)) == ("", "", 0)
    stored = f"SELECT row_to_json(a)::text FROM user_{shop.tenant_id}.accounts AS a WHERE account_id = %s"
    (row,) = await shop.query(stored, shop.account_id)
    pairings = "SELECT count(*) FROM public.pairings WHERE account_id = %s"
    assert await shop.query(pairings, shop.account_id) == [(0,)]
    gate = await shop.query(
        "SELECT row_to_json(g)::text FROM public.account_gates AS g WHERE account_id = %s", shop.account_id
    )
    assert '"credentials":null' in str(row[0])
    assert seller not in f"{row} {gate}"
    assert "Corner shop" not in f"{row} {gate}"

    async def is_recorded() -> bool:
        rows = await shop.query(
            "SELECT tenant_id, marketplace FROM public.account_erasures"
            " WHERE account_id = %s AND finish_time IS NOT NULL",
            shop.account_id,
        )
        return rows == [(shop.tenant_id, shop.marketplace)]

    await eventually(is_recorded, "the erasure is recorded")
    await connector.fail(command, granted.lease_token)
    assert (await hint(shop, ORDERS, seller)).account_count == 0


async def test_erased_account_comes_back_by_no_way(shop: Shop) -> None:
    """Neither a job, nor new credentials, nor a consent makes an erased account work again."""
    await open_syncing(shop)
    await hint(shop, DELETED)
    not_connected = "FAILED_PRECONDITION ACCOUNT_NOT_CONNECTED"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.create_job(action="sync_orders")
    assert reason_of(caught.value) == not_connected
    target = {"request_id": str(uuid.uuid4()), "tenant_id": shop.tenant_id, "account_id": shop.account_id}
    credentials = account_pb2.OAuthCredentials(refresh_token="new")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.stubs.accounts.ReconnectAccount(
            account_service_pb2.ReconnectAccountRequest(**target, credentials=credentials)  # type: ignore[arg-type]
        )
    assert reason_of(caught.value) == not_connected
    target["request_id"] = str(uuid.uuid4())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.stubs.accounts.BeginConnect(
            account_service_pb2.BeginConnectRequest(**target, redirect_uri="https://a.test")  # type: ignore[arg-type]
        )
    assert reason_of(caught.value) == not_connected
