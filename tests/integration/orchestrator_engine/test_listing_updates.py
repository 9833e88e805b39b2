"""Listings follow their products: stale at once, and one job after the product has rested, whoever dies."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stoflow.catalog.v1 import listing_pb2, listing_service_pb2, product_service_pb2
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector
from tests.integration.orchestrator_engine.market import (
    change_title,
    finish,
    follow,
    listings,
    open_market,
    run_job,
    seen,
)
from tests.support.orchestrator import OrchestratorProcess, Stubs, start_orchestrator

WAIT_SECONDS = 15.0
# Longer than an update may take to become due, to be claimed and to be created.
LONG_ENOUGH_SECONDS = 4.0


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.1)


async def update_jobs(shop: Shop) -> list[job_pb2.Job]:
    request = job_service_pb2.ListJobsRequest(tenant_id=shop.tenant_id, page_size=1000)
    jobs = (await shop.stubs.jobs.ListJobs(request)).jobs
    return [job for job in jobs if job.action == "update"]


async def publish(shop: Shop, connector: Connector, remote_id: str = "r1", **content: Any) -> str:
    product_id = await shop.stubs.create_product(shop.tenant_id, **content)
    await run_job(shop, connector, "publish", product_id, listing=seen(remote_id))
    return product_id


async def planned(shop: Shop) -> list[tuple[object, ...]]:
    return await shop.query(
        "SELECT product_id::text, problem FROM public.due_listing_updates WHERE account_id = %s",
        shop.account_id,
    )


async def test_change_makes_live_listings_stale(shop: Shop) -> None:
    """A changed product's live listing is stale, an ended one is not; without being asked no job is made."""
    connector = await open_market(shop)
    product_id = await publish(shop, connector)
    ended = seen("r0", state=listing_pb2.LISTING_STATE_ENDED)
    await run_job(shop, connector, "publish", product_id, listing=ended)
    assert await listings(shop, only_stale=True) == []
    await change_title(shop, product_id, "Other")
    (stale,) = await listings(shop, only_stale=True)
    assert (stale.remote_id, stale.is_stale, stale.HasField("update_due_time")) == ("r1", True, False)
    assert await planned(shop) == []
    await run_job(shop, connector, "update", product_id, listing=seen("r1"))
    assert await listings(shop, only_stale=True) == []


async def test_many_changes_make_one_job(shop: Shop) -> None:
    """Changes within the quiet period make one update job, which carries the last of them."""
    connector = await open_market(shop)
    await follow(shop)
    product_id = await publish(shop, connector)
    for number in range(5):
        await change_title(shop, product_id, f"Title {number}")
        await asyncio.sleep(0.3)
    (stale,) = await listings(shop, only_stale=True)
    assert stale.HasField("update_due_time")
    assert await update_jobs(shop) == []
    command, granted = await connector.receive_and_start()
    assert granted.assignment.action == "update"
    assert granted.assignment.product.product.content.title == "Title 4"
    await finish(connector, command, granted.lease_token, listing=seen("r1"))
    await shop.wait_for_end(command.job_id)
    assert await listings(shop, only_stale=True) == []

    # The result itself has planned a look, which finds nothing to do.
    async def is_forgotten() -> bool:
        return await planned(shop) == []

    await until(is_forgotten)
    await asyncio.sleep(LONG_ENOUGH_SECONDS)
    assert len(await update_jobs(shop)) == 1


async def test_change_during_an_update_makes_another(shop: Shop) -> None:
    """A change while the update's job runs is not lost: another job follows when that one has ended."""
    connector = await open_market(shop)
    await follow(shop)
    product_id = await publish(shop, connector)
    await change_title(shop, product_id, "First")
    command, granted = await connector.receive_and_start()
    await change_title(shop, product_id, "Second")
    # Longer than the quiet period; the lease is kept.
    for _ in range(12):
        await connector.heartbeat((command, granted.lease_token))
        await asyncio.sleep(0.2)
    assert len(await update_jobs(shop)) == 1
    await finish(connector, command, granted.lease_token, listing=seen("r1"))
    command, granted = await connector.receive_and_start()
    assert granted.assignment.product.product.content.title == "Second"
    await finish(connector, command, granted.lease_token, listing=seen("r1"))
    await shop.wait_for_end(command.job_id)
    assert await listings(shop, only_stale=True) == []


async def test_change_during_the_publish_is_found_by_its_result(shop: Shop) -> None:
    """A product that changed while it was published leaves the new listing stale, and an update follows."""
    connector = await open_market(shop)
    await follow(shop)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    await shop.create_job(product_id, action="publish")
    command, granted = await connector.receive_and_start()
    await change_title(shop, product_id, "Changed meanwhile")
    assert await planned(shop) == []
    await finish(connector, command, granted.lease_token, listing=seen("r1"))
    command, granted = await connector.receive_and_start()
    assert granted.assignment.action == "update"
    assert granted.assignment.product.product.content.title == "Changed meanwhile"


async def test_no_change_slips_between_result_and_plan(shop: Shop) -> None:
    """However changes of products and results of their publishing meet: every listing that is stale is planned."""
    connector = await open_market(shop, slots=20)
    await follow(shop, seconds=600)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(20)]
    calls: list[Awaitable[None]] = []
    for product_id in products:
        await shop.create_job(product_id, action="publish")
    while len(await listings(shop)) < len(products):
        command, granted = await connector.receive_and_start()
        # On a slow machine commands are rung again, and the older ones are worth nothing.
        if granted.decision != rpc.START_DECISION_GRANTED:
            continue
        product_id = granted.assignment.product.product.product_id
        remote_id = f"r{products.index(product_id)}"
        calls += [
            finish(connector, command, granted.lease_token, listing=seen(remote_id)),
            change_title(shop, product_id, f"Changed {uuid.uuid4()}"),
        ]
        # Their leases are short.
        if len(calls) == 8:
            await asyncio.gather(*calls)
            calls.clear()
    await asyncio.gather(*calls)
    stale = {found.product_id for found in await listings(shop, only_stale=True)}
    assert stale == set(products)
    assert {product_id for product_id, _ in await planned(shop)} == stale


async def test_plan_carried_out_twice_makes_one_job(shop: Shop) -> None:
    """Who dies between making the job and forgetting the plan leaves a plan that makes no second job."""
    connector = await open_market(shop)
    await follow(shop)
    product_id = await publish(shop, connector)
    await change_title(shop, product_id, "Other")
    (plan,) = await shop.query(
        "SELECT account_id, product_id, site, tenant_id, update_id FROM public.due_listing_updates"
        " WHERE account_id = %s",
        shop.account_id,
    )
    command, granted = await connector.receive_and_start()

    async def leave_plan_again() -> None:
        await shop.query(
            "INSERT INTO public.due_listing_updates (account_id, product_id, site, tenant_id, update_id, first_time,"
            " due_time, problem) VALUES (%s, %s, %s, %s, %s, now(), now(), '') RETURNING 1",
            *plan,
        )

    async def is_forgotten() -> bool:
        return await planned(shop) == []

    # Its job is still live, and the listing stale.
    await until(is_forgotten)
    await leave_plan_again()
    await until(is_forgotten)
    await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_PERMANENT)
    await shop.wait_for_end(command.job_id)
    await shop.wait_until_archived(command.job_id)
    # And when it has failed, the listing still stale.
    await leave_plan_again()
    await until(is_forgotten)
    assert [job.job_id for job in await update_jobs(shop)] == [command.job_id]


async def test_problem_is_shown_until_the_next_change(shop: Shop) -> None:
    """An update that no job can be made for says why; the product's next change tries again."""
    connector = await open_market(shop, "publish")
    await follow(shop)
    product_id = await publish(shop, connector)
    await change_title(shop, product_id, "Other")

    async def has_problem() -> bool:
        (found,) = await listings(shop)
        return "no action 'update'" in found.update_problem and not found.HasField("update_due_time")

    await until(has_problem)
    await change_title(shop, product_id, "Again")
    (found,) = await listings(shop)
    assert (found.update_problem, found.HasField("update_due_time"), found.is_stale) == ("", True, True)
    await until(has_problem)
    # Brought up to date by hand: the problem is one no more.
    await run_job(shop, connector, "publish", product_id, listing=seen("r1"))
    (found,) = await listings(shop)
    assert (found.update_problem, found.is_stale) == ("", False)
    await shop.stubs.products.DeleteProduct(
        product_service_pb2.DeleteProductRequest(
            request_id=str(uuid.uuid4()), tenant_id=shop.tenant_id, product_id=product_id, force=True
        )
    )
    assert await planned(shop) == []


async def test_policy_plans_and_drops(shop: Shop) -> None:
    """Switching it on plans what is stale already; switching it off drops what is planned."""
    connector = await open_market(shop)
    product_id = await publish(shop, connector)
    await publish(shop, connector, "r2")
    await change_title(shop, product_id, "Other")
    await follow(shop, seconds=600)
    read = listing_service_pb2.GetUpdatePolicyRequest(tenant_id=shop.tenant_id, account_id=shop.account_id)
    policy = (await shop.stubs.listings.GetUpdatePolicy(read)).policy
    assert (policy.is_automatic, policy.quiet_period.seconds) == (True, 600)
    assert await planned(shop) == [(product_id, "")]
    await follow(shop, is_automatic=False)
    policy = (await shop.stubs.listings.GetUpdatePolicy(read)).policy
    assert (policy.is_automatic, policy.HasField("quiet_period")) == (False, False)
    assert await planned(shop) == []
    await change_title(shop, product_id, "Another")
    assert await planned(shop) == []


async def test_product_that_never_rests_is_updated(shop: Shop) -> None:
    """Changes put an update off by ten quiet periods at most."""
    connector = await open_market(shop)
    await follow(shop, seconds=60)
    product_id = await publish(shop, connector)
    await change_title(shop, product_id, "Other")
    await shop.query(
        "UPDATE public.due_listing_updates SET first_time = now() - interval '595 seconds' WHERE account_id = %s"
        " RETURNING 1",
        shop.account_id,
    )
    await change_title(shop, product_id, "Again")
    ((seconds,),) = await shop.query(
        "SELECT extract(epoch FROM due_time - now())::float8 FROM public.due_listing_updates WHERE account_id = %s",
        shop.account_id,
    )
    assert isinstance(seconds, float)
    assert 0 < seconds < 6


async def test_unlinked_listing_is_not_updated(shop: Shop) -> None:
    """A listing that was unlinked before its update was due gets no job."""
    connector = await open_market(shop)
    await follow(shop)
    product_id = await publish(shop, connector)
    await change_title(shop, product_id, "Other")
    (found,) = await listings(shop)
    await shop.stubs.listings.UnlinkListing(
        listing_service_pb2.UnlinkListingRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=shop.tenant_id,
            listing_id=found.listing_id,
            product_id=product_id,
        )
    )

    async def is_forgotten() -> bool:
        return await planned(shop) == []

    await until(is_forgotten)
    assert await update_jobs(shop) == []


@pytest.fixture
def start_one(
    postgres_server: PostgresServer, nats_server: NatsServer, tmp_path: Path
) -> Iterator[Callable[[str], OrchestratorProcess]]:
    """Starts orchestrators on one database, for tests that kill some."""
    url = postgres_server.create_database(f"updates_{uuid.uuid4().hex}")
    with Supervisor(tmp_path / "services") as supervisor:
        yield lambda name: start_orchestrator(supervisor, url, nats_server.url, tmp_path, name=name)


@pytest.fixture
async def closing() -> AsyncIterator[list[Any]]:
    """Closes what a test opens."""
    opened: list[Any] = []
    yield opened
    for one in reversed(opened):
        await one.close()


async def test_planned_update_survives_a_kill(
    start_one: Callable[[str], OrchestratorProcess], closing: list[Any]
) -> None:
    """An orchestrator that is killed before the update is due leaves it to the next, which makes one job."""
    first = start_one("first")
    shop = Shop(first, Stubs(first.grpc_address))
    closing.append(shop.stubs)
    connector = await open_market(shop)
    closing.append(connector)
    await follow(shop, seconds=3)
    product_id = await publish(shop, connector)
    await change_title(shop, product_id, "Other")
    first.process.kill()
    second = start_one("second")
    shop.stubs = connector.stubs = Stubs(second.grpc_address)
    closing.append(shop.stubs)
    await connector.register()
    command, granted = await connector.receive_and_start()
    assert granted.assignment.product.product.content.title == "Other"
    await finish(connector, command, granted.lease_token, listing=seen("r1"))
    await shop.wait_for_end(command.job_id)
    await asyncio.sleep(LONG_ENOUGH_SECONDS)
    assert [job.job_id for job in await update_jobs(shop)] == [command.job_id]


async def test_orchestrators_side_by_side_make_one_job_each(
    start_one: Callable[[str], OrchestratorProcess], closing: list[Any]
) -> None:
    """Two orchestrators, one of them killed while updates become due: one job a listing, none missing, none twice."""
    first, second = start_one("first"), start_one("second")
    shop = Shop(second, Stubs(second.grpc_address))
    closing.append(shop.stubs)
    connector = await open_market(shop)
    closing.append(connector)
    await follow(shop)
    products = [await publish(shop, connector, f"r{number}") for number in range(30)]
    for product_id in products:
        await change_title(shop, product_id, "Other")

    async def some_are_made() -> bool:
        return len(await update_jobs(shop)) >= 5

    await until(some_are_made)
    first.process.kill()

    async def all_are_made() -> bool:
        return len({job.product_id for job in await update_jobs(shop)}) == len(products)

    await until(all_are_made)
    await asyncio.sleep(LONG_ENOUGH_SECONDS)
    assert sorted(job.product_id for job in await update_jobs(shop)) == sorted(products)
