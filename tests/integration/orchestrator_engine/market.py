"""A marketplace that publishes, updates and syncs, for the tests of listings and orders."""

from __future__ import annotations

import uuid
from typing import Any

from stoflow.catalog.v1 import listing_pb2, listing_service_pb2, product_pb2, product_service_pb2
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, manifest, step


async def open_market(shop: Shop, *actions: str, slots: int = 8) -> Connector:
    """Opens the shop with a connector whose actions have one step each; only syncs take no product."""
    content = manifest(shop.marketplace, step("only"))
    (template,) = content.actions
    del content.actions[:]
    for action in actions or ("publish", "update", "sync"):
        spec = content.actions.add()
        spec.CopyFrom(template)
        spec.name = action
        spec.requires_product = not action.startswith("sync")
    connector = await shop.add_connector(content, slots)
    shop.tenant_id = await shop.stubs.create_tenant()
    shop.account_id = await shop.stubs.create_account(shop.tenant_id, shop.marketplace)
    return connector


def seen(remote_id: str, **values: Any) -> task_pb2.ListingChange:
    """What a task says of a listing."""
    return task_pb2.ListingChange(
        **{"remote_id": remote_id, "state": listing_pb2.LISTING_STATE_LIVE, **values}
    )


async def run_job(
    shop: Shop, connector: Connector, action: str, product_id: str = "", **success: Any
) -> job_pb2.Job:
    """Creates a job and reports the success of its one task."""
    job = await shop.create_job(product_id, action=action)
    command, granted = await connector.receive_and_start()
    assert command.job_id == job.job_id
    await finish(connector, command, granted.lease_token, **success)
    return await shop.wait_for_end(job.job_id)


async def finish(connector: Connector, command: task_pb2.TaskCommand, token: str, **success: Any) -> None:
    """Reports a success, with everything that a success can say."""
    await connector.report(
        task_pb2.TaskReport(
            tenant_id=command.tenant_id,
            job_id=command.job_id,
            task_id=command.task_id,
            lease_token=token,
            success=task_pb2.TaskSuccess(**success),
        )
    )


async def listings(shop: Shop, **wanted: Any) -> list[listing_pb2.Listing]:
    """Returns the tenant's listings."""
    request = listing_service_pb2.ListListingsRequest(**{"tenant_id": shop.tenant_id, **wanted})
    return list((await shop.stubs.listings.ListListings(request)).listings)


async def follow(shop: Shop, is_automatic: bool = True, seconds: int = 1) -> None:
    """Sets whether the account's listings follow their products."""
    request = listing_service_pb2.SetUpdatePolicyRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        is_automatic=is_automatic,
    )
    request.quiet_period.FromSeconds(seconds)
    await shop.stubs.listings.SetUpdatePolicy(request)


async def change_title(shop: Shop, product_id: str, title: str) -> None:
    """Changes a product."""
    read = product_service_pb2.GetProductRequest(tenant_id=shop.tenant_id, product_id=product_id)
    product = (await shop.stubs.products.GetProduct(read)).product
    request = product_service_pb2.UpdateProductRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        product_id=product_id,
        etag=product.etag,
        content=product_pb2.ProductContent(title=title),
    )
    request.update_mask.paths.append("title")
    await shop.stubs.products.UpdateProduct(request)
