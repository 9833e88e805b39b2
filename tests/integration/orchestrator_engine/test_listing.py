"""Lists and counts of jobs: each filter, all together, and pages while jobs move to the history and back."""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import manifest_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, manifest, step
from tests.integration.orchestrator_engine.control import (
    Scene,
    control,
    eventually,
    expire_now,
    is_archived,
    outcome,
    reason_of,
    wait_until_archived,
)

JobFilter = job_service_pb2.JobFilter


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases that outlast every test: a running job stays running."""
    return {"LEASE_SECONDS": "60"}


async def list_page(
    shop: Shop, narrow: JobFilter | None = None, size: int = 1000, token: str = ""
) -> job_service_pb2.ListJobsResponse:
    request = job_service_pb2.ListJobsRequest(
        tenant_id=shop.tenant_id, filter=narrow, page_size=size, page_token=token
    )
    return await shop.stubs.jobs.ListJobs(request)


async def list_ids(shop: Shop, narrow: JobFilter | None = None, size: int = 1000) -> list[str]:
    """Walks all pages."""
    found: list[str] = []
    token = ""
    while True:
        page = await list_page(shop, narrow, size, token)
        found += [job.job_id for job in page.jobs]
        if not (token := page.next_page_token):
            return found


async def count(shop: Shop, narrow: JobFilter | None = None) -> dict[str, int]:
    request = job_service_pb2.CountJobsRequest(tenant_id=shop.tenant_id, filter=narrow)
    response = await shop.stubs.jobs.CountJobs(request)
    counts = {job_pb2.JobState.Name(c.state).removeprefix("JOB_STATE_"): c.count for c in response.counts}
    assert sum(counts.values()) == response.total_count
    assert [c.state for c in response.counts] == sorted(c.state for c in response.counts)
    return counts


@dataclass
class Stock:
    """Jobs of two accounts, two actions, every state and several wait reasons, live and archived."""

    shop: Shop
    accounts: list[str]
    jobs: list[job_pb2.Job] = field(default_factory=list)

    def ids(self, **wanted: Any) -> list[str]:
        """Returns the jobs that have all these values, newest first."""
        fitting = [j for j in self.jobs if all(getattr(j, name) == value for name, value in wanted.items())]
        return sorted((job.job_id for job in fitting), reverse=True)


async def _connect(shop: Shop) -> Connector:
    content = manifest(shop.marketplace, step("first"), default_max_retries=0)
    other = manifest_pb2.ActionSpec()
    other.CopyFrom(content.actions[0])
    other.name = "update"
    content.actions.append(other)
    shop.tenant_id = await shop.stubs.create_tenant()
    return await shop.add_connector(content, 100)


STARTED = ("completed", "failed", "rate_limited", "needs_human", "running")
DELAYED = ("delayed", "paused", "cancelled", "expired")
ARCHIVED = ("completed", "failed", "cancelled", "expired")


@pytest.fixture
async def stock(shop: Shop) -> Stock:
    """A job in each place for each account and action."""
    connector = await _connect(shop)
    accounts = [await shop.stubs.create_account(shop.tenant_id, shop.marketplace) for _ in range(2)]
    places: dict[str, str] = {}
    later = Timestamp()
    later.GetCurrentTime()
    later.seconds += 3600
    for shop.account_id, action in itertools.product(accounts, ("publish", "update")):
        for place in (*STARTED, *DELAYED):
            product_id = await shop.stubs.create_product(shop.tenant_id)
            delay = {"not_before_time": later} if place in DELAYED else {}
            places[(await shop.create_job(product_id, action=action, **delay)).job_id] = place
    await _bring_to_places(shop, connector, places)
    return Stock(shop, accounts, [await shop.get_job(job_id) for job_id in places])


async def _bring_to_places(shop: Shop, connector: Connector, places: dict[str, str]) -> None:
    waiting = {job_id for job_id, place in places.items() if place in STARTED}
    while waiting:
        # A command that came late has been repeated meanwhile, and the first one is stale.
        waiting.discard(await _start(connector, places))
    for job_id, place in places.items():
        if place in {"paused", "cancelled"}:
            await control(shop, {"paused": "pause", "cancelled": "cancel"}[place], job_id)
        elif place == "expired":
            await expire_now(shop, job_id)
    for job_id, place in places.items():
        if place in ARCHIVED:
            await wait_until_archived(shop, job_id)


async def _start(connector: Connector, places: dict[str, str]) -> str:
    await connector.heartbeat()
    command, granted = await connector.receive_and_start()
    if granted.decision != rpc.START_DECISION_GRANTED:
        return ""
    lease = (command, granted.lease_token)
    match places[command.job_id]:
        case "completed":
            await connector.succeed(*lease)
        case "failed":
            await connector.fail(*lease, error_class=failure_pb2.ERROR_CLASS_PERMANENT)
        case "rate_limited":
            limited = failure_pb2.ERROR_CLASS_RATE_LIMITED
            await connector.fail(*lease, error_class=limited, retry_after_seconds=3600)
        case "needs_human":
            await connector.fail(*lease, error_class=failure_pb2.ERROR_CLASS_NEEDS_HUMAN)
    return command.job_id


async def test_each_filter_alone_and_together_admits_what_has_its_values(stock: Stock) -> None:
    """Lists and counts agree with the jobs read one by one, for every filter and for combinations of them."""
    shop = stock.shop
    assert await list_ids(shop) == stock.ids()
    narrowings: list[dict[str, Any]] = [
        {"marketplace": shop.marketplace},
        {"marketplace": "nowhere"},
        {"action": "update"},
        {"account_id": stock.accounts[1]},
        {"product_id": stock.jobs[3].product_id},
        {"wait_reason": job_pb2.WAIT_REASON_RATE_LIMITED},
        {"wait_reason": job_pb2.WAIT_REASON_NEEDS_HUMAN},
        {"account_id": stock.accounts[0], "action": "publish"},
        {
            "account_id": stock.accounts[0],
            "action": "publish",
            "wait_reason": job_pb2.WAIT_REASON_RATE_LIMITED,
        },
        {"product_id": stock.jobs[3].product_id, "action": stock.jobs[3].action},
        {"product_id": str(uuid.uuid4())},
        {"batch_id": str(uuid.uuid4())},
    ]
    for values in narrowings:
        expected = stock.ids(**values)
        assert await list_ids(shop, JobFilter(**values)) == expected, values
        assert sum((await count(shop, JobFilter(**values))).values()) == len(expected), values


async def test_states_alone_together_and_with_others_admit_their_jobs(stock: Stock) -> None:
    """One state, several, live and archived ones mixed, and states of one account and action."""
    shop = stock.shop
    every = [state for state in job_pb2.JobState.values() if state]
    for states in [*([state] for state in every), every[:2], every[3:], [every[0], every[4]], every]:
        expected = sorted((i for state in states for i in stock.ids(state=state)), reverse=True)
        assert expected, states
        assert await list_ids(shop, JobFilter(states=states), 2) == expected
        names = {job_pb2.JobState.Name(state).removeprefix("JOB_STATE_") for state in states}
        assert set(await count(shop, JobFilter(states=states))) == names
        both: dict[str, Any] = {"account_id": stock.accounts[1], "action": "update"}
        expected = [i for i in expected if i in stock.ids(**both)]
        assert await list_ids(shop, JobFilter(states=states, **both)) == expected
    waits = JobFilter(
        states=[job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_FAILED],
        wait_reason=job_pb2.WAIT_REASON_RATE_LIMITED,
    )
    expected = stock.ids(wait_reason=job_pb2.WAIT_REASON_RATE_LIMITED)
    assert await list_ids(shop, waits) == expected


async def test_times_of_creation_bound_from_below_and_above(stock: Stock) -> None:
    """From is inclusive, to is not, and both hold for live and archived jobs."""
    shop = stock.shop
    times = sorted(job.create_time.ToNanoseconds() for job in stock.jobs)
    low, high = times[5], times[-5]
    bounds = {"create_time_from": _timestamp(low), "create_time_to": _timestamp(high)}
    for names in (["create_time_from"], ["create_time_to"], list(bounds)):
        expected = [
            job.job_id
            for job in stock.jobs
            if ("create_time_from" not in names or job.create_time.ToNanoseconds() >= low)
            and ("create_time_to" not in names or job.create_time.ToNanoseconds() < high)
        ]
        narrow = JobFilter(**{name: bounds[name] for name in names})  # type: ignore[arg-type]
        assert await list_ids(shop, narrow) == sorted(expected, reverse=True)
        assert sum((await count(shop, narrow)).values()) == len(expected)


def _timestamp(nanoseconds: int) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromNanoseconds(nanoseconds)
    return timestamp


async def test_pages_hold_each_job_once_while_jobs_end_and_are_archived_and_retried(shop: Shop) -> None:
    """Reading page by page while jobs move between the live tables and the history misses and repeats nothing."""
    connector = await shop.open(step("first"), slots=40, default_max_retries=0)
    scene = Scene(shop, connector)
    job_ids = await asyncio.gather(*(scene.new() for _ in range(40)))
    is_over = asyncio.Event()

    async def work() -> None:
        while not is_over.is_set():
            await connector.heartbeat()
            try:
                command, granted = await connector.receive_and_start()
            except TimeoutError:
                continue
            await connector.fail(command, granted.lease_token)

    async def retry() -> None:
        while not is_over.is_set():
            await outcome(shop, "retry", random.choice(job_ids))

    movers = [asyncio.create_task(work()), asyncio.create_task(retry())]
    seen_live = seen_archived = False
    for _ in range(30):
        assert await list_ids(shop, size=7) == sorted(job_ids, reverse=True)
        assert sum((await count(shop)).values()) == 40
        archived = [await is_archived(shop, job_id) for job_id in job_ids[:5]]
        seen_archived |= any(archived)
        seen_live |= not all(archived)
    is_over.set()
    await asyncio.gather(*movers)
    assert seen_live
    assert seen_archived


async def test_page_holds_fewer_jobs_than_asked_when_they_would_not_fit_into_a_message(shop: Shop) -> None:
    """Thirty jobs with options of a quarter megabyte come in pages, each below the limit of a message."""
    schema = '{"type": "object", "properties": {"text": {"type": "string"}}}'
    connector = await shop.open(step("first"), options_schema=schema)
    scene = Scene(shop, connector)
    text = "x" * 250_000
    later = Timestamp()
    later.GetCurrentTime()
    later.seconds += 3600
    job_ids = [await scene.new(options={"text": text}, not_before_time=later) for _ in range(30)]
    first = await list_page(shop)
    assert 1 < len(first.jobs) < 30
    assert await list_ids(shop) == job_ids[::-1]


async def test_token_belongs_to_its_filter(stock: Stock) -> None:
    """A token is refused under another filter, and when it is no token at all; page sizes may differ."""
    shop = stock.shop
    publishes = JobFilter(action="publish")
    token = (await list_page(shop, publishes, 1)).next_page_token
    assert len((await list_page(shop, publishes, 3, token)).jobs) == 3
    for narrow, wrong in [(JobFilter(action="update"), token), (None, token), (publishes, "nonsense")]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await list_page(shop, narrow, 1, wrong)
        assert reason_of(caught.value) == "INVALID_ARGUMENT PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("method", ["ListJobs", "CountJobs"])
async def test_wrong_filters_are_refused_with_every_field(shop: Shop, method: str) -> None:
    """Malformed ids, names and enums are named at once; so are times that cannot be meant."""
    shop.tenant_id = await shop.stubs.create_tenant()
    make = {"ListJobs": job_service_pb2.ListJobsRequest, "CountJobs": job_service_pb2.CountJobsRequest}[
        method
    ]
    wrong = JobFilter(
        states=[job_pb2.JOB_STATE_UNSPECIFIED],
        marketplace="No",
        action="-",
        account_id="a",
        product_id="b",
        batch_id="c",
        wait_reason=99,  # type: ignore[arg-type]
    )
    times = JobFilter(create_time_from=Timestamp(seconds=-1), create_time_to=Timestamp(seconds=10**15))
    for narrow, names in (
        (wrong, ["states", "marketplace", "action", "account_id", "product_id", "batch_id", "wait_reason"]),
        (times, ["create_time_from", "create_time_to"]),
    ):
        request = make(tenant_id=shop.tenant_id, filter=narrow)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(shop.stubs.jobs, method)(request)
        assert reason_of(caught.value) == "INVALID_ARGUMENT INVALID_ARGUMENT"
        assert all(name in str(caught.value.details()) for name in names)


async def test_tenant_sees_its_own_jobs_only(shop: Shop) -> None:
    """Neither list nor count of another tenant has this one's jobs, live or archived."""
    connector = await shop.open(step("first"))
    scene = Scene(shop, connector)
    await scene.delayed()
    await scene.cancelled()
    other = Shop(shop.orchestrator, shop.stubs)
    other.tenant_id = await shop.stubs.create_tenant()
    assert await list_ids(other) == []
    assert await count(other) == {}
    assert await count(shop) == {"PENDING": 1, "CANCELLED": 1}


async def test_counts_of_a_job_follow_it(shop: Shop) -> None:
    """A job is counted in exactly one state at any moment, live, archived and live again."""
    connector = await shop.open(step("first"))
    job_id = await Scene(shop, connector).failed()
    assert await count(shop) == {"FAILED": 1}
    await control(shop, "retry", job_id)

    async def is_running() -> bool:
        return await count(shop) == {"RUNNING": 1}

    await eventually(is_running, "the retried job is counted as running")
    await control(shop, "cancel", job_id)
    await wait_until_archived(shop, job_id)
    assert await count(shop) == {"CANCELLED": 1}
