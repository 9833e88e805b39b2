"""What a running sync is told of its account."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import grpc
import pytest
from stoflow.catalog.v1 import listing_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2

from stoflow_service_kit.grpc_channel import rich_error
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector
from tests.integration.orchestrator_engine.control import wait_until_archived
from tests.integration.orchestrator_engine.market import finish, open_market, run_job, seen

ENDED = listing_pb2.LISTING_STATE_ENDED


async def told(
    connector: Connector, command: task_pb2.TaskCommand, token: str, page_size: int = 0, page_token: str = ""
) -> rpc.GetSyncStateResponse:
    request = rpc.GetSyncStateRequest(
        instance_id=connector.instance_id,
        tenant_id=command.tenant_id,
        job_id=command.job_id,
        task_id=command.task_id,
        lease_token=token,
        page_size=page_size,
        page_token=page_token,
    )
    return await connector.stubs.connector.GetSyncState(request)


async def test_sync_is_told_of_live_listings_page_by_page(shop: Shop) -> None:
    """Every LIVE listing comes once, by remote id and with its product's SKU; one that ended does not."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await run_job(shop, connector, "publish", product_id, listing=seen("r3"))
    found = [seen("r2", sku="found"), seen("r1"), seen("r0", state=ENDED)]
    await run_job(shop, connector, "sync", found_listings=found)
    await shop.create_job(action="sync")
    command, granted = await connector.receive_and_start()
    first = await told(connector, command, granted.lease_token, 2)
    second = await told(connector, command, granted.lease_token, 2, first.next_page_token)
    assert [(one.remote_id, one.sku) for one in first.listings] == [("r1", ""), ("r2", "found")]
    (last,) = second.listings
    assert (last.remote_id, bool(last.sku), second.next_page_token) == ("r3", True, "")
    assert list((await told(connector, command, granted.lease_token)).listings) == []


async def test_sync_is_told_when_the_last_whole_one_began(shop: Shop) -> None:
    """Only a completed job of the same action counts, archived or not; the first sync hears of none."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await run_job(shop, connector, "publish", product_id, listing=seen("r1"))
    first = await shop.create_job(action="sync")
    command, granted = await connector.receive_and_start()
    assert not (await told(connector, command, granted.lease_token)).HasField("last_complete_time")
    await finish(connector, command, granted.lease_token)
    await shop.wait_for_end(first.job_id)
    await wait_until_archived(shop, first.job_id)
    failed = await shop.create_job(action="sync", max_retries=0)
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token)
    await shop.wait_for_end(failed.job_id)
    await shop.create_job(action="sync")
    command, granted = await connector.receive_and_start()
    answer = await told(connector, command, granted.lease_token)
    created = (await shop.get_job(first.job_id)).create_time.ToDatetime(tzinfo=UTC)
    assert answer.last_complete_time.ToDatetime(tzinfo=UTC) == created
    assert created < datetime.now(UTC)


async def test_nothing_is_told_without_the_lease(shop: Shop) -> None:
    """Whoever does not hold the task's lease hears nothing of the account."""
    connector = await open_market(shop)
    await shop.create_job(action="sync")
    command, _ = await connector.receive_and_start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await told(connector, command, str(uuid.uuid4()))
    assert rich_error(caught.value).reason == "LEASE_REQUIRED"
