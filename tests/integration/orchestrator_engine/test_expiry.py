"""When a job's time runs out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.common.v1 import failure_pb2
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.batch_shop import create_batch, jobs_of
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import step
from tests.integration.orchestrator_engine.control import control

EXPIRE_AFTER = timedelta(seconds=600)
SLACK = timedelta(milliseconds=100)


def _in(seconds: int) -> Timestamp:
    time = Timestamp()
    time.GetCurrentTime()
    time.seconds += seconds
    return time


def _time_to_run(job: job_pb2.Job) -> timedelta:
    return job.expire_time.ToDatetime() - job.not_before_time.ToDatetime()


async def test_delayed_job_has_its_whole_time_from_when_it_may_start(shop: Shop) -> None:
    """A job that may not start within its time is not over before it could begin."""
    await shop.open(step("only"))
    job = await shop.create_job(not_before_time=_in(3600))
    assert _time_to_run(job) == EXPIRE_AFTER


async def test_jobs_of_a_delayed_batch_have_their_whole_time(shop: Shop) -> None:
    """What holds for one job holds for those of a batch."""
    await shop.open(step("only"))
    product_id = await shop.stubs.create_product(shop.tenant_id)
    batch = await create_batch(shop, [product_id], not_before_time=_in(3600))
    (job,) = await jobs_of(shop, batch.batch_id)
    assert _time_to_run(job) == EXPIRE_AFTER


async def test_time_in_the_past_makes_no_job_expire_earlier(shop: Shop) -> None:
    """A job that could have started long ago has its time from its creation."""
    await shop.open(step("only"))
    job = await shop.create_job(not_before_time=_in(-3600))
    assert job.expire_time.ToDatetime() - job.create_time.ToDatetime() == EXPIRE_AFTER


async def test_retry_of_a_job_that_was_delayed_has_the_same_time_again(shop: Shop) -> None:
    """The delay of the first run does not lengthen the second."""
    connector = await shop.open(step("only"))
    job = await shop.create_job(not_before_time=_in(2))
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_PERMANENT)
    await shop.wait_for_end(job.job_id)
    await control(shop, "retry", job.job_id)
    rows: Any = await shop.query(
        "SELECT expire_time - queue_time FROM public.live_jobs WHERE job_id = %s", job.job_id
    )
    assert abs(rows[0][0] - EXPIRE_AFTER) < SLACK
