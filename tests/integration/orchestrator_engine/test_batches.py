"""Many jobs in one call: all or none, counted exactly, watched and paged."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
import uuid
from collections import Counter
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.admin.v1 import admin_service_pb2
from stoflow.jobs.v1 import batch_service_pb2, job_pb2

from tests.integration.orchestrator_engine.batch_shop import (
    batch_request,
    cancel_job,
    counts_of,
    create_batch,
    drive,
    drive_until_idle,
    get_batch,
    jobs_of,
    make_products,
    refused,
    state_of,
    wait_for_batch,
    wait_until_batch_is_archived,
)
from tests.integration.orchestrator_engine.conftest import Shop, options
from tests.integration.orchestrator_engine.connector import step

TITLE_SCHEMA = json.dumps(
    {
        "properties": {
            "product": {"properties": {"content": {"properties": {"title": {"pattern": "[13579]$"}}}}}
        }
    }
)
OPTIONS_SCHEMA = json.dumps(
    {"type": "object", "properties": {"quantity": {"type": "integer"}}, "additionalProperties": False}
)


async def _rows_of(shop: Shop) -> tuple[list[tuple[object, ...]], ...]:
    tenant_id = shop.tenant_id
    return (
        await shop.query("SELECT 1 FROM public.live_batches WHERE tenant_id = %s", tenant_id),
        await shop.query("SELECT 1 FROM public.live_jobs WHERE tenant_id = %s", tenant_id),
        await shop.query(
            "SELECT 1 FROM public.mutation_requests WHERE tenant_id = %s AND method LIKE '%%Batch%%'",
            tenant_id,
        ),
    )


async def test_batch_makes_a_job_of_each_product_in_the_given_order(shop: Shop) -> None:
    """Jobs carry product, options and priority of the request, and run in the order of the products."""
    connector = await shop.open(step("first"), step("second", once="thing"), slots=1, options_schema="{}")
    product_ids = await make_products(shop, 3)
    batch = await create_batch(
        shop, product_ids, options=options(colour="red"), priority=job_pb2.PRIORITY_HIGH, max_retries=7
    )
    assert (batch.tenant_id, batch.account_id, batch.total_count) == (shop.tenant_id, shop.account_id, 3)
    assert (batch.marketplace, batch.action) == (shop.marketplace, "publish")
    jobs = await jobs_of(shop, batch.batch_id)
    assert [job.product_id for job in reversed(jobs)] == product_ids
    assert {(job.priority, job.max_retries, job.batch_id) for job in jobs} == {
        (job_pb2.PRIORITY_HIGH, 7, batch.batch_id)
    }
    for product_id in product_ids:
        command, granted = await connector.receive_and_start()
        assignment = granted.assignment
        assert assignment.product.product.product_id == product_id
        assert assignment.options["colour"] == "red"
        assert assignment.account.account_id == shop.account_id
        await connector.succeed(command, granted.lease_token)
        command, granted = await connector.receive_and_start()
        assert granted.assignment.effect.key
        await connector.succeed(command, granted.lease_token, remote_id="r1")
    job = await shop.get_job(jobs[0].job_id)
    assert [task.name for task in job.tasks] == ["first", "second"]
    assert (await shop.events(job.job_id))[0] == "CREATED"


_OWN_COLUMNS = {"job_id", "task_id", "product_id", "batch_id", "sequence", "assignment"}


async def _row(shop: Shop, table: str, job_id: str) -> list[dict[str, Any]]:
    rows = await shop.query(
        f"SELECT to_jsonb(t) FROM public.{table} AS t WHERE job_id = %s ORDER BY to_jsonb(t)->'position'",
        job_id,
    )
    return [
        {
            column: "a time" if column.endswith("_time") and value is not None else value
            for column, value in cast("dict[str, Any]", row[0]).items()
            if column not in _OWN_COLUMNS
        }
        for row in rows
    ]


async def test_jobs_of_a_batch_are_stored_like_jobs_submitted_alone(shop: Shop) -> None:
    """Job, tasks and first event have the same columns as those of CreateJob, whatever columns there are."""
    waiting = step("third", timeout_seconds=7)
    waiting.schedule_to_start_timeout.FromSeconds(9)
    await shop.open(step("first"), step("second", once="thing", settle_seconds=3), waiting, slots=1)
    alone, together = await make_products(shop, 2)
    times = {"not_before_time": Timestamp(seconds=int(time.time()) + 600)}
    job = await shop.create_job(alone, **times)
    batch = await create_batch(shop, [together], **times)
    (other,) = await jobs_of(shop, batch.batch_id)
    for table in ("live_jobs", "live_tasks", "live_events"):
        assert await _row(shop, table, other.job_id) == await _row(shop, table, job.job_id)
    assert (other.expire_time.seconds - job.expire_time.seconds) in range(60)
    assert other.not_before_time == job.not_before_time


async def test_batch_goes_from_pending_over_running_to_completed(shop: Shop) -> None:
    """The first admission makes it RUNNING, the last end COMPLETED, and each count is right on the way."""
    connector = await shop.open(step("only"), slots=1)
    product_ids = await make_products(shop, 3)
    future = int(time.time()) + 2
    request = batch_request(shop, product_ids)
    request.not_before_time.FromSeconds(future)
    batch = (await shop.stubs.batches.CreateBatch(request)).batch
    assert (state_of(batch), counts_of(batch)) == ("PENDING", {"PENDING": 3})
    command, granted = await connector.receive_and_start()
    batch = await get_batch(shop, batch.batch_id)
    assert (state_of(batch), counts_of(batch)) == ("RUNNING", {"PENDING": 2, "RUNNING": 1})
    assert not batch.HasField("finish_time")
    await connector.succeed(command, granted.lease_token)
    await drive(connector, 2)
    batch = await wait_for_batch(shop, batch.batch_id)
    assert (state_of(batch), counts_of(batch)) == ("COMPLETED", {"COMPLETED": 3})
    assert (batch.ended_count, batch.HasField("finish_time")) == (3, True)


async def test_ten_thousand_products_are_one_batch(shop: Shop) -> None:
    """The largest batch is created in one call, with every job, task and first event."""
    await shop.open(step("only"), step("other"), slots=1)
    product_ids = await make_products(shop, 10_000)
    request = batch_request(shop, product_ids)
    batch = (await shop.stubs.batches.CreateBatch(request, timeout=120)).batch
    assert batch.total_count == 10_000
    counted = await shop.query(
        "SELECT count(DISTINCT j.job_id), count(DISTINCT t.task_id), count(DISTINCT j.product_id), "
        "       count(DISTINCT e.job_id)"
        "  FROM public.live_jobs AS j JOIN public.live_tasks AS t USING (job_id)"
        "  JOIN public.live_events AS e ON e.job_id = j.job_id AND e.sequence = 1"
        " WHERE j.batch_id = %s",
        batch.batch_id,
    )
    assert counted == [(10_000, 20_000, 10_000, 10_000)]


@pytest.mark.parametrize(
    ("values", "code", "reason"),
    [
        ({"account_id": str(uuid.uuid4())}, grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND"),
        ({"tenant_id": 999_999_999}, grpc.StatusCode.NOT_FOUND, "TENANT_NOT_FOUND"),
        ({"action": "fly"}, grpc.StatusCode.INVALID_ARGUMENT, "ACTION_NOT_FOUND"),
        ({"site": "MOON"}, grpc.StatusCode.INVALID_ARGUMENT, "SITE_NOT_ALLOWED"),
        ({"options": options(colour="red")}, grpc.StatusCode.INVALID_ARGUMENT, "OPTIONS_INVALID"),
        ({"product_ids": []}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        ({"product_ids": ["x", "y"]}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    ],
)
async def test_wrong_batch_is_refused_and_leaves_nothing(
    shop: Shop, values: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    """Each fault has its own reason, and no batch, job or used request id exists afterwards."""
    await shop.open(step("only"), options_schema=OPTIONS_SCHEMA)
    product_ids = await make_products(shop, 2)
    request = batch_request(shop, **{"product_ids": product_ids, **values})
    error = await refused(shop.stubs.batches.CreateBatch(request))
    assert (error.code, error.reason) == (code, reason)
    assert await _rows_of(shop) == ([], [], [])


async def test_the_same_product_twice_is_refused_however_it_is_written(shop: Shop) -> None:
    """An id in capital letters is the same product."""
    await shop.open(step("only"))
    (product_id,) = await make_products(shop, 1)
    for twin in (product_id, product_id.upper()):
        error = await refused(shop.stubs.batches.CreateBatch(batch_request(shop, [product_id, twin])))
        assert (error.code, error.violations[0].field) == (grpc.StatusCode.INVALID_ARGUMENT, "product_ids")


async def test_every_missing_product_is_listed_and_nothing_is_created(shop: Shop) -> None:
    """Two of four products do not exist: both are named by their places."""
    await shop.open(step("only"))
    product_ids = await make_products(shop, 2)
    mixed = [str(uuid.uuid4()), product_ids[0], str(uuid.uuid4()), product_ids[1]]
    error = await refused(shop.stubs.batches.CreateBatch(batch_request(shop, mixed)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert [violation.field for violation in error.violations] == ["product_ids[0]", "product_ids[2]"]
    assert await _rows_of(shop) == ([], [], [])


async def test_every_refused_product_is_listed_and_nothing_is_created(shop: Shop) -> None:
    """The marketplace would refuse each second product: all of them are counted, most are listed."""
    await shop.open(step("only"), product_schema=TITLE_SCHEMA)
    product_ids = await make_products(shop, 200)
    error = await refused(shop.stubs.batches.CreateBatch(batch_request(shop, product_ids)))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PRODUCT_REFUSED")
    listed = [violation.field for violation in error.violations]
    places = range(1, 200, 2)
    assert listed == [f"product_ids[{place}].product.content.title" for place in places][: len(listed)]
    # An error travels in a trailer of a few kilobytes: the rest is counted.
    assert len(listed) + int(error.metadata["violations_omitted"]) == 100
    assert await _rows_of(shop) == ([], [], [])


async def test_products_that_leave_nothing_to_do_are_refused(shop: Shop) -> None:
    """An action of nothing but a task for each image needs images of every product."""
    upload = step("upload")
    upload.for_each = "images"
    await shop.open(upload, requires_product=True)
    product_ids = await make_products(shop, 2)
    error = await refused(shop.stubs.batches.CreateBatch(batch_request(shop, product_ids)))
    assert error.reason == "PRODUCT_REFUSED"
    assert [v.field for v in error.violations] == [f"product_ids[{i}].product.images" for i in range(2)]


async def test_products_with_live_jobs_are_listed_and_nothing_is_created(shop: Shop) -> None:
    """Of three products one has a live job: that one is named, with its job, and the batch is refused."""
    await shop.open(step("only"), slots=1)
    product_ids = await make_products(shop, 3)
    job = await shop.create_job(product_ids[1])
    error = await refused(shop.stubs.batches.CreateBatch(batch_request(shop, product_ids)))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "JOB_EXISTS")
    (violation,) = error.violations
    assert violation.field == "product_ids[1]"
    assert job.job_id in violation.description
    batches, jobs, requests = await _rows_of(shop)
    assert (batches, len(jobs), requests) == ([], 1, [])
    assert (await create_batch(shop, [product_ids[0], product_ids[2]])).total_count == 2


async def test_same_request_gives_the_first_batch_and_another_body_is_refused(shop: Shop) -> None:
    """request_id makes CreateBatch repeatable, also by ten callers at once."""
    await shop.open(step("only"), slots=1)
    request = batch_request(shop, await make_products(shop, 50))
    responses = await asyncio.gather(*(shop.stubs.batches.CreateBatch(request) for _ in range(10)))
    assert len({response.batch.batch_id for response in responses}) == 1
    batches, jobs, _ = await _rows_of(shop)
    assert (len(batches), len(jobs)) == (1, 50)
    request.max_retries = 9
    error = await refused(shop.stubs.batches.CreateBatch(request))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_two_batches_that_want_the_same_products_do_not_block_each_other(shop: Shop) -> None:
    """In whatever order they name them, one is created and the other is told which jobs exist."""
    await shop.open(step("only"), slots=1)
    product_ids = await make_products(shop, 400)
    outcomes = await asyncio.gather(
        *(
            shop.stubs.batches.CreateBatch(batch_request(shop, ordered), timeout=30)
            for ordered in (product_ids, product_ids[::-1])
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, batch_service_pb2.CreateBatchResponse) for outcome in outcomes) == 1
    _, jobs, _ = await _rows_of(shop)
    assert len(jobs) == 400


@pytest.mark.parametrize("seed", range(3))
async def test_counts_equal_the_jobs_whatever_their_ends(shop: Shop, seed: int) -> None:
    """Completed, failed, cancelled and expired jobs are each counted once, and together end the batch."""
    rng = random.Random(seed)
    connector = await shop.open(
        step("only"), slots=30, expire_after=Duration(seconds=4), default_max_retries=100
    )
    product_ids = await make_products(shop, 24)
    batch_id = (await create_batch(shop, product_ids)).batch_id
    job_ids = [job.job_id for job in await jobs_of(shop, batch_id)]
    ends = {job_id: rng.choice(["COMPLETED", "FAILED", "CANCELLED", "EXPIRED"]) for job_id in job_ids}
    cancelling = [cancel_job(shop, job_id) for job_id in job_ids if ends[job_id] == "CANCELLED"]
    # Those that are to expire are started again and again, and nothing is ever reported of them.
    await asyncio.gather(*cancelling, drive_until_idle(connector, lambda command: ends[command.job_id]))
    batch = await wait_for_batch(shop, batch_id)
    jobs = await jobs_of(shop, batch_id)
    assert {job.job_id: job_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_") for job in jobs} == ends
    assert counts_of(batch) == Counter(ends.values())
    assert batch.ended_count == batch.total_count == 24
    assert state_of(batch) == "PARTIALLY_FAILED"


async def test_batch_of_jobs_that_nobody_ran_fails_when_they_expire(shop: Shop) -> None:
    """Without any admission the batch goes from PENDING to FAILED: it does not hang."""
    await shop.open(step("only"), expire_after=Duration(seconds=1))
    pause = admin_service_pb2.PauseMarketplaceRequest(
        request_id=str(uuid.uuid4()), marketplace=shop.marketplace
    )
    await shop.stubs.admin.PauseMarketplace(pause)
    batch = await create_batch(shop, await make_products(shop, 5))
    batch = await wait_for_batch(shop, batch.batch_id)
    assert (state_of(batch), counts_of(batch)) == ("FAILED", {"EXPIRED": 5})


async def test_watching_sends_at_most_five_updates_a_second_and_ends(shop: Shop) -> None:
    """However fast the jobs end, updates are 200 ms apart; the last one shows the end."""
    connector = await shop.open(step("only"), slots=30)
    batch = await create_batch(shop, await make_products(shop, 120))
    driving = asyncio.create_task(drive(connector, 120))
    request = batch_service_pb2.WatchBatchRequest(tenant_id=shop.tenant_id, batch_id=batch.batch_id)
    times, seen = [], []
    async for update in shop.stubs.batches.WatchBatch(request, timeout=40):
        times.append(time.monotonic())
        seen.append(update.batch)
    await driving
    # The network may bring two updates closer together than they were sent.
    assert len(times) <= (times[-1] - times[0]) / 0.2 + 2
    assert all(a != b for a, b in itertools.pairwise(seen))
    ended = [update.ended_count for update in seen]
    assert ended == sorted(ended)
    assert (ended[-1], state_of(seen[-1])) == (120, "COMPLETED")
    again = [update async for update in shop.stubs.batches.WatchBatch(request, timeout=10)]
    assert [update.batch for update in again] == [await get_batch(shop, batch.batch_id)]


async def test_archived_and_live_batches_are_paged_together_newest_first(shop: Shop) -> None:
    """Five batches, three of them archived: pages of two list each exactly once."""
    connector = await shop.open(step("only"), slots=4)
    created = []
    for _ in range(3):
        created.append((await create_batch(shop, await make_products(shop, 2))).batch_id)
        await drive(connector, 2)
    for batch_id in created:
        await wait_until_batch_is_archived(shop, batch_id)
    created += [(await create_batch(shop, await make_products(shop, 2))).batch_id for _ in range(2)]
    listed, token, pages = [], "", 0
    while True:
        request = batch_service_pb2.ListBatchesRequest(
            tenant_id=shop.tenant_id, page_size=2, page_token=token
        )
        response = await shop.stubs.batches.ListBatches(request)
        listed += [batch.batch_id for batch in response.batches]
        pages += 1
        if not (token := response.next_page_token):
            break
    assert (listed, pages) == (created[::-1], 3)
    foreign = batch_service_pb2.ListBatchesRequest(tenant_id=shop.tenant_id, page_token="x" * 20)
    error = await refused(shop.stubs.batches.ListBatches(foreign))
    assert error.reason == "PAGE_TOKEN_INVALID"


async def test_batch_is_seen_exactly_once_while_it_moves_to_the_archive(shop: Shop) -> None:
    """No reader misses it or sees it twice, and its counts never waver."""
    connector = await shop.open(step("only"), slots=10)
    batch = await create_batch(shop, await make_products(shop, 10))
    await drive(connector, 10)
    request = batch_service_pb2.ListBatchesRequest(tenant_id=shop.tenant_id)
    archiving = asyncio.create_task(wait_until_batch_is_archived(shop, batch.batch_id))
    while not archiving.done():
        assert counts_of(await get_batch(shop, batch.batch_id)) == {"COMPLETED": 10}
        (listed,) = (await shop.stubs.batches.ListBatches(request)).batches
        assert (listed.ended_count, state_of(listed)) == (10, "COMPLETED")
    await archiving
    assert state_of(await get_batch(shop, batch.batch_id)) == "COMPLETED"


async def test_tenants_do_not_see_each_others_batches(shop: Shop) -> None:
    """Another tenant's batch is not found by any call, live or archived."""
    await shop.open(step("only"), slots=1)
    batch = await create_batch(shop, await make_products(shop, 2))
    other = await shop.stubs.create_tenant()
    identity: dict[str, Any] = {"tenant_id": other, "batch_id": batch.batch_id}
    request_id = str(uuid.uuid4())
    stubs = shop.stubs.batches
    for call in (
        stubs.GetBatch(batch_service_pb2.GetBatchRequest(**identity)),
        stubs.CancelBatch(batch_service_pb2.CancelBatchRequest(request_id=request_id, **identity)),
        stubs.RetryBatch(batch_service_pb2.RetryBatchRequest(request_id=request_id, **identity)),
        stubs.WatchBatch(batch_service_pb2.WatchBatchRequest(**identity)).read(),
    ):
        error = await refused(call)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "BATCH_NOT_FOUND")
    listed = await stubs.ListBatches(batch_service_pb2.ListBatchesRequest(tenant_id=other))
    assert not listed.batches
    assert state_of(await get_batch(shop, batch.batch_id)) in {"PENDING", "RUNNING"}
