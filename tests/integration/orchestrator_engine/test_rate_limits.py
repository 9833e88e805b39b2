"""A marketplace's limit holds back whom it is about until it is over, and burns no attempt."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from stoflow.admin.v1 import admin_service_pb2
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step
from tests.integration.orchestrator_engine.control import eventually, state_of
from tests.integration.orchestrator_engine.syncing import get_account

ACCOUNT = failure_pb2.RATE_LIMIT_SCOPE_ACCOUNT
MARKETPLACE = failure_pb2.RATE_LIMIT_SCOPE_MARKETPLACE
JOB = failure_pb2.RATE_LIMIT_SCOPE_UNSPECIFIED


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases long enough for a test to act within one, on a busy machine as well."""
    return {"LEASE_SECONDS": "20", "DISPATCH_TIMEOUT_SECONDS": "20"}


async def limit(
    shop: Shop, connector: Connector, scope: failure_pb2.RateLimitScope.ValueType, seconds: int
) -> str:
    """One job of the account meets the limit; returns the job."""
    job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    command, granted = await connector.receive_and_start()
    failure = failure_pb2.Failure(
        error_class=failure_pb2.ERROR_CLASS_RATE_LIMITED,
        effect_outcome=failure_pb2.EFFECT_OUTCOME_NOT_SENT,
        message="Slow down.",
        rate_limit_scope=scope,
    )
    failure.retry_after.FromSeconds(seconds)
    report = task_pb2.TaskReport(
        tenant_id=command.tenant_id,
        job_id=command.job_id,
        task_id=command.task_id,
        lease_token=granted.lease_token,
        failure=failure,
    )
    await connector.report(report)
    return job.job_id


async def is_admitted(shop: Shop, priority: job_pb2.Priority.ValueType = job_pb2.PRIORITY_NORMAL) -> bool:
    """Tells whether another job of the shop's account is admitted within two of the reaper's ticks."""
    product_id = await shop.stubs.create_product(shop.tenant_id)
    job = await shop.create_job(product_id, priority=priority)
    for _ in range(25):
        if state_of(await shop.get_job(job.job_id)) == "RUNNING":
            return True
        await asyncio.sleep(0.1)
    return False


async def another_account(shop: Shop) -> Shop:
    other = Shop(shop.orchestrator, shop.stubs, shop.marketplace, shop.tenant_id)
    other.account_id = await shop.stubs.create_account(shop.tenant_id, shop.marketplace)
    return other


async def marketplace_limit(shop: Shop) -> datetime | None:
    request = admin_service_pb2.ListQueuesRequest(marketplace=shop.marketplace)
    (found,) = (await shop.stubs.admin.ListQueues(request)).marketplaces
    return found.rate_limit_end_time.ToDatetime(UTC) if found.HasField("rate_limit_end_time") else None


async def test_limit_of_an_account_holds_back_its_other_jobs_alone(shop: Shop) -> None:
    """Other jobs of the account wait, its HIGH ones and those of other accounts do not, and the end is told."""
    connector = await shop.open(step("only"), requires_product=True, slots=20)
    other = await another_account(shop)
    limited = await limit(shop, connector, ACCOUNT, 600)
    job = await shop.get_job(limited)
    assert (state_of(job), job.wait_reason) == ("PENDING", job_pb2.WAIT_REASON_RATE_LIMITED)
    away = (await get_account(shop)).rate_limit_end_time.ToDatetime(UTC) - datetime.now(UTC)
    assert 590 < away.total_seconds() <= 600
    assert not await is_admitted(shop)
    assert await is_admitted(shop, job_pb2.PRIORITY_HIGH)
    assert await is_admitted(other)
    assert await marketplace_limit(shop) is None
    (burnt,) = await shop.query("SELECT sum(failure_count) FROM public.live_tasks WHERE job_id = %s", limited)
    assert burnt == (0,)


async def test_limit_of_the_application_holds_back_the_marketplace(shop: Shop) -> None:
    """Every account waits but for HIGH and CRITICAL jobs, and ListQueues says until when."""
    connector = await shop.open(step("only"), requires_product=True, slots=20)
    other = await another_account(shop)
    await limit(shop, connector, MARKETPLACE, 600)
    until = await marketplace_limit(shop)
    assert until is not None
    assert 590 < (until - datetime.now(UTC)).total_seconds() <= 600
    assert not await is_admitted(other)
    assert await is_admitted(other, job_pb2.PRIORITY_HIGH)
    assert await is_admitted(shop, job_pb2.PRIORITY_CRITICAL)
    assert not (await get_account(shop)).HasField("rate_limit_end_time")


async def test_jobs_go_on_when_the_limit_is_over(shop: Shop) -> None:
    """What was held back is admitted within about a second of the limit's end."""
    connector = await shop.open(step("only"), requires_product=True, slots=20)
    await limit(shop, connector, MARKETPLACE, 4)
    waiting = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    assert state_of(await shop.get_job(waiting.job_id)) == "PENDING"

    async def is_running() -> bool:
        return state_of(await shop.get_job(waiting.job_id)) == "RUNNING"

    await eventually(is_running, "the limit is over")
    assert await marketplace_limit(shop) is None


async def test_limit_of_a_job_holds_back_that_job_alone(shop: Shop) -> None:
    """Without a scope nobody else waits."""
    connector = await shop.open(step("only"), requires_product=True, slots=20)
    await limit(shop, connector, JOB, 600)
    assert await is_admitted(shop)
    assert not (await get_account(shop)).HasField("rate_limit_end_time")


async def test_operator_ends_a_limit(shop: Shop) -> None:
    """ResumeMarketplace lets the marketplace go on before the limit's end."""
    connector = await shop.open(step("only"), requires_product=True, slots=20)
    await limit(shop, connector, MARKETPLACE, 600)
    request = admin_service_pb2.ResumeMarketplaceRequest(
        request_id="0192f0c1-7a3e-7e57-9d0a-00000000abcd", marketplace=shop.marketplace
    )
    await shop.stubs.admin.ResumeMarketplace(request)
    assert await is_admitted(shop)
