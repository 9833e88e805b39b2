"""The whole connector, its runtime included, from a job to a listing; the orchestrator is the SDK's double."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from stoflow.catalog.v1 import order_pb2
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import task_pb2

from stoflow_connector_sdk.testing import InMemoryOrchestrator, JobRecord, run_against
from tests.contract.connector_etsy.selling import Selling

ACCOUNT = "0192f0c3-0000-7000-8000-000000000009"
OTHER_ACCOUNT = "0192f0c3-0000-7000-8000-00000000000a"


@pytest.fixture
async def orchestrator(selling: Selling) -> AsyncIterator[InMemoryOrchestrator]:
    """A double that knows the seller's account, whose access token has ended."""
    async with InMemoryOrchestrator(lease_seconds=5, heartbeat_seconds=0.2) as orchestrator:
        orchestrator.add_account(
            ACCOUNT, access_token="", refresh_token=selling.shop.refresh_token or "", expires_in_seconds=-1
        )
        async with run_against(orchestrator, selling.definition):
            yield orchestrator


def submit(orchestrator: InMemoryOrchestrator, selling: Selling, action: str, **fields: Any) -> JobRecord:
    product = task_pb2.ProductSnapshot(product=selling.product, mappings={"category": selling.category})
    values: dict[str, Any] = {"account_id": ACCOUNT, "account_settings": selling.account_settings}
    return orchestrator.submit(
        selling.definition.manifest(),
        action,
        product=None if action.startswith("sync") else product,
        **{**values, **fields},
    )


async def test_article_is_listed_sold_read_and_ended(
    selling: Selling, orchestrator: InMemoryOrchestrator
) -> None:
    """Publish, update, both syncs and delete run through the runtime, one after the other."""
    published = await orchestrator.wait_for(submit(orchestrator, selling, "publish"), 30)
    assert published.state == "COMPLETED"
    listing_id = published.task("activate").accepted[0].success.remote_id
    selling.change(stock_quantity=3)
    updated = await orchestrator.wait_for(submit(orchestrator, selling, "update"), 30)
    assert updated.state == "COMPLETED"
    selling.control.buy(selling.shop.username, {"listing_id": int(listing_id), "quantity": 1})
    orders = await orchestrator.wait_for(submit(orchestrator, selling, "sync_orders"), 30)
    assert orders.state == "COMPLETED"
    reported = {
        (order.remote_id, order.state)
        for task in orders.tasks
        for report in task.accepted
        for order in report.success.orders
    }
    assert [state for _, state in reported] == [order_pb2.ORDER_STATE_PAID]
    listings = await orchestrator.wait_for(submit(orchestrator, selling, "sync_listings"), 30)
    assert listings.state == "COMPLETED"
    deleted = await orchestrator.wait_for(submit(orchestrator, selling, "delete"), 30)
    assert deleted.state == "COMPLETED"
    assert selling.only("inactive")["quantity"] == 2
    assert orchestrator.vault.grants == 1


async def test_lost_draft_is_probed_by_the_next_attempt(
    selling: Selling, orchestrator: InMemoryOrchestrator
) -> None:
    """After a draft whose answer never came the next attempt finds it, and one listing goes live."""
    selling.fault("timeout_after_effect", "POST", "/shops/*/listings")
    job = await orchestrator.wait_for(submit(orchestrator, selling, "publish"), 30)
    assert job.state == "COMPLETED"
    task = job.task("create_draft")
    assert task.modes == ["EXECUTE", "PROBE"]
    assert task.accepted[0].failure.effect_outcome == failure_pb2.EFFECT_OUTCOME_UNKNOWN
    assert selling.only()["digests"] == selling.digests()


async def test_revoked_grant_stops_that_account_alone(
    selling: Selling, orchestrator: InMemoryOrchestrator
) -> None:
    """A withdrawn consent marks its account for reconnecting; another seller's job goes on."""
    shop = selling.shop
    other = selling.control.seed_shop(
        f"{shop.username}-b", client_id=shop.client_id, client_secret=shop.client_secret
    )
    orchestrator.add_account(
        OTHER_ACCOUNT, access_token="", refresh_token=other.refresh_token or "", expires_in_seconds=-1
    )
    selling.control.revoke(shop.username)
    stopped = submit(orchestrator, selling, "publish")
    await orchestrator.wait_for(stopped, 30)
    selling.shop = other
    job = submit(
        orchestrator, selling, "publish", account_id=OTHER_ACCOUNT, account_settings=selling.account_settings
    )
    assert (await orchestrator.wait_for(job, 30)).state == "COMPLETED"
    assert stopped.state == "WAITING"
    accounts = orchestrator.vault.accounts
    assert accounts[ACCOUNT].is_reconnect_required
    assert not accounts[OTHER_ACCOUNT].is_reconnect_required
    failure = stopped.task("preflight").accepted[0].failure
    assert failure.error_class == failure_pb2.ERROR_CLASS_AUTH_REQUIRED


async def test_both_tokens_are_saved_before_either_is_used(
    selling: Selling, orchestrator: InMemoryOrchestrator
) -> None:
    """Many tasks at once refresh once, and the rotated refresh token is the stored one."""
    jobs = [submit(orchestrator, selling, "sync_listings") for _ in range(6)]
    for job in jobs:
        assert (await orchestrator.wait_for(job, 30)).state == "COMPLETED"
    assert orchestrator.vault.grants == 1
    saved = orchestrator.vault.accounts[ACCOUNT]
    grants = selling.control.call("GET", f"sellers/{selling.shop.username}")
    assert saved.refresh_token == grants["refresh_token"]
    assert saved.refresh_token != selling.shop.refresh_token
