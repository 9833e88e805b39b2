"""Cancelling and retrying whole batches, and what a crash in the middle leaves."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.jobs.v1 import batch_pb2, batch_service_pb2, job_pb2, job_service_pb2

from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.integration.orchestrator_engine.batch_shop import (
    batch_request,
    cancel_batch,
    counts_of,
    create_batch,
    drive,
    get_batch,
    jobs_of,
    make_products,
    refused,
    retry_batch,
    state_of,
    wait_for_batch,
    wait_until_batch_is_archived,
)
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step
from tests.integration.orchestrator_engine.test_recovery import _free_address
from tests.support.orchestrator import OrchestratorProcess, Stubs, start_orchestrator

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
CANCEL = rpc.TASK_DIRECTIVE_CANCEL


async def _partly_failed(shop: Shop, connector: Connector, *, archived: bool) -> batch_pb2.Batch:
    """A batch of six jobs of which the first two failed."""
    batch = await create_batch(shop, await make_products(shop, 6))
    failing = {job.job_id for job in (await jobs_of(shop, batch.batch_id))[-2:]}
    await drive(connector, 6, lambda command: "FAILED" if command.job_id in failing else "COMPLETED")
    batch = await wait_for_batch(shop, batch.batch_id)
    assert (state_of(batch), counts_of(batch)) == ("PARTIALLY_FAILED", {"COMPLETED": 4, "FAILED": 2})
    if archived:
        await wait_until_batch_is_archived(shop, batch.batch_id)
    return batch


@pytest.mark.parametrize("archived", [False, True])
async def test_retry_runs_only_the_failed_jobs_again_and_reopens_the_batch(
    shop: Shop, archived: bool
) -> None:
    """Two of six failed: two are retried, wherever they are stored, and the batch ends COMPLETED."""
    connector = await shop.open(step("only"), slots=6)
    batch = await _partly_failed(shop, connector, archived=archived)
    reopened, retried_count = await retry_batch(shop, batch.batch_id)
    assert retried_count == 2
    assert state_of(reopened) == "RUNNING"
    assert not reopened.HasField("finish_time")
    assert reopened.ended_count == 4
    await drive(connector, 2)
    ended = await wait_for_batch(shop, batch.batch_id)
    assert (state_of(ended), counts_of(ended)) == ("COMPLETED", {"COMPLETED": 6})
    assert sorted(job.run for job in await jobs_of(shop, batch.batch_id)) == [1, 1, 1, 1, 2, 2]
    await wait_until_batch_is_archived(shop, batch.batch_id)
    assert state_of(await get_batch(shop, batch.batch_id)) == "COMPLETED"


async def test_repeated_retry_answers_the_first_count_and_retries_nothing(shop: Shop) -> None:
    """The same request id begins no further run, also from five callers at once."""
    connector = await shop.open(step("only"), slots=6)
    batch = await _partly_failed(shop, connector, archived=True)
    request_id = str(uuid.uuid4())
    answers = await asyncio.gather(*(retry_batch(shop, batch.batch_id, request_id) for _ in range(5)))
    assert [retried_count for _, retried_count in answers] == [2] * 5
    await drive(connector, 2, lambda _: "FAILED")
    ended = await wait_for_batch(shop, batch.batch_id)
    assert counts_of(ended) == {"COMPLETED": 4, "FAILED": 2}
    _, retried_count = await retry_batch(shop, batch.batch_id, request_id)
    assert retried_count == 2
    assert max(job.run for job in await jobs_of(shop, batch.batch_id)) == 2


async def test_concurrent_retries_begin_each_run_once(shop: Shop) -> None:
    """Of requests with different ids one retries both jobs; the others find nothing to retry."""
    connector = await shop.open(step("only"), slots=6)
    batch = await _partly_failed(shop, connector, archived=True)
    outcomes = await asyncio.gather(
        *(retry_batch(shop, batch.batch_id) for _ in range(4)), return_exceptions=True
    )
    assert sum(outcome[1] for outcome in outcomes if not isinstance(outcome, BaseException)) == 2
    assert max(job.run for job in await jobs_of(shop, batch.batch_id)) == 2
    assert counts_of(await get_batch(shop, batch.batch_id))["COMPLETED"] == 4


async def test_job_that_was_replaced_is_left_out_of_the_retry(shop: Shop) -> None:
    """A failed job whose product has a new live job stays failed; the other one runs again."""
    connector = await shop.open(step("only"), slots=6)
    batch = await _partly_failed(shop, connector, archived=True)
    failed = [job for job in await jobs_of(shop, batch.batch_id) if job.state == job_pb2.JOB_STATE_FAILED]
    await shop.create_job(failed[0].product_id)
    _, retried_count = await retry_batch(shop, batch.batch_id)
    assert retried_count == 1
    assert (await shop.get_job(failed[0].job_id)).run == 1
    assert (await shop.get_job(failed[1].job_id)).run == 2


async def test_batches_that_cannot_be_retried_are_refused(shop: Shop) -> None:
    """One that runs, one that completed and one that was cancelled: each is told so and nothing changes."""
    connector = await shop.open(step("only"), slots=4)
    running = await create_batch(shop, await make_products(shop, 2))
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError, match="have not ended"):
            await retry_batch(shop, running.batch_id)
    await drive(connector, 2)
    await wait_for_batch(shop, running.batch_id)
    error = await refused(retry_batch(shop, running.batch_id))
    assert (error.code, error.reason) == (FAILED_PRECONDITION, "BATCH_STATE_INVALID")
    assert error.preconditions[0].description == "no job of it failed or expired"
    cancelled = await create_batch(shop, await make_products(shop, 1))
    await cancel_batch(shop, cancelled.batch_id)
    error = await refused(retry_batch(shop, cancelled.batch_id))
    assert "cancelled" in error.preconditions[0].description


async def test_retrying_one_job_reopens_its_batch(shop: Shop) -> None:
    """RetryJob on a job of an archived batch brings the batch back, and its counts stay exact."""
    connector = await shop.open(step("only"), slots=6)
    batch = await _partly_failed(shop, connector, archived=True)
    failed = [job for job in await jobs_of(shop, batch.batch_id) if job.state == job_pb2.JOB_STATE_FAILED]
    await shop.stubs.jobs.RetryJob(
        job_service_pb2.RetryJobRequest(
            request_id=str(uuid.uuid4()), tenant_id=shop.tenant_id, job_id=failed[0].job_id
        )
    )
    reopened = await get_batch(shop, batch.batch_id)
    assert (state_of(reopened), reopened.ended_count) == ("RUNNING", 5)
    await drive(connector, 1)
    ended = await wait_for_batch(shop, batch.batch_id)
    assert counts_of(ended) == {"COMPLETED": 5, "FAILED": 1}


async def test_cancelled_batch_is_cancelled_at_once_and_stays_so(shop: Shop) -> None:
    """Waiting jobs end, a running attempt is told to stop, and its late success changes no state."""
    connector = await shop.open(step("only"), slots=2)
    batch = await create_batch(shop, await make_products(shop, 6))
    command, granted = await connector.receive_and_start()
    cancelled = await cancel_batch(shop, batch.batch_id)
    assert (state_of(cancelled), counts_of(cancelled)) == ("CANCELLED", {"CANCELLED": 6})
    (result,) = (await connector.heartbeat((command, granted.lease_token))).results
    assert result.directive == CANCEL
    await connector.succeed(command, granted.lease_token)
    await wait_until_batch_is_archived(shop, batch.batch_id)
    archived = await get_batch(shop, batch.batch_id)
    assert (state_of(archived), counts_of(archived)) == ("CANCELLED", {"CANCELLED": 6})


async def test_cancelling_keeps_what_had_ended_before(shop: Shop) -> None:
    """Completed jobs stay completed and are counted so; the batch is CANCELLED all the same."""
    connector = await shop.open(step("only"), slots=1)
    batch = await create_batch(shop, await make_products(shop, 4))
    await drive(connector, 2)
    cancelled = await cancel_batch(shop, batch.batch_id)
    assert (state_of(cancelled), counts_of(cancelled)) == ("CANCELLED", {"COMPLETED": 2, "CANCELLED": 2})


async def test_cancelling_again_returns_the_batch_and_an_ended_one_is_refused(shop: Shop) -> None:
    """CancelBatch is idempotent by state and by request id; a batch that ended by itself is not cancelled."""
    connector = await shop.open(step("only"), slots=4)
    batch = await create_batch(shop, await make_products(shop, 2))
    request_id = str(uuid.uuid4())
    first = await cancel_batch(shop, batch.batch_id, request_id)
    assert state_of(first) == "CANCELLED"
    for again in (request_id, ""):
        assert counts_of(await cancel_batch(shop, batch.batch_id, again)) == {"CANCELLED": 2}
    await wait_until_batch_is_archived(shop, batch.batch_id)
    assert state_of(await cancel_batch(shop, batch.batch_id)) == "CANCELLED"
    ended = await create_batch(shop, await make_products(shop, 1))
    error = await refused(cancel_batch(shop, ended.batch_id, request_id))
    assert error.reason == "REQUEST_ID_REUSED"
    # The commands of the cancelled batch may still lie in the stream.
    while (command := await connector.receive()).job_id != (await jobs_of(shop, ended.batch_id))[0].job_id:
        continue
    await connector.succeed(command, (await connector.start(command)).lease_token)
    await wait_for_batch(shop, ended.batch_id)
    for _ in range(2):
        error = await refused(cancel_batch(shop, ended.batch_id))
        assert (error.code, error.reason) == (FAILED_PRECONDITION, "BATCH_STATE_INVALID")
    assert state_of(await get_batch(shop, ended.batch_id)) == "COMPLETED"


async def test_thousands_of_jobs_are_cancelled_in_one_call(shop: Shop) -> None:
    """The answer shows every job ended."""
    await shop.open(step("only"), slots=1)
    batch = await create_batch(shop, await make_products(shop, 2_000))
    request = batch_service_pb2.CancelBatchRequest(
        request_id=str(uuid.uuid4()), tenant_id=shop.tenant_id, batch_id=batch.batch_id
    )
    cancelled = (await shop.stubs.batches.CancelBatch(request, timeout=60)).batch
    assert counts_of(cancelled) == {"CANCELLED": 2_000}
    assert cancelled.HasField("finish_time")


async def test_cancellation_that_was_interrupted_is_finished_by_the_reaper(shop: Shop) -> None:
    """A batch that is CANCELLED with jobs still live, as a crash leaves it, has none a moment later."""
    await shop.open(step("only"), slots=1)
    batch = await create_batch(shop, await make_products(shop, 5))
    await shop.query(
        "UPDATE public.live_batches SET cancel_time = now(), is_cancelling = true WHERE batch_id = %s RETURNING 1",
        batch.batch_id,
    )
    ended = await wait_for_batch(shop, batch.batch_id)
    assert (state_of(ended), counts_of(ended)) == ("CANCELLED", {"CANCELLED": 5})


@pytest.fixture
def own_orchestrator(
    postgres_server: PostgresServer, nats_server: NatsServer, tmp_path: Path
) -> Iterator[OrchestratorProcess]:
    """An orchestrator that the test may kill."""
    url = postgres_server.create_database(f"batches_{uuid.uuid4().hex}")
    with Supervisor(tmp_path / "services") as supervisor:
        yield start_orchestrator(supervisor, url, nats_server.url, tmp_path, GRPC_ADDRESS=_free_address())


@pytest.fixture
async def own_shop(own_orchestrator: OrchestratorProcess) -> AsyncIterator[Shop]:
    stubs = Stubs(own_orchestrator.grpc_address)
    shop = Shop(own_orchestrator, stubs)
    yield shop
    for connector in shop.connectors:
        await connector.close()
    await stubs.close()


async def test_kill_during_creation_leaves_all_or_nothing(own_shop: Shop) -> None:
    """Killed at any moment of CreateBatch, the same request repeated gives one whole batch."""
    await own_shop.open(step("first"), step("second"), slots=1)
    process = own_shop.orchestrator.process
    for delay_seconds in (0.05, 0.2, 0.35, 0.6):
        request = batch_request(own_shop, await make_products(own_shop, 3_000))
        creating = asyncio.create_task(_attempt(own_shop, request))
        await asyncio.sleep(delay_seconds)
        process.kill()
        await creating
        left = await own_shop.query("SELECT count(*) FROM public.live_jobs")
        tasks = await own_shop.query("SELECT count(*) FROM public.live_tasks")
        assert (left[0][0], tasks[0][0]) in {(0, 0), (3_000, 6_000)}
        process.start()
        process.wait_ready()
        batch = await _until_created(own_shop, request)
        assert batch.total_count == 3_000
        assert await own_shop.query("SELECT count(*) FROM public.live_jobs") == [(3_000,)]
        assert await own_shop.query("SELECT count(*) FROM public.live_batches") == [(1,)]
        await own_shop.query(
            "WITH t AS (DELETE FROM public.live_tasks), e AS (DELETE FROM public.live_events), "
            "j AS (DELETE FROM public.live_jobs) DELETE FROM public.live_batches RETURNING 1"
        )


async def _attempt(shop: Shop, request: batch_service_pb2.CreateBatchRequest) -> batch_pb2.Batch | None:
    try:
        return (await shop.stubs.batches.CreateBatch(request, timeout=30)).batch
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise
        # The process was killed, or the channel has not noticed the new one yet.
        return None


async def _until_created(shop: Shop, request: batch_service_pb2.CreateBatchRequest) -> batch_pb2.Batch:
    for _ in range(50):
        if (batch := await _attempt(shop, request)) is not None:
            return batch
        await asyncio.sleep(0.2)
    pytest.fail("the orchestrator did not come back")
