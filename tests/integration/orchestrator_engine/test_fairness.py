"""Slots between tenants, priorities and limits, on real tables: shares, and what a pass costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import nats.errors
import pytest
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.backlog import MARKET, Backlog, nodes, open_backlog
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import step


@pytest.fixture
async def backlog(database_url: str) -> AsyncIterator[Backlog]:
    async with open_backlog(database_url) as opened:
        yield opened


def rows_read(plan: dict[str, Any]) -> float:
    """Returns how many rows of tables a plan read, those that it threw away with them."""
    total: float = sum(
        node["Actual Loops"]
        * (
            node["Actual Rows"]
            + node.get("Rows Removed by Filter", 0)
            + node.get("Rows Removed by Index Recheck", 0)
        )
        for node in nodes(plan["Plan"])
        if "Relation Name" in node
    )
    return total


async def test_each_waiting_tenant_gets_its_share_of_the_freed_slots(backlog: Backlog) -> None:
    """Beside a tenant with a hundred times as many jobs, four others get as much as it."""
    await backlog.set_slots(11)
    await backlog.add_jobs(range(1, 2), 3_000)
    await backlog.admission.admit(MARKET, [1])
    await backlog.add_jobs(range(2, 6), 30)
    told = [2, 3, 4, 5]
    before = await backlog.admitted()
    for _ in range(25):
        await backlog.finish(4)
        await backlog.admission.admit(MARKET, told)
        told = []
    admitted = await backlog.admitted()
    shares = [admitted.get(tenant_id, 0) - before.get(tenant_id, 0) for tenant_id in range(1, 6)]
    assert sum(shares) == 100
    assert max(shares) - min(shares) <= 2


async def test_pass_reads_no_more_with_fifty_thousand_jobs_and_a_thousand_tenants(backlog: Backlog) -> None:
    """What the search of a pass reads depends on the slots: neither one tenant's backlog nor many tenants add to it."""
    await backlog.set_slots(20)
    await backlog.add_jobs(range(1, 2), 100)
    await backlog.admission.admit(MARKET, [1])
    small = await backlog.explain(1)
    await backlog.add_jobs(range(1, 2), 50_000)
    large = await backlog.explain(1)
    await backlog.add_jobs(range(2, 1_002), 2)
    for first in range(2, 1_002, 200):
        await backlog.admission.admit(MARKET, range(first, first + 200))
    await backlog.analyze()
    many = await backlog.explain(1)
    waiting = await backlog.execute("SELECT count(*) FROM public.admission_tenants WHERE is_waiting")
    assert waiting == [(1_001,)]
    for plan in (small, large, many):
        assert not [n for n in nodes(plan["Plan"]) if n["Node Type"] == "Seq Scan"]
    assert rows_read(large) <= rows_read(small) + 20
    # A few jobs of each of the tenants looked at, and the tenants themselves.
    assert rows_read(many) <= rows_read(small) + 150
    assert many["Plan"]["Shared Hit Blocks"] + many["Plan"]["Shared Read Blocks"] < 1_000


async def test_waiting_for_a_time_or_a_person_stands_in_nobodys_way(backlog: Backlog) -> None:
    """Twenty thousand jobs that wait for a retry are not read, and each is admitted once its time has come."""
    await backlog.set_slots(5)
    await backlog.add_jobs(range(1, 2), 20_000)
    await backlog.execute(
        "UPDATE public.live_jobs SET next_time = now() + interval '1 hour', wait_reason = 'RATE_LIMITED'"
    )
    await backlog.add_jobs(range(1, 2), 1)
    plan = await backlog.explain(1)
    assert rows_read(plan) < 50
    await backlog.admission.admit(MARKET, [1])
    assert await backlog.admitted() == {1: 1}
    await backlog.execute(
        "UPDATE public.live_jobs SET next_time = queue_time + interval '1 microsecond' "
        "WHERE job_id IN (SELECT job_id FROM public.live_jobs WHERE wait_reason IS NOT NULL LIMIT 2)"
    )
    await backlog.admission.wake_due()
    await backlog.admission.admit(MARKET, [1])
    assert await backlog.admitted() == {1: 3}


async def test_critical_takes_kept_slots_and_goes_first(backlog: Backlog) -> None:
    """Of twenty slots ordinary jobs get eighteen, CRITICAL ones the rest, and then every slot that comes free."""
    await backlog.set_slots(20)
    await backlog.add_jobs(range(1, 2), 50)
    await backlog.admission.admit(MARKET, [1])
    assert await backlog.admitted() == {1: 18}
    await backlog.add_jobs(range(2, 3), 7, priority=1)
    await backlog.admission.admit(MARKET, [2])
    assert await backlog.admitted() == {1: 18, 2: 2}
    await backlog.finish(5)
    await backlog.admission.admit(MARKET)
    assert await backlog.admitted() == {1: 18, 2: 7}


async def test_limits_of_accounts_and_marketplaces_hold(backlog: Backlog) -> None:
    """An account's limit and the marketplace's are never passed, and a full account does not hold up others."""
    await backlog.set_slots(50)
    await backlog.add_jobs(range(1, 3), 40)
    await backlog.execute("UPDATE public.account_gates SET max_admitted_jobs = 3 WHERE tenant_id = 1")
    await backlog.execute(
        "INSERT INTO public.marketplace_gates (marketplace, max_admitted_jobs) VALUES (%(market)s, 10)"
    )
    await backlog.admission.admit(MARKET, [1, 2])
    await backlog.admission.admit(MARKET, [1, 2])
    assert await backlog.admitted() == {1: 3, 2: 6}


async def test_gates_close_single_accounts(backlog: Backlog) -> None:
    """Jobs of a paused or refused account wait, those of others are admitted; so does a paused marketplace's."""
    await backlog.set_slots(50)
    await backlog.add_jobs(range(1, 4), 2)
    await backlog.execute("UPDATE public.account_gates SET pause_time = now() WHERE tenant_id = 1")
    await backlog.execute("UPDATE public.account_gates SET state = 'RECONNECT_REQUIRED' WHERE tenant_id = 2")
    await backlog.execute(
        "INSERT INTO public.marketplace_gates (marketplace, pause_time) VALUES (%(market)s, now())"
    )
    await backlog.admission.admit(MARKET, [1, 2, 3])
    assert await backlog.admitted() == {}
    await backlog.execute("UPDATE public.marketplace_gates SET pause_time = NULL")
    await backlog.admission.admit(MARKET, [1, 2, 3])
    assert await backlog.admitted() == {3: 2}


async def test_two_orchestrators_never_admit_too_many(backlog: Backlog) -> None:
    """Passes at the same moment fill the slots exactly."""
    await backlog.set_slots(10)
    await backlog.add_jobs(range(1, 5), 50)
    for _ in range(10):
        await asyncio.gather(*(backlog.admission.admit(MARKET, [1, 2, 3, 4]) for _ in range(2)))
        held = await backlog.execute("SELECT count(*) FROM public.live_jobs WHERE admit_time IS NOT NULL")
        assert held == [(9,)]
        await backlog.finish(3)


async def test_running_job_yields_to_a_higher_priority_between_tasks(shop: Shop) -> None:
    """With its slot wanted by a HIGH job, a LOW one goes back after its task and finishes later, losing nothing."""
    connector = await shop.open(step("first"), step("second"), slots=1)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(2)]
    low = await shop.create_job(products[0], priority=job_pb2.PRIORITY_LOW)
    command, granted = await connector.receive_and_start()
    assert command.job_id == low.job_id
    high = await shop.create_job(products[1], priority=job_pb2.PRIORITY_HIGH)
    # The hint comes from the pass that found no slot.
    await asyncio.sleep(0.5)
    await connector.succeed(command, granted.lease_token)
    order = []
    for _ in range(3):
        command, granted = await connector.receive_and_start()
        order.append(command.job_id)
        await connector.succeed(command, granted.lease_token)
    assert order == [high.job_id, high.job_id, low.job_id]
    finished = await shop.wait_for_end(low.job_id)
    assert finished.state == job_pb2.JOB_STATE_COMPLETED
    assert [task.attempt_count for task in finished.tasks] == [1, 1]
    events = await shop.events(low.job_id)
    assert events.count("YIELDED") == 1
    assert events.count("ADMITTED") == 2


async def test_equal_priority_does_not_make_a_job_yield(shop: Shop) -> None:
    """A job keeps its slot over all its tasks while others of its priority wait."""
    connector = await shop.open(step("first"), step("second"), slots=1)
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(2)]
    first = await shop.create_job(products[0])
    command, granted = await connector.receive_and_start()
    await shop.create_job(products[1])
    await asyncio.sleep(0.3)
    await connector.succeed(command, granted.lease_token)
    command, granted = await connector.receive_and_start()
    assert command.job_id == first.job_id
    with pytest.raises(nats.errors.TimeoutError):
        await connector.receive(timeout_seconds=0.3)
