"""Tasks that results append, starts that time out, and jobs that stand still."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc.aio
import pytest
from google.protobuf import struct_pb2
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import manifest, step
from tests.integration.orchestrator_engine.control import (
    Scene,
    control,
    eventually,
    expire_now,
    reason_of,
    state_of,
    wait_until_archived,
)

ACCEPTED = rpc.REPORT_DECISION_ACCEPTED
INVALID = rpc.REPORT_DECISION_INVALID
STEPS = (step("fetch"), step("page", follow_up=True), step("finish"))
CANCEL_TASKS = """
    UPDATE public.live_tasks SET state = 'CANCELLED', dispatch_time = NULL, finish_time = now() WHERE job_id = %s"""


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases long enough for a test to act within one, on a busy machine as well."""
    return {"LEASE_SECONDS": "3"}


def page(**values: Any) -> task_pb2.FollowUpTask:
    struct = struct_pb2.Struct()
    struct.update(values)
    return task_pb2.FollowUpTask(name="page", input=struct)


async def test_result_appends_tasks_that_run_next_with_their_input(shop: Shop) -> None:
    """Pages are fetched one after the other before the planned rest, each with what the one before gave it."""
    connector = await shop.open(*STEPS)
    job = await shop.create_job()
    assert [task.name for task in job.tasks] == ["fetch", "finish"]
    command, granted = await connector.receive_and_start()
    assert not granted.assignment.HasField("input")
    appended = [page(cursor="a"), page(cursor="b")]
    assert (await connector.append(command, granted.lease_token, *appended)).decision == ACCEPTED
    for cursor, further in (("a", [page(cursor="a2")]), ("a2", []), ("b", [])):
        command, granted = await connector.receive_and_start()
        assert (granted.assignment.name, granted.assignment.input["cursor"]) == ("page", cursor)
        await connector.append(command, granted.lease_token, *further)
    command, granted = await connector.receive_and_start()
    assert granted.assignment.name == "finish"
    await connector.succeed(command, granted.lease_token)
    job = await shop.wait_for_end(job.job_id)
    await wait_until_archived(shop, job.job_id)
    job = await shop.get_job(job.job_id)
    assert [(task.position, task.name) for task in job.tasks] == [
        (0, "fetch"),
        (1, "page"),
        (2, "page"),
        (3, "page"),
        (4, "finish"),
    ]
    assert [task.input["cursor"] for task in job.tasks[1:4]] == ["a", "a2", "b"]
    assert (await shop.events(job.job_id)).count("TASKS_APPENDED") == 2


async def test_same_report_again_appends_nothing_more(shop: Shop) -> None:
    """A report whose answer was lost is answered ACCEPTED and its tasks exist once."""
    connector = await shop.open(*STEPS)
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    for _ in range(3):
        result = await connector.append(command, granted.lease_token, page(cursor="a"))
        assert result.decision == ACCEPTED
    names = [task.name for task in (await shop.get_job(job.job_id)).tasks]
    assert names == ["fetch", "page", "finish"]


@pytest.mark.parametrize("name", ["finish", "unknown"])
async def test_only_steps_marked_for_it_are_appended(shop: Shop, name: str) -> None:
    """Another name is INVALID, names the step, and leaves the attempt running."""
    connector = await shop.open(*STEPS)
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    wrong = task_pb2.FollowUpTask(name=name)
    result = await connector.append(command, granted.lease_token, page(), wrong)
    assert result.decision == INVALID
    assert name in result.message
    assert len((await shop.get_job(job.job_id)).tasks) == 2
    assert await connector.succeed(command, granted.lease_token) == ACCEPTED


async def test_job_has_a_greatest_number_of_tasks(shop: Shop) -> None:
    """A result that would make a job of 1001 tasks is INVALID; one that makes 1000 is accepted."""
    connector = await shop.open(*STEPS)
    job = await shop.create_job()
    for _ in range(9):
        command, granted = await connector.receive_and_start()
        result = await connector.append(command, granted.lease_token, *(page() for _ in range(100)))
        assert result.decision == ACCEPTED
    command, granted = await connector.receive_and_start()
    result = await connector.append(command, granted.lease_token, *(page() for _ in range(99)))
    assert (result.decision, "1001" in result.message) == (INVALID, True)
    result = await connector.append(command, granted.lease_token, *(page() for _ in range(98)))
    assert result.decision == ACCEPTED
    tasks = (await shop.get_job(job.job_id)).tasks
    assert [task.position for task in tasks] == list(range(1000))
    assert tasks[-1].name == "finish"


async def test_inputs_are_bounded(shop: Shop) -> None:
    """Inputs of more than 256 KiB together are INVALID."""
    connector = await shop.open(*STEPS)
    await shop.create_job()
    command, granted = await connector.receive_and_start()
    text = "x" * 100_000
    result = await connector.append(
        command, granted.lease_token, *(page(text=text, number=n) for n in range(3))
    )
    assert (result.decision, "262144" in result.message) == (INVALID, True)


async def test_paused_job_keeps_what_its_attempt_appended(shop: Shop) -> None:
    """What a result appends to a paused job runs after the resume."""
    connector = await shop.open(*STEPS)
    job_id, lease = await Scene(shop, connector).leased()
    await control(shop, "pause", job_id)
    await connector.append(*lease, page(cursor="a"))
    await control(shop, "resume", job_id)
    _, granted = await connector.receive_and_start()
    assert granted.assignment.input["cursor"] == "a"


async def test_expired_job_comes_to_what_its_attempt_appended_in_its_next_run(shop: Shop) -> None:
    """The late result of an expired job is not forgotten by a retry, through the history and back."""
    connector = await shop.open(*STEPS)
    job_id, lease = await Scene(shop, connector).leased()
    await expire_now(shop, job_id)
    assert (await connector.append(*lease, page(cursor="a"))).decision == ACCEPTED
    await wait_until_archived(shop, job_id)
    states = [job_pb2.TaskState.Name(task.state) for task in (await shop.get_job(job_id)).tasks]
    assert states == ["TASK_STATE_COMPLETED", "TASK_STATE_CANCELLED", "TASK_STATE_CANCELLED"]
    await control(shop, "retry", job_id)
    _, granted = await connector.receive_and_start()
    assert (granted.assignment.name, granted.assignment.input["cursor"]) == ("page", "a")


async def test_retried_follow_up_gets_its_input_again(shop: Shop) -> None:
    """The input belongs to the task, not to an attempt."""
    connector = await shop.open(*STEPS)
    await shop.create_job()
    command, granted = await connector.receive_and_start()
    await connector.append(command, granted.lease_token, page(cursor="a"))
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token)
    _, granted = await connector.receive_and_start()
    assert (granted.assignment.attempt, granted.assignment.input["cursor"]) == (2, "a")


async def test_manifest_of_follow_ups_alone_or_fanned_out_is_refused(shop: Shop) -> None:
    """An action needs a planned step, and a follow-up does not fan out; both are named."""
    content = manifest(shop.marketplace, step("page", follow_up=True), requires_product=True)
    content.actions[0].tasks[0].for_each = "images"
    request = rpc.RegisterConnectorRequest(instance_id=str(uuid.uuid4()), manifest=content, slots=1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.stubs.connector.RegisterConnector(request)
    assert reason_of(caught.value) == "INVALID_ARGUMENT MANIFEST_INVALID"
    details = str(caught.value.details())
    assert "manifest.actions[0].tasks[0].for_each" in details
    assert "manifest.actions[0].tasks:" in details


async def test_job_that_would_have_no_task_is_refused(shop: Shop) -> None:
    """A product without images leaves nothing to do for an action that fans out over them alone."""
    spec = step("upload")
    spec.for_each = "images"
    await shop.open(spec, requires_product=True)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shop.create_job(product_id)
    assert reason_of(caught.value) == "INVALID_ARGUMENT PRODUCT_REFUSED"


async def test_attempt_that_nobody_starts_in_time_counts_as_failed(shop: Shop) -> None:
    """After its time the step burns a retry, says why, and its old command is stale."""
    connector = await shop.open(step("only", start_timeout_seconds=0.5))
    job = await shop.create_job()
    late = await connector.receive()
    in_time, granted = await connector.receive_and_start()
    assert (in_time.task_id, granted.assignment.attempt) == (late.task_id, 2)
    assert (await connector.start(late)).decision == rpc.START_DECISION_STALE
    task = (await shop.get_job(job.job_id)).tasks[0]
    assert (task.failure_count, task.failure.code) == (1, "SCHEDULE_TO_START_TIMEOUT")
    assert task.failure.effect_outcome == failure_pb2.EFFECT_OUTCOME_NOT_SENT
    await asyncio.sleep(0.7)
    # The time counts until the start only.
    await connector.heartbeat((in_time, granted.lease_token))
    assert await connector.succeed(in_time, granted.lease_token) == ACCEPTED


async def test_job_fails_when_too_many_starts_time_out(shop: Shop) -> None:
    """Without retries the first late start fails the job."""
    connector = await shop.open(step("only", start_timeout_seconds=0.3), default_max_retries=0)
    job = await shop.create_job()
    await connector.receive()
    ended = await shop.wait_for_end(job.job_id)
    assert (state_of(ended), ended.failure.code) == ("FAILED", "SCHEDULE_TO_START_TIMEOUT")
    assert (await shop.events(job.job_id))[-2:] == ["TASK_FAILED", "FAILED"]


async def test_ringing_again_does_not_lengthen_the_time_to_start(shop: Shop) -> None:
    """The time counts from the first command, however often it is published."""
    connector = await shop.open(step("only", start_timeout_seconds=3), default_max_retries=0)
    job = await shop.create_job()
    first, second = await connector.receive(), await connector.receive()
    assert second.dispatch == first.dispatch + 1
    assert state_of(await shop.wait_for_end(job.job_id)) == "FAILED"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            "UPDATE public.live_tasks SET dispatch_time = NULL, deadline_time = NULL WHERE job_id = %s",
            "RUNNING",
        ),
        (CANCEL_TASKS, "FAILED"),
    ],
    ids=["command forgotten", "task ended"],
)
async def test_job_that_stands_still_is_found(shop: Shop, fault: str, expected: str) -> None:
    """A running job of which nothing is under way is dispatched again, or fails when it cannot be."""
    connector = await shop.open(step("only"))
    job = await shop.create_job()
    first = await connector.receive()
    await shop.query(f"{fault} RETURNING 1", job.job_id)
    if expected == "RUNNING":
        assert (await connector.receive()).dispatch == first.dispatch + 1
        assert state_of(await shop.get_job(job.job_id)) == "RUNNING"
    else:
        ended = await shop.wait_for_end(job.job_id)
        assert (state_of(ended), ended.failure.code) == ("FAILED", "JOB_STUCK")


async def test_slot_that_a_stopped_job_kept_is_freed(shop: Shop) -> None:
    """A paused job that holds a slot without an attempt gives it back."""
    connector = await shop.open(step("only"), slots=1)
    scene = Scene(shop, connector)
    job_id = await scene.paused()
    await shop.query("UPDATE public.live_jobs SET admit_time = now() WHERE job_id = %s RETURNING 1", job_id)

    async def is_free() -> bool:
        held = "SELECT 1 FROM public.live_jobs WHERE job_id = %s AND admit_time IS NOT NULL"
        return not await shop.query(held, job_id)

    await eventually(is_free, "the slot is freed")
    assert state_of(await shop.get_job(job_id)) == "PAUSED"
