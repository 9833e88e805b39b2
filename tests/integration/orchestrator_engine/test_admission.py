"""Who gets a slot, and when."""

from __future__ import annotations

import asyncio
import uuid

import nats.errors
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import step


async def test_no_more_jobs_are_admitted_than_connectors_have_slots(shop: Shop) -> None:
    """With three slots, one of them kept for CRITICAL, the third job waits until one of the first two has ended."""
    connector = await shop.open(step("only"), slots=3)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(3)]
    for product_id in products:
        await shop.create_job(product_id)
    held = [await connector.receive_and_start() for _ in range(2)]
    with pytest.raises(nats.errors.TimeoutError):
        await connector.receive(timeout_seconds=0.5)
    command, granted = held[0]
    await connector.succeed(command, granted.lease_token)
    assert (await connector.receive()).job_id not in {command.job_id for command, _ in held}


async def test_higher_priority_goes_first_and_older_before_newer(shop: Shop) -> None:
    """A waiting CRITICAL job gets the next slot, then jobs of equal priority by age."""
    connector = await shop.open(step("only"), slots=1)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(4)]
    holder = await shop.create_job(products[0])
    command, granted = await connector.receive_and_start()
    assert command.job_id == holder.job_id
    older = await shop.create_job(products[1])
    newer = await shop.create_job(products[2])
    critical = await shop.create_job(products[3], priority=job_pb2.PRIORITY_CRITICAL)
    order = []
    for _ in range(3):
        await connector.succeed(command, granted.lease_token)
        command, granted = await connector.receive_and_start()
        order.append(command.job_id)
    assert order == [critical.job_id, older.job_id, newer.job_id]


async def test_jobs_on_one_product_run_one_after_the_other_in_creation_order(shop: Shop) -> None:
    """Two actions on the same product are never admitted together, even while the first waits for a retry."""
    content = (await shop.open(step("only"), slots=4)).manifest
    other = content.__class__()
    other.CopyFrom(content)
    other.version = "2"
    delete = other.actions.add()
    delete.CopyFrom(content.actions[0])
    delete.name = "delete"
    connector = shop.connectors[0]
    connector.manifest = other
    await connector.register()
    product_id = await shop.stubs.create_product(shop.tenant_id)
    publish = await shop.create_job(product_id)
    delete_job = await shop.create_job(product_id, action="delete")
    order = []
    command, granted = await connector.receive_and_start()
    order.append(command.job_id)
    await connector.fail(command, granted.lease_token, retry_after_seconds=1)
    for _ in range(2):
        command, granted = await connector.receive_and_start()
        order.append(command.job_id)
        await connector.succeed(command, granted.lease_token)
    assert order == [publish.job_id, publish.job_id, delete_job.job_id]


async def test_delayed_job_starts_no_earlier_than_asked(shop: Shop) -> None:
    """not_before_time holds the job back, and it starts soon after."""
    connector = await shop.open(step("only"))
    start = Timestamp()
    start.GetCurrentTime()
    start.seconds += 2
    await shop.create_job(not_before_time=start)
    with pytest.raises(nats.errors.TimeoutError):
        await connector.receive(timeout_seconds=1)
    await connector.receive(timeout_seconds=4)


async def test_job_without_a_live_connector_waits_and_says_so(shop: Shop) -> None:
    """When the only connector leaves after admission the job waits as CONNECTOR_UNAVAILABLE, then goes on."""
    connector = await shop.open(step("only"))
    job = await shop.create_job()
    await connector.receive()
    await shop.stubs.connector.ReleaseTasks(
        rpc.ReleaseTasksRequest(instance_id=connector.instance_id, deregister=True)
    )
    for _ in range(60):
        waiting = await shop.get_job(job.job_id)
        if waiting.wait_reason == job_pb2.WAIT_REASON_CONNECTOR_UNAVAILABLE:
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail("the job never said that it waits for a connector")
    connector.instance_id = str(uuid.uuid4())
    await connector.register()
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    assert (await shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED


async def test_manifest_plans_once_every_live_instance_supports_it(shop: Shop) -> None:
    """While an older replica lives, new jobs are planned by the version that both can run."""
    old = await shop.open(step("only"))
    newer = old.manifest.__class__()
    newer.CopyFrom(old.manifest)
    newer.version = "2"
    await shop.add_connector(newer, supported_versions=("1",))
    assert (await shop.create_job(await shop.stubs.create_product(shop.tenant_id))).manifest_version == "1"
    await shop.stubs.connector.ReleaseTasks(
        rpc.ReleaseTasksRequest(instance_id=old.instance_id, deregister=True)
    )
    await asyncio.sleep(1.2)
    assert (await shop.create_job(await shop.stubs.create_product(shop.tenant_id))).manifest_version == "2"


async def test_job_of_a_version_that_nobody_runs_gives_its_slot_back_and_waits(shop: Shop) -> None:
    """The job frees its slot for others, and goes on once a connector registers that supports its version."""
    connector = await shop.open(step("only"), slots=1)
    stranded = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    await connector.receive()
    newer = connector.manifest.__class__()
    newer.CopyFrom(connector.manifest)
    newer.version = "2"
    connector.manifest = newer
    await connector.register()
    other = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    while (command := await connector.receive()).job_id != other.job_id:
        assert (await connector.start(command)).decision == rpc.START_DECISION_UNAVAILABLE
    granted = await connector.start(command)
    await connector.succeed(command, granted.lease_token)
    waiting = await shop.get_job(stranded.job_id)
    assert waiting.wait_reason == job_pb2.WAIT_REASON_CONNECTOR_UNAVAILABLE
    connector.supported_versions = ("1",)
    await connector.register()
    command, granted = await connector.receive_and_start()
    assert command.job_id == stranded.job_id
    await connector.succeed(command, granted.lease_token)
    assert (await shop.wait_for_end(stranded.job_id)).state == job_pb2.JOB_STATE_COMPLETED


async def test_duplicates_without_a_product_run_one_after_the_other(shop: Shop) -> None:
    """A job that was allowed beside another of the same account, action and site waits for its end."""
    connector = await shop.open(step("only"), slots=4)
    first = await shop.create_job()
    second = await shop.create_job(allow_duplicate=True)
    third = await shop.create_job(allow_duplicate=True)
    for job in (first, second, third):
        command, granted = await connector.receive_and_start()
        assert command.job_id == job.job_id
        with pytest.raises(nats.errors.TimeoutError):
            await connector.receive(timeout_seconds=0.6)
        await connector.succeed(command, granted.lease_token)


async def test_jobs_without_a_product_and_of_other_sites_run_at_once(shop: Shop) -> None:
    """Only jobs for the same thing wait for one another."""
    connector = await shop.open(step("only"), slots=4)
    shop.account_id = await shop.stubs.create_account(shop.tenant_id, shop.marketplace, sites=("DE", "FR"))
    jobs = {(await shop.create_job(site=site)).job_id for site in ("DE", "FR")}
    assert {(await connector.receive()).job_id for _ in jobs} == jobs
