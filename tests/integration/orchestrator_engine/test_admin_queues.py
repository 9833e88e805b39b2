"""What operators see of queues and connectors, and what their pauses, limits and drains do."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
import grpc.aio
import nats.errors
import pytest
from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.admin.v1 import admin_pb2
from stoflow.admin.v1 import admin_service_pb2 as rpc
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_service_kit.grpc_channel import rich_error
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import step


def new_id() -> str:
    return str(uuid.uuid4())


async def queues(shop: Shop) -> admin_pb2.MarketplaceQueues:
    response = await shop.stubs.admin.ListQueues(rpc.ListQueuesRequest(marketplace=shop.marketplace))
    (found,) = response.marketplaces
    return found


async def connectors(shop: Shop) -> list[admin_pb2.ConnectorInfo]:
    request = rpc.ListConnectorsRequest(marketplace=shop.marketplace)
    return list((await shop.stubs.admin.ListConnectors(request)).connectors)


async def reason(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = rich_error(caught.value)
    return error.code, error.reason


async def test_queues_tell_what_waits_runs_and_ended(shop: Shop) -> None:
    """Counts by priority and reason, slots with those that are kept, the oldest age and the last minute's ends."""
    connector = await shop.open(step("only"), slots=2)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(4)]
    ended = await shop.create_job(products[0])
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    await shop.wait_for_end(ended.job_id)
    retried = await shop.create_job(products[1])
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, retry_after_seconds=60)
    await shop.create_job(products[2])
    await connector.receive_and_start()
    await shop.create_job(products[3])
    seen = await queues(shop)
    assert (seen.slots, seen.reserved_slots, seen.running_count) == (2, 1, 1)
    assert [queue.priority for queue in seen.queues] == [1, 2, 3, 4]
    normal = seen.queues[2]
    waiting = {count.wait_reason: count.count for count in normal.waiting}
    assert waiting == {job_pb2.WAIT_REASON_UNSPECIFIED: 1, job_pb2.WAIT_REASON_RETRY_BACKOFF: 1}
    assert (normal.running_count, normal.ended_last_minute) == (1, 1)
    assert 0 < normal.oldest_age.ToTimedelta().total_seconds() < 30
    assert not seen.queues[0].HasField("oldest_age")
    assert (await shop.get_job(retried.job_id)).wait_reason == job_pb2.WAIT_REASON_RETRY_BACKOFF


async def test_connectors_are_listed_with_what_they_run(shop: Shop) -> None:
    """A live connector shows versions, slots and held leases; one that left is gone."""
    connector = await shop.open(step("only"), slots=3)
    await shop.create_job()
    await connector.receive_and_start()
    (info,) = await connectors(shop)
    assert (info.instance_id, info.slots, info.running_tasks) == (connector.instance_id, 3, 1)
    assert list(info.versions) == ["1"]
    assert not info.HasField("drain_time")
    await shop.stubs.connector.ReleaseTasks(
        connector_service_pb2.ReleaseTasksRequest(instance_id=connector.instance_id, deregister=True)
    )
    assert await connectors(shop) == []


async def test_drained_connector_gets_no_more_and_finishes_what_it_has(shop: Shop) -> None:
    """Its slots count no more, its starts are refused, its heartbeat says so, and its running task is accepted."""
    connector = await shop.open(step("only"), slots=3)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(3)]
    await shop.create_job(products[0])
    command, granted = await connector.receive_and_start()
    await shop.create_job(products[1])
    published = await connector.receive()
    request = rpc.DrainConnectorRequest(request_id=new_id(), instance_id=connector.instance_id)
    drained = (await shop.stubs.admin.DrainConnector(request)).connector
    assert drained.HasField("drain_time")
    refused = await connector.start(published)
    assert refused.decision == connector_service_pb2.START_DECISION_UNAVAILABLE
    assert (await connector.heartbeat((command, granted.lease_token))).must_drain
    assert (await queues(shop)).slots == 0
    waiting = await shop.create_job(products[2])
    accepted = await connector.succeed(command, granted.lease_token)
    assert accepted == connector_service_pb2.REPORT_DECISION_ACCEPTED
    await asyncio.sleep(1.5)
    assert (await shop.get_job(waiting.job_id)).state == job_pb2.JOB_STATE_PENDING
    again = (await shop.stubs.admin.DrainConnector(request)).connector
    assert again.drain_time == drained.drain_time
    await connector.register()
    assert (await connectors(shop))[0].HasField("drain_time")
    other = await shop.add_connector(connector.manifest)
    assert (await other.receive(timeout_seconds=10)).job_id in {published.job_id, waiting.job_id}


async def test_unknown_connector_is_not_drained(shop: Shop) -> None:
    """An instance that is not alive gives CONNECTOR_NOT_FOUND."""
    call = shop.stubs.admin.DrainConnector(
        rpc.DrainConnectorRequest(request_id=new_id(), instance_id=new_id())
    )
    assert await reason(call) == (grpc.StatusCode.NOT_FOUND, "CONNECTOR_NOT_FOUND")


async def test_paused_marketplace_admits_nothing_until_it_is_resumed(shop: Shop) -> None:
    """A running job goes on to its end, a new one waits, and starts right after the resumption."""
    connector = await shop.open(step("first"), step("second"), slots=3)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(2)]
    running = await shop.create_job(products[0])
    command, granted = await connector.receive_and_start()
    pause = rpc.PauseMarketplaceRequest(
        request_id=new_id(), marketplace=shop.marketplace, reason="maintenance"
    )
    gate = (await shop.stubs.admin.PauseMarketplace(pause)).gate
    assert gate.HasField("pause_time")
    assert (await shop.stubs.admin.PauseMarketplace(pause)).gate == gate
    assert (await queues(shop)).pause_reason == "maintenance"
    await shop.create_job(products[1])
    for _ in range(2):
        await connector.succeed(command, granted.lease_token)
        if command.job_id == running.job_id and (await shop.get_job(running.job_id)).finish_time.seconds:
            break
        command, granted = await connector.receive_and_start()
    assert (await shop.get_job(running.job_id)).state == job_pb2.JOB_STATE_COMPLETED
    with pytest.raises(nats.errors.TimeoutError):
        await connector.receive(timeout_seconds=1.5)
    resume = rpc.ResumeMarketplaceRequest(request_id=new_id(), marketplace=shop.marketplace)
    assert not (await shop.stubs.admin.ResumeMarketplace(resume)).gate.HasField("pause_time")
    await connector.receive(timeout_seconds=3)


async def test_paused_account_waits_apart_from_its_connection(shop: Shop) -> None:
    """The account stays connected while an operator holds its jobs back, and they start after the resumption."""
    connector = await shop.open(step("only"), slots=3)
    pause = rpc.PauseAccountRequest(
        request_id=new_id(), tenant_id=shop.tenant_id, account_id=shop.account_id, reason="fraud check"
    )
    gate = (await shop.stubs.admin.PauseAccount(pause)).gate
    assert gate.is_connected
    assert (gate.pause_reason, gate.HasField("pause_time")) == ("fraud check", True)
    await shop.create_job()
    with pytest.raises(nats.errors.TimeoutError):
        await connector.receive(timeout_seconds=1.5)
    resume = rpc.ResumeAccountRequest(
        request_id=new_id(), tenant_id=shop.tenant_id, account_id=shop.account_id
    )
    assert not (await shop.stubs.admin.ResumeAccount(resume)).gate.HasField("pause_time")
    await connector.receive(timeout_seconds=1)


async def test_limit_of_an_account_is_set_and_taken_away(shop: Shop) -> None:
    """With a limit of one its second job waits; without one it starts at once."""
    connector = await shop.open(step("only"), slots=4)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(2)]
    account = rpc.AccountRef(tenant_id=shop.tenant_id, account_id=shop.account_id)
    request = rpc.SetLimitsRequest(request_id=new_id(), account=account, max_admitted_jobs=1)
    assert (await shop.stubs.admin.SetLimits(request)).account.max_admitted_jobs == 1
    for product_id in products:
        await shop.create_job(product_id)
    await connector.receive()
    with pytest.raises(nats.errors.TimeoutError):
        await connector.receive(timeout_seconds=1.5)
    without = await shop.stubs.admin.SetLimits(rpc.SetLimitsRequest(request_id=new_id(), account=account))
    assert not without.account.HasField("max_admitted_jobs")
    await connector.receive(timeout_seconds=1)


async def test_limit_of_a_marketplace_shows_in_its_queues(shop: Shop) -> None:
    """A limit below the slots bounds what is admitted, the kept slots with it."""
    connector = await shop.open(step("only"), slots=30)
    request = rpc.SetLimitsRequest(request_id=new_id(), marketplace=shop.marketplace, max_admitted_jobs=2)
    assert (await shop.stubs.admin.SetLimits(request)).marketplace.max_admitted_jobs == 2
    for _ in range(3):
        await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    await connector.receive()
    with pytest.raises(nats.errors.TimeoutError):
        await connector.receive(timeout_seconds=1.5)
    seen = await queues(shop)
    assert (seen.max_admitted_jobs, seen.slots, seen.reserved_slots, seen.running_count) == (2, 30, 1, 1)


async def test_wrong_gates_are_refused_and_nothing_is_kept(shop: Shop) -> None:
    """Unknown marketplaces and accounts, other tenants' accounts, and reused request ids get their reasons."""
    await shop.open(step("only"))
    admin = shop.stubs.admin
    used = new_id()
    unknown = rpc.PauseMarketplaceRequest(request_id=used, marketplace="nowhere")
    assert await reason(admin.PauseMarketplace(unknown)) == (
        grpc.StatusCode.NOT_FOUND,
        "MARKETPLACE_NOT_FOUND",
    )
    foreign = rpc.PauseAccountRequest(
        request_id=new_id(), tenant_id=shop.tenant_id + 1, account_id=shop.account_id
    )
    assert await reason(admin.PauseAccount(foreign)) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
    # The refused call left no trace of its request_id.
    await admin.ResumeMarketplace(rpc.ResumeMarketplaceRequest(request_id=used, marketplace=shop.marketplace))
    reused = rpc.PauseMarketplaceRequest(request_id=used, marketplace=shop.marketplace)
    assert await reason(admin.PauseMarketplace(reused)) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )
    nothing = rpc.SetLimitsRequest(request_id=new_id(), max_admitted_jobs=1)
    assert (await reason(admin.SetLimits(nothing)))[0] == grpc.StatusCode.INVALID_ARGUMENT
    gates = await shop.query(
        "SELECT count(*) FROM public.marketplace_gates WHERE pause_time IS NOT NULL AND marketplace IN (%s, %s)",
        "nowhere",
        shop.marketplace,
    )
    assert gates == [(0,)]


async def test_reconnected_account_goes_on_at_once(shop: Shop) -> None:
    """A job that waits for the reconnection is dispatched within half a second of it."""
    connector = await shop.open(step("only"))
    await shop.create_job()
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_AUTH_REQUIRED)
    await asyncio.sleep(0.2)
    reconnect = account_service_pb2.ReconnectAccountRequest(
        request_id=new_id(),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        credentials=account_pb2.OAuthCredentials(refresh_token="new"),
    )
    await shop.stubs.accounts.ReconnectAccount(reconnect)
    await connector.receive(timeout_seconds=0.5)
