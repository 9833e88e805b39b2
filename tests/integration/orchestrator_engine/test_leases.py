"""Dispatch, leases and reports against the real engine."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from google.protobuf.duration_pb2 import Duration
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, manifest, step

GRANTED = rpc.START_DECISION_GRANTED
STALE = rpc.START_DECISION_STALE
ACCEPTED = rpc.REPORT_DECISION_ACCEPTED
STALE_LEASE = rpc.REPORT_DECISION_STALE_LEASE


async def test_job_runs_its_tasks_in_order_and_hands_on_their_outputs(shop: Shop) -> None:
    """Each task gets the outputs of those before it, and the job completes after the last."""
    connector = await shop.open()
    job = await shop.create_job()
    assert [task.name for task in job.tasks] == ["first", "second"]

    command, first = await connector.receive_and_start()
    assert first.decision == GRANTED
    assert await connector.succeed(command, first.lease_token, {"answer": 42}) == ACCEPTED
    command, second = await connector.receive_and_start()
    assert second.assignment.outputs[0].output["answer"] == 42
    assert await connector.succeed(command, second.lease_token) == ACCEPTED

    ended = await shop.wait_for_end(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_COMPLETED
    assert await shop.events(job.job_id) == [
        "CREATED",
        "ADMITTED",
        "TASK_STARTED",
        "TASK_COMPLETED",
        "TASK_STARTED",
        "TASK_COMPLETED",
        "COMPLETED",
    ]


async def test_lost_answer_to_start_is_repaired_by_the_same_token(shop: Shop) -> None:
    """Asking again with the token that was granted gives the same attempt, not another."""
    connector = await shop.open()
    await shop.create_job()
    command, granted = await connector.receive_and_start()
    again = await connector.start(command, granted.lease_token)
    assert again.decision == GRANTED
    assert again.assignment.attempt == 1
    other = await connector.start(command)
    assert other.decision == STALE


async def test_repeated_report_is_answered_alike_even_after_the_job_was_archived(shop: Shop) -> None:
    """A report whose answer was lost is accepted again and changes nothing."""
    connector = await shop.open(step("only"))
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    for _ in range(3):
        assert await connector.succeed(command, granted.lease_token) == ACCEPTED
    await shop.wait_until_archived(job.job_id)
    assert await connector.succeed(command, granted.lease_token) == ACCEPTED
    assert (await shop.events(job.job_id)).count("TASK_COMPLETED") == 1


async def test_report_under_another_token_changes_nothing(shop: Shop) -> None:
    """Without the lease's token a report is stale, and the holder's report still counts."""
    connector = await shop.open(step("only"))
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    assert await connector.succeed(command, str(uuid.uuid4())) == STALE_LEASE
    assert (await shop.get_job(job.job_id)).tasks[0].state == job_pb2.TASK_STATE_RUNNING
    assert await connector.succeed(command, granted.lease_token) == ACCEPTED


async def test_lease_without_heartbeats_is_lost_and_the_task_tried_again(shop: Shop) -> None:
    """The successor gets the task; the late report of the first holder changes nothing."""
    connector = await shop.open(step("only"))
    job = await shop.create_job()
    command, first = await connector.receive_and_start()
    second_command, second = await connector.receive_and_start()
    assert second_command.task_id == command.task_id
    assert second_command.dispatch > command.dispatch
    assert second.assignment.attempt == 2
    assert await connector.succeed(command, first.lease_token) == STALE_LEASE
    assert await connector.succeed(second_command, second.lease_token) == ACCEPTED
    ended = await shop.wait_for_end(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_COMPLETED
    assert ended.tasks[0].failure_count == 1
    assert (await connector.start(command)).decision == STALE


async def test_heartbeats_keep_a_lease(shop: Shop) -> None:
    """A lease that is extended in time outlives its first duration."""
    connector = await shop.open(step("only"))
    await shop.create_job()
    command, granted = await connector.receive_and_start()
    for _ in range(6):
        await asyncio.sleep(0.4)
        response = await connector.heartbeat((command, granted.lease_token))
        assert response.results[0].directive == rpc.TASK_DIRECTIVE_CONTINUE
    assert await connector.succeed(command, granted.lease_token) == ACCEPTED
    lost = await connector.heartbeat((command, granted.lease_token))
    assert lost.results[0].directive == rpc.TASK_DIRECTIVE_LEASE_LOST


async def test_attempt_longer_than_its_step_allows_is_failed_despite_heartbeats(shop: Shop) -> None:
    """The start-to-close timeout ends an attempt that only pretends to live."""
    connector = await shop.open(step("only", timeout_seconds=1.0))
    job = await shop.create_job(max_retries=0)
    command, granted = await connector.receive_and_start()
    for _ in range(12):
        await connector.heartbeat((command, granted.lease_token))
        await asyncio.sleep(0.25)
    ended = await shop.get_job(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_FAILED
    assert ended.failure.code == "START_TO_CLOSE_TIMEOUT"


async def test_unstarted_task_is_rung_again_under_the_next_number(shop: Shop) -> None:
    """A command that nobody starts is published again, and only the newest is granted."""
    connector = await shop.open(step("only"))
    await shop.create_job()
    lost = await connector.receive()
    rung = await connector.receive()
    assert (rung.task_id, rung.dispatch) == (lost.task_id, lost.dispatch + 1)
    assert (await connector.start(lost)).decision == STALE
    assert (await connector.start(rung)).decision == GRANTED


async def test_released_lease_is_dispatched_at_once_and_burns_no_retry(shop: Shop) -> None:
    """A connector that drains gives its task to another without a mark on it."""
    connector = await shop.open(step("only"))
    job = await shop.create_job(max_retries=0)
    command, granted = await connector.receive_and_start()
    await connector.release(command, granted.lease_token)
    again, second = await connector.receive_and_start()
    assert second.assignment.attempt == 2
    assert await connector.succeed(command, granted.lease_token) == STALE_LEASE
    assert await connector.succeed(again, second.lease_token) == ACCEPTED
    assert (await shop.wait_for_end(job.job_id)).tasks[0].failure_count == 0


async def test_retries_are_counted_and_the_last_failure_ends_the_job(shop: Shop) -> None:
    """max_retries retries follow the first attempt, and then the job fails with the error it met."""
    connector = await shop.open(step("only"))
    job = await shop.create_job(max_retries=1)
    for _ in range(2):
        command, granted = await connector.receive_and_start()
        assert await connector.fail(command, granted.lease_token) == ACCEPTED
    ended = await shop.wait_for_end(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_FAILED
    assert (ended.failure.code, ended.failure.http_status) == ("E1", 500)
    assert ended.tasks[0].attempt_count == 2


async def test_retry_keeps_what_earlier_tasks_have_done(shop: Shop) -> None:
    """A failed second task is tried again with the first one's output, which is not made again."""
    connector = await shop.open()
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token, {"made": "once"})
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token)
    command, granted = await connector.receive_and_start()
    assert granted.assignment.outputs[0].output["made"] == "once"
    await connector.succeed(command, granted.lease_token)
    ended = await shop.wait_for_end(job.job_id)
    assert [task.attempt_count for task in ended.tasks] == [1, 2]


async def test_rate_limit_waits_without_burning_a_retry(shop: Shop) -> None:
    """A rate-limited job gives its slot back, waits as long as asked, and loses no retry."""
    connector = await shop.open(step("only"))
    job = await shop.create_job(max_retries=0)
    command, granted = await connector.receive_and_start()
    await connector.fail(
        command, granted.lease_token, failure_pb2.ERROR_CLASS_RATE_LIMITED, retry_after_seconds=1.0
    )
    waiting = await shop.get_job(job.job_id)
    assert waiting.state == job_pb2.JOB_STATE_PENDING
    assert waiting.wait_reason == job_pb2.WAIT_REASON_RATE_LIMITED
    command, granted = await connector.receive_and_start()
    assert await connector.succeed(command, granted.lease_token) == ACCEPTED
    ended = await shop.wait_for_end(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_COMPLETED
    assert ended.tasks[0].failure_count == 0


async def test_permanent_failure_ends_the_job_at_once(shop: Shop) -> None:
    """No attempt follows a permanent failure, and the tasks behind it are cancelled."""
    connector = await shop.open()
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_PERMANENT)
    ended = await shop.wait_for_end(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_FAILED
    assert [task.state for task in ended.tasks] == [job_pb2.TASK_STATE_FAILED, job_pb2.TASK_STATE_CANCELLED]


async def test_job_that_does_not_end_in_time_expires(shop: Shop) -> None:
    """An expired job tells its running attempt to stop and keeps its slot until the lease ends."""
    connector = await shop.open(step("only"), expire_after=Duration(seconds=1))
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    directives = set()
    for _ in range(10):
        response = await connector.heartbeat((command, granted.lease_token))
        directives.add(response.results[0].directive)
        await asyncio.sleep(0.25)
    assert rpc.TASK_DIRECTIVE_CANCEL in directives
    ended = await shop.get_job(job.job_id)
    assert ended.state == job_pb2.JOB_STATE_EXPIRED
    assert ended.failure.code == "JOB_EXPIRED"
    await shop.wait_until_archived(job.job_id)


@pytest.mark.parametrize("connectors", [1, 3])
async def test_many_jobs_end_whoever_runs_them(shop: Shop, connectors: int) -> None:
    """Jobs of many products end however many connectors share them, and nothing is left in the live tables."""
    first = await shop.open(step("only"), slots=5)
    others = [await shop.add_connector(first.manifest, slots=5) for _ in range(connectors - 1)]
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(30)]
    jobs = [await shop.create_job(product_id) for product_id in products]

    async def work(connector: Connector) -> None:
        while True:
            command, granted = await connector.receive_and_start()
            if granted.decision == GRANTED:
                await connector.succeed(command, granted.lease_token)

    workers = [asyncio.create_task(work(c)) for c in [first, *others]]
    for job in jobs:
        assert (await shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    for job in jobs:
        await shop.wait_until_archived(job.job_id)


async def test_variant_of_a_manifest_version_is_run_by_every_instance_of_that_version(shop: Shop) -> None:
    """A job planned under other times is not stranded when its connector restarts with new ones."""
    old = manifest(shop.marketplace, step("only"))
    old.version = "1+timeout.5"
    connector = await shop.add_connector(old)
    shop.tenant_id = await shop.stubs.create_tenant()
    shop.account_id = await shop.stubs.create_account(shop.tenant_id, shop.marketplace)
    await shop.create_job()
    command = await connector.receive()
    connector.manifest = manifest(shop.marketplace, step("only", timeout_seconds=5))
    connector.manifest.version = "1+timeout.9"
    await connector.register()
    assert (await connector.start(command)).decision == GRANTED
