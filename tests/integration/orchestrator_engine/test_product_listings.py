"""What a running task is told of its product's listings, and what its results leave there."""

from __future__ import annotations

import uuid

import grpc
import pytest
from stoflow.catalog.v1 import listing_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_service_pb2

from stoflow_service_kit.grpc_channel import rich_error
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector
from tests.integration.orchestrator_engine.market import (
    change_title,
    finish,
    listings,
    open_market,
    run_job,
    seen,
)

ENDED = listing_pb2.LISTING_STATE_ENDED


async def told(
    connector: Connector, command: task_pb2.TaskCommand, token: str
) -> list[task_pb2.ProductListing]:
    request = rpc.GetListingsRequest(
        instance_id=connector.instance_id,
        tenant_id=command.tenant_id,
        job_id=command.job_id,
        task_id=command.task_id,
        lease_token=token,
    )
    return list((await connector.stubs.connector.GetListings(request)).listings)


async def retry(shop: Shop, job_id: str) -> None:
    request = job_service_pb2.RetryJobRequest(
        request_id=str(uuid.uuid4()), tenant_id=shop.tenant_id, job_id=job_id
    )
    await shop.stubs.jobs.RetryJob(request)


async def test_running_task_is_told_of_its_products_listings(shop: Shop) -> None:
    """A task hears which version each listing shows and what was noted; of other products it hears nothing."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    other_id = await shop.stubs.create_product(shop.tenant_id)
    first = seen("r1", url="https://market.example/r1")
    first.notes.update({"offerId": "7", "fields": {"title": "abc"}})
    await run_job(shop, connector, "publish", product_id, listing=first)
    await run_job(shop, connector, "publish", other_id, listing=seen("r2"))
    await shop.create_job(product_id, action="update")
    command, granted = await connector.receive_and_start()
    (listing,) = await told(connector, command, granted.lease_token)
    version = granted.assignment.product.product.version
    assert (listing.remote_id, listing.url, listing.product_version) == ("r1", first.url, version)
    assert (listing.state, listing.notes) == (listing_pb2.LISTING_STATE_LIVE, first.notes)
    # A result without notes keeps them.
    await finish(connector, command, granted.lease_token, listing=seen("r1"))
    await shop.create_job(product_id, action="update")
    command, granted = await connector.receive_and_start()
    (listing,) = await told(connector, command, granted.lease_token)
    assert listing.notes == first.notes


async def test_nothing_is_told_without_the_lease(shop: Shop) -> None:
    """Whoever does not hold the task's lease hears nothing."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await run_job(shop, connector, "publish", product_id, listing=seen("r1"))
    await shop.create_job(product_id, action="update")
    command, granted = await connector.receive_and_start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await told(connector, command, str(uuid.uuid4()))
    assert rich_error(caught.value).reason == "LEASE_REQUIRED"
    assert len(await told(connector, command, granted.lease_token)) == 1


async def test_retried_update_does_not_set_a_listing_back(shop: Shop) -> None:
    """A retried job that carries an older product hears of the newer version, and its result changes nothing."""
    connector = await open_market(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await run_job(shop, connector, "publish", product_id, listing=seen("r1"))
    older = await shop.create_job(product_id, action="update", max_retries=0)
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token)
    await shop.wait_for_end(older.job_id)
    await change_title(shop, product_id, "Newer")
    newer = await run_job(shop, connector, "update", product_id, listing=seen("r1", title="Newer"))
    await retry(shop, older.job_id)
    command, granted = await connector.receive_and_start()
    assert command.job_id == older.job_id
    carried = granted.assignment.product.product.version
    (listing,) = await told(connector, command, granted.lease_token)
    assert listing.product_version == carried + 1, newer
    await finish(connector, command, granted.lease_token, listing=seen("r1", title="Older"))
    await shop.wait_for_end(older.job_id)
    (found,) = await listings(shop)
    assert (found.title, found.product_version) == ("Newer", carried + 1)


async def test_ending_counts_whatever_product_the_job_carried(shop: Shop) -> None:
    """A job that ends a listing with an older product than the listing shows ends it all the same."""
    connector = await open_market(shop, "publish", "update", "delete")
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await run_job(shop, connector, "publish", product_id, listing=seen("r1"))
    older = await shop.create_job(product_id, action="delete", max_retries=0)
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token)
    await shop.wait_for_end(older.job_id)
    await change_title(shop, product_id, "Newer")
    await run_job(shop, connector, "update", product_id, listing=seen("r1"))
    await retry(shop, older.job_id)
    command, granted = await connector.receive_and_start()
    await finish(connector, command, granted.lease_token, listing=seen("r1", state=ENDED))
    await shop.wait_for_end(older.job_id)
    (found,) = await listings(shop)
    version = granted.assignment.product.product.version
    assert (found.state, found.product_version) == (ENDED, version + 1)
