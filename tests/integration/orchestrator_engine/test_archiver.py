"""Ended jobs of many tenants move to their histories together."""

from __future__ import annotations

import asyncio

import psycopg

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step
from tests.integration.orchestrator_engine.control import is_archived, wait_until_archived


async def _end_job(shop: Shop, connector: Connector) -> str:
    job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    return job.job_id


async def test_one_tenant_that_is_being_migrated_does_not_hold_up_the_others(shop: Shop) -> None:
    """What is taken together is taken one by one when a table is locked; the hindered tenant's jobs follow later."""
    other = Shop(shop.orchestrator, shop.stubs)
    try:
        connectors = [await one.open(step("only")) for one in (shop, other)]
        async with await psycopg.AsyncConnection.connect(shop.orchestrator.database_url) as blocker:
            await blocker.execute(f"LOCK TABLE user_{shop.tenant_id}.marketplace_jobs IN SHARE MODE")
            # Both within the time in which the archiver gathers.
            held, free = await asyncio.gather(_end_job(shop, connectors[0]), _end_job(other, connectors[1]))
            await wait_until_archived(other, free)
            assert not await is_archived(shop, held)
            assert (await shop.get_job(held)).job_id == held
        await wait_until_archived(shop, held)
    finally:
        for connector in other.connectors:
            await connector.close()
