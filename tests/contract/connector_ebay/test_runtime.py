"""The whole connector, its runtime included, from a job to a listing; the orchestrator is the SDK's double."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import task_pb2

from stoflow_connector_sdk.testing import InMemoryOrchestrator, JobRecord, run_against
from tests.contract.connector_ebay.publishing import Publishing
from tests.contract.connector_ebay.test_publish import errors
from tests.unit.stoflow_connector_ebay.samples import MAPPINGS

ACCOUNT = "0192f0c3-0000-7000-8000-000000000009"
INVENTORY = "/sell/inventory/v1"


@pytest.fixture
async def orchestrator(publishing: Publishing) -> AsyncIterator[InMemoryOrchestrator]:
    """A double that knows the seller's account, whose access token has ended."""
    async with InMemoryOrchestrator(lease_seconds=5, heartbeat_seconds=0.2) as orchestrator:
        orchestrator.add_account(
            ACCOUNT,
            access_token="",
            refresh_token=publishing.seller.refresh_token,
            expires_in_seconds=-1,
        )
        async with run_against(orchestrator, publishing.definition):
            yield orchestrator


def submit(orchestrator: InMemoryOrchestrator, publishing: Publishing) -> JobRecord:
    return orchestrator.submit(
        publishing.definition.manifest(),
        "publish",
        account_id=ACCOUNT,
        site="EBAY_US",
        account_settings={"EBAY_US": publishing.site_settings},
        product=task_pb2.ProductSnapshot(product=publishing.product, mappings=MAPPINGS),
    )


async def test_job_becomes_a_listing(publishing: Publishing, orchestrator: InMemoryOrchestrator) -> None:
    """A job runs all its steps, refreshes the token once, and reports the listing that eBay shows."""
    job = await orchestrator.wait_for(submit(orchestrator, publishing))
    assert job.state == "COMPLETED"
    reported = job.task("publish_offer").accepted[0].success.listing
    assert publishing.control.listing(reported.remote_id)["status"] == "ACTIVE"
    assert (reported.price.currency_code, reported.price.amount_minor) == ("USD", 1999)
    assert orchestrator.vault.grants == 1
    assert publishing.created() == (1, 1)


async def test_second_job_adopts_the_listing_of_the_first(
    publishing: Publishing, orchestrator: InMemoryOrchestrator
) -> None:
    """Publishing the same product again probes, adopts offer and listing, and brings the new price."""
    first = await orchestrator.wait_for(submit(orchestrator, publishing))
    publishing.product.content.price.amount_minor = 2100
    second = await orchestrator.wait_for(submit(orchestrator, publishing))
    assert (first.state, second.state) == ("COMPLETED", "COMPLETED")
    assert second.task("publish_offer").modes == ["PROBE"]
    listing = second.task("publish_offer").accepted[0].success.remote_id
    assert listing == first.task("publish_offer").accepted[0].success.remote_id
    assert publishing.control.listing(listing)["price"]["value"] == "21.00"
    assert publishing.created() == (1, 1)


@pytest.mark.parametrize(
    ("step", "path"),
    [("create_offer", f"{INVENTORY}/offer"), ("publish_offer", f"{INVENTORY}/offer/*/publish")],
)
async def test_lost_answer_is_probed_by_the_next_attempt(
    publishing: Publishing, orchestrator: InMemoryOrchestrator, step: str, path: str
) -> None:
    """After an answer that never came the next attempt probes, finds the effect, and the job completes."""
    publishing.fault("timeout_after_effect", "POST", path)
    job = await orchestrator.wait_for(submit(orchestrator, publishing))
    assert job.state == "COMPLETED"
    task = job.task(step)
    assert task.modes == ["EXECUTE", "PROBE"]
    assert task.accepted[0].failure.effect_outcome == failure_pb2.EFFECT_OUTCOME_UNKNOWN
    assert publishing.created() == (1, 1)


async def test_withdrawn_consent_makes_the_job_wait(
    publishing: Publishing, orchestrator: InMemoryOrchestrator
) -> None:
    """invalid_grant marks the account for reconnecting, and the job waits in place of failing."""
    publishing.control.revoke(publishing.seller.username)
    job = await orchestrator.wait_for(submit(orchestrator, publishing))
    assert job.state == "WAITING"
    assert orchestrator.vault.accounts[ACCOUNT].is_reconnect_required
    failure = job.task("preflight").accepted[0].failure
    assert failure.error_class == failure_pb2.ERROR_CLASS_AUTH_REQUIRED


async def test_refusal_fails_the_job_with_its_violations(
    publishing: Publishing, orchestrator: InMemoryOrchestrator
) -> None:
    """What eBay refuses for good fails the job at once, with the fields to correct."""
    refused = errors(25003)
    publishing.fault("status", "POST", f"{INVENTORY}/offer/*/publish", status=400, content=refused)
    job = await orchestrator.wait_for(submit(orchestrator, publishing))
    assert job.state == "FAILED"
    [report] = job.task("publish_offer").accepted
    assert [one.field for one in report.failure.violations] == ["product.content.price"]
    assert report.failure.raw_body
