"""Accounts that are synchronized by themselves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.control import eventually
from tests.integration.orchestrator_engine.syncing import (
    LISTINGS,
    ORDERS,
    add_seller,
    live_syncs,
    make_due,
    open_syncing,
    policies,
    set_policy,
)


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases long enough for a test to act within one, on a busy machine as well."""
    return {"LEASE_SECONDS": "20", "DISPATCH_TIMEOUT_SECONDS": "20"}


async def has_syncs(shop: Shop, *syncs: tuple[str, str]) -> None:
    async def is_so() -> bool:
        return await live_syncs(shop) == sorted(syncs)

    await eventually(is_so, f"{syncs} are under way")


async def test_orders_are_synced_every_quarter_and_listings_daily_from_the_start(shop: Shop) -> None:
    """A new account has both policies on; each first sync is due about one interval after the account was made."""
    await open_syncing(shop)
    found = await policies(shop)
    assert [(kind, found[kind].is_automatic, found[kind].interval.seconds) for kind in found] == [
        (ORDERS, True, 900),
        (LISTINGS, True, 86_400),
    ]
    for policy in found.values():
        away = (policy.next_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()
        assert 0.85 * policy.interval.seconds < away <= 1.1 * policy.interval.seconds


async def test_due_sync_makes_one_job_and_plans_the_next(shop: Shop) -> None:
    """When its time comes one job is made, and the next sync is an interval away although the job still runs."""
    await open_syncing(shop)
    await make_due(shop, "ORDERS")
    await has_syncs(shop, ("sync_orders", ""))

    async def is_planned() -> bool:
        next_time = (await policies(shop))[ORDERS].next_time.ToDatetime(UTC)
        return (next_time - datetime.now(UTC)).total_seconds() > 600

    await eventually(is_planned, "the next sync is planned")


async def test_syncs_never_pile_up(shop: Shop) -> None:
    """A sync that falls due while one runs takes no place of its own, and waits for its next time."""
    connector = await open_syncing(shop)
    await make_due(shop, "ORDERS")
    command, granted = await connector.receive_and_start()
    for _ in range(2):
        await make_due(shop, "ORDERS")
        await asyncio.sleep(1.5)
        assert len(await live_syncs(shop)) == 1
    await connector.succeed(command, granted.lease_token)
    await shop.wait_for_end(command.job_id)
    await asyncio.sleep(1.5)
    assert await live_syncs(shop) == []


async def test_listings_are_synced_site_by_site(shop: Shop) -> None:
    """An account with two sites gets one sync_listings job for each and one sync_orders job."""
    await open_syncing(shop)
    shop.account_id = await add_seller(shop, shop.tenant_id, "seller-of-two", ("EBAY_US", "EBAY_DE"))
    await make_due(shop, "LISTINGS")
    await make_due(shop, "ORDERS")
    await has_syncs(
        shop, ("sync_listings", "EBAY_DE"), ("sync_listings", "EBAY_US"), ("sync_orders", "EBAY_US")
    )


async def test_policy_can_be_changed_and_switched_off(shop: Shop) -> None:
    """A shorter interval brings the next sync nearer; switched off, none is planned and none is made."""
    await open_syncing(shop)
    changed = await set_policy(shop, ORDERS, True, 120)
    assert (changed.is_automatic, changed.interval.seconds) == (True, 120)
    away = (changed.next_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()
    assert 0 < away <= 132
    off = await set_policy(shop, ORDERS, False)
    assert (off.is_automatic, off.interval.seconds, off.HasField("next_time")) == (False, 120, False)
    on = await set_policy(shop, ORDERS, True)
    assert on.HasField("next_time")
    assert (await policies(shop))[LISTINGS].interval.seconds == 86_400


async def test_account_that_must_be_reconnected_is_not_synced(shop: Shop) -> None:
    """A sync that falls due while the account is closed makes no job and waits for its next time."""
    await open_syncing(shop)
    await shop.query(
        "UPDATE public.account_gates SET state = 'RECONNECT_REQUIRED' WHERE account_id = %s RETURNING 1",
        shop.account_id,
    )
    await make_due(shop, "ORDERS")

    async def is_planned() -> bool:
        next_time = (await policies(shop))[ORDERS].next_time.ToDatetime(UTC)
        return (next_time - datetime.now(UTC)).total_seconds() > 600

    await eventually(is_planned, "the next sync is planned")
    assert await live_syncs(shop) == []
