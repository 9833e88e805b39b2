"""Cancel, pause, resume and retry: in every state, beside every report, and repeated."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import uuid
from pathlib import Path

import grpc.aio
import pytest
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_sandbox.processes import Supervisor
from stoflow_sandbox.servers import NatsServer, PostgresServer
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import step
from tests.integration.orchestrator_engine.control import (
    CALLS,
    TERMINAL_EVENTS,
    Lease,
    Scene,
    control,
    eventually,
    expire_now,
    outcome,
    reason_of,
    state_of,
    wait_until_archived,
)
from tests.support.orchestrator import Stubs, start_orchestrator

ACCEPTED = rpc.REPORT_DECISION_ACCEPTED
INVALID_STATE = "FAILED_PRECONDITION JOB_STATE_INVALID"


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases long enough for a test to act within one, on a busy machine as well."""
    return {"LEASE_SECONDS": "3", "DISPATCH_TIMEOUT_SECONDS": "20"}


@pytest.fixture
async def scene(shop: Shop) -> Scene:
    return Scene(shop, await shop.open(step("first"), slots=100))


# What each call makes of a job that stands there: its state afterwards, or why the call is refused.
PAIRS = {
    "delayed": ("CANCELLED", "PAUSED", "PENDING", INVALID_STATE),
    "waiting": ("CANCELLED", "PAUSED", "PENDING", INVALID_STATE),
    "dispatched": ("CANCELLED", "PAUSED", "RUNNING", INVALID_STATE),
    "leased": ("CANCELLED", "PAUSED", "RUNNING", INVALID_STATE),
    "paused": ("CANCELLED", "PAUSED", "PENDING", INVALID_STATE),
    "paused_leased": ("CANCELLED", "PAUSED", INVALID_STATE, INVALID_STATE),
    "completed": (INVALID_STATE, INVALID_STATE, INVALID_STATE, INVALID_STATE),
    "failed": (INVALID_STATE, INVALID_STATE, INVALID_STATE, "PENDING"),
    "cancelled": ("CANCELLED", INVALID_STATE, INVALID_STATE, INVALID_STATE),
    "cancelled_leased": ("CANCELLED", INVALID_STATE, INVALID_STATE, INVALID_STATE),
    "expired": (INVALID_STATE, INVALID_STATE, INVALID_STATE, "PENDING"),
    "expired_leased": (INVALID_STATE, INVALID_STATE, INVALID_STATE, INVALID_STATE),
}


@pytest.mark.parametrize("place", PAIRS)
async def test_each_call_does_to_a_job_in_this_state_what_the_contract_says(scene: Scene, place: str) -> None:
    """Every pair of state and call ends in its state or is refused, and a refused call leaves no event."""
    for call, expected in zip(CALLS, PAIRS[place], strict=True):
        made = await getattr(scene, place)()
        job_id = made if isinstance(made, str) else made[0]
        before = await scene.shop.events(job_id)
        assert (call, await outcome(scene.shop, call, job_id)) == (call, expected)
        after = await scene.shop.events(job_id)
        if expected == INVALID_STATE:
            assert after == before
        elif call == "retry":
            # It may be admitted at once.
            assert after[: len(before) + 1] == [*before, "RETRIED"]
        else:
            ended = [event for event in after if event in TERMINAL_EVENTS]
            assert len(ended) == (1 if expected == "CANCELLED" else 0)


@pytest.mark.parametrize("call", CALLS)
async def test_unknown_and_foreign_jobs_are_not_found(scene: Scene, call: str) -> None:
    """A job that does not exist and one of another tenant are answered alike, and nothing is changed."""
    job_id = await scene.delayed()
    assert await outcome(scene.shop, call, str(uuid.uuid4())) == "NOT_FOUND JOB_NOT_FOUND"
    other = Shop(scene.shop.orchestrator, scene.shop.stubs)
    other.tenant_id = await scene.shop.stubs.create_tenant()
    assert await outcome(other, call, job_id) == "NOT_FOUND JOB_NOT_FOUND"
    assert await scene.shop.events(job_id) == ["CREATED"]


async def test_cancel_of_a_running_attempt_ends_the_job_at_once_and_keeps_the_slot(scene: Scene) -> None:
    """The attempt hears CANCEL, its lease is not extended, and its job's slot stays taken until it reports."""
    job_id, lease = await scene.leased()
    assert await outcome(scene.shop, "cancel", job_id) == "CANCELLED"
    held = "SELECT admit_time IS NOT NULL FROM public.live_jobs WHERE job_id = %s"
    assert await scene.shop.query(held, job_id) == [(True,)]
    expires = "SELECT lease_expire_time FROM public.live_tasks WHERE job_id = %s"
    before = await scene.shop.query(expires, job_id)
    response = await scene.connector.heartbeat(lease)
    assert response.results[0].directive == rpc.TASK_DIRECTIVE_CANCEL
    assert await scene.shop.query(expires, job_id) == before
    assert await scene.connector.fail(*lease) == ACCEPTED
    await wait_until_archived(scene.shop, job_id)
    job = await scene.shop.get_job(job_id)
    assert job_pb2.TaskState.Name(job.tasks[0].state) == "TASK_STATE_CANCELLED"
    assert (await scene.shop.events(job_id))[-2:] == ["CANCELLED", "TASK_FAILED"]


async def test_attempt_that_ignores_a_cancel_loses_its_lease(scene: Scene) -> None:
    """After at most one lease the slot is free, and what is reported then is stale."""
    job_id, lease = await scene.leased()
    await control(scene.shop, "cancel", job_id)
    for _ in range(3):
        await scene.connector.heartbeat(lease)
    await wait_until_archived(scene.shop, job_id)
    assert await scene.connector.succeed(*lease) == rpc.REPORT_DECISION_STALE_LEASE
    assert state_of(await scene.shop.get_job(job_id)) == "CANCELLED"


async def test_success_after_a_cancel_is_kept_and_completes_nothing(scene: Scene) -> None:
    """The task is COMPLETED with its output; the job stays CANCELLED."""
    job_id, lease = await scene.leased()
    await control(scene.shop, "cancel", job_id)
    assert await scene.connector.succeed(*lease, output={"a": 1}) == ACCEPTED
    await wait_until_archived(scene.shop, job_id)
    job = await scene.shop.get_job(job_id)
    assert (state_of(job), job.tasks[0].output["a"]) == ("CANCELLED", 1)


async def test_regrant_of_a_cancelled_attempt_is_refused(scene: Scene) -> None:
    """A connector that asks again because the answer was lost does not begin a cancelled task."""
    job_id, (command, token) = await scene.leased()
    await control(scene.shop, "cancel", job_id)
    assert (await scene.connector.start(command, token)).decision == rpc.START_DECISION_STALE


async def test_pause_of_a_running_attempt_lets_it_complete_its_step(shop: Shop) -> None:
    """PAUSE is told, a success counts, nothing more is dispatched until the job is resumed."""
    connector = await shop.open(step("first"), step("second"))
    scene = Scene(shop, connector)
    job_id, lease = await scene.leased()
    assert await outcome(shop, "pause", job_id) == "PAUSED"
    response = await connector.heartbeat(lease)
    assert response.results[0].directive == rpc.TASK_DIRECTIVE_PAUSE
    assert await outcome(shop, "resume", job_id) == INVALID_STATE
    assert await connector.succeed(*lease) == ACCEPTED
    assert state_of(await shop.get_job(job_id)) == "PAUSED"
    assert await outcome(shop, "resume", job_id) in {"PENDING", "RUNNING"}
    command, granted = await connector.receive_and_start()
    assert granted.assignment.name == "second"
    await connector.succeed(command, granted.lease_token)
    assert state_of(await shop.wait_for_end(job_id)) == "COMPLETED"


async def test_last_step_of_a_paused_job_completes_it(scene: Scene) -> None:
    """Nothing is left to hold back: the job is COMPLETED."""
    job_id, lease = await scene.leased()
    await control(scene.shop, "pause", job_id)
    await scene.connector.succeed(*lease)
    assert state_of(await scene.shop.get_job(job_id)) == "COMPLETED"


@pytest.mark.parametrize("once", ["", "listing"])
async def test_wait_for_a_person_is_ended_by_resuming(shop: Shop, once: str) -> None:
    """Of a step without an effect, or with one that was certainly not sent, there is nothing to settle."""
    connector = await shop.open(step("only", once=once))
    job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    command, granted = await connector.receive_and_start()
    await connector.fail(
        command,
        granted.lease_token,
        failure_pb2.ERROR_CLASS_NEEDS_HUMAN,
        failure_pb2.EFFECT_OUTCOME_NOT_SENT,
    )
    assert (await shop.get_job(job.job_id)).wait_reason == job_pb2.WAIT_REASON_NEEDS_HUMAN
    resumed = await control(shop, "resume", job.job_id)
    assert resumed.wait_reason == job_pb2.WAIT_REASON_UNSPECIFIED
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token, remote_id="r1")
    assert (await shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED
    assert "RESUMED" in await shop.events(job.job_id)


@pytest.mark.parametrize(
    ("error_class", "state", "failure_count"),
    [
        (failure_pb2.ERROR_CLASS_RETRYABLE, "PAUSED", 0),
        (failure_pb2.ERROR_CLASS_RATE_LIMITED, "PAUSED", 0),
        (failure_pb2.ERROR_CLASS_NEEDS_HUMAN, "PAUSED", 0),
        (failure_pb2.ERROR_CLASS_PERMANENT, "FAILED", 0),
    ],
)
async def test_failure_of_a_paused_attempt_burns_no_retry_unless_it_is_permanent(
    scene: Scene, error_class: failure_pb2.ErrorClass.ValueType, state: str, failure_count: int
) -> None:
    """The task waits for the resume as it was; a permanent failure fails the job all the same."""
    job_id, lease = await scene.leased()
    await control(scene.shop, "pause", job_id)
    assert await scene.connector.fail(*lease, error_class=error_class) == ACCEPTED
    job = await scene.shop.get_job(job_id)
    assert (state_of(job), job.tasks[0].failure_count) == (state, failure_count)


async def test_lost_lease_of_a_paused_attempt_burns_no_retry(scene: Scene) -> None:
    """The attempt that never stopped is given up, and the job can be resumed."""
    job_id, _ = await scene.leased()
    await control(scene.shop, "pause", job_id)

    async def resumed() -> bool:
        return await outcome(scene.shop, "resume", job_id) in {"PENDING", "RUNNING"}

    await eventually(resumed, "the lease of the paused attempt ends")
    job = await scene.shop.get_job(job_id)
    assert job.tasks[0].failure_count == 0
    command, granted = await scene.connector.receive_and_start()
    assert granted.assignment.attempt == 2
    await scene.connector.succeed(command, granted.lease_token)


async def test_resumed_job_still_waits_for_what_the_marketplace_asked(scene: Scene) -> None:
    """Pausing and resuming is no way around a rate limit."""
    job_id = await scene.waiting()
    await control(scene.shop, "pause", job_id)
    await control(scene.shop, "resume", job_id)
    later = "SELECT next_time > now() + interval '50 minutes' FROM public.live_jobs WHERE job_id = %s"
    assert await scene.shop.query(later, job_id) == [(True,)]


async def test_command_of_a_paused_job_is_stale_and_the_slot_is_free(shop: Shop) -> None:
    """A dispatched job that is paused gives its slot to another."""
    connector = await shop.open(step("first"), slots=1)
    scene = Scene(shop, connector)
    job_id = await scene.new()
    command = await connector.receive()
    await control(shop, "pause", job_id)
    assert (await connector.start(command)).decision == rpc.START_DECISION_STALE
    other = await scene.new()
    assert (await connector.receive()).job_id == other


@pytest.mark.parametrize("call", CALLS)
async def test_repeated_request_repeats_its_answer_and_does_nothing_more(scene: Scene, call: str) -> None:
    """Twenty callers with one request_id do it once; the same id for another job is refused."""
    place = {"cancel": scene.delayed, "pause": scene.delayed, "resume": scene.paused, "retry": scene.failed}
    job_id, other = await place[call](), await scene.delayed()
    before = await scene.shop.events(job_id)
    request_id = str(uuid.uuid4())
    await asyncio.gather(*(control(scene.shop, call, job_id, request_id) for _ in range(20)))
    after = await scene.shop.events(job_id)
    done = {"cancel": "CANCELLED", "pause": "PAUSED", "resume": "RESUMED", "retry": "RETRIED"}[call]
    assert after.count(done) == before.count(done) + 1
    assert await outcome(scene.shop, call, other, request_id) == "ALREADY_EXISTS REQUEST_ID_REUSED"
    assert await scene.shop.events(other) == ["CREATED"]


async def test_repeated_retry_is_answered_although_the_job_has_moved_on(scene: Scene) -> None:
    """The request_id of a retry is remembered when its state would no longer allow it."""
    job_id, request_id = await scene.failed(), str(uuid.uuid4())
    await control(scene.shop, "retry", job_id, request_id)
    command, granted = await scene.connector.receive_and_start()
    await scene.connector.succeed(command, granted.lease_token)
    await scene.shop.wait_for_end(job_id)
    assert await outcome(scene.shop, "retry", job_id, request_id) == "COMPLETED"
    assert await outcome(scene.shop, "retry", job_id) == INVALID_STATE


async def test_refused_call_leaves_its_request_id_unused(scene: Scene) -> None:
    """What was refused may be asked again under the same id once the state allows it."""
    job_id, lease = await scene.leased()
    request_id = str(uuid.uuid4())
    assert await outcome(scene.shop, "retry", job_id, request_id) == INVALID_STATE
    await scene.connector.fail(*lease, error_class=failure_pb2.ERROR_CLASS_PERMANENT)
    assert await outcome(scene.shop, "retry", job_id, request_id) in {"PENDING", "RUNNING"}


async def test_completion_and_cancel_never_overwrite_each_other(scene: Scene) -> None:
    """Of forty pairs that race, each job has one terminal event, and both callers were told the truth."""
    job_ids = await asyncio.gather(*(scene.new() for _ in range(40)))
    commands = [await scene.connector.receive() for _ in job_ids]
    grants = await asyncio.gather(*(scene.connector.start(command) for command in commands))
    leases = [(command, grant.lease_token) for command, grant in zip(commands, grants, strict=True)]

    async def race(lease: Lease) -> tuple[str, int]:
        job_id = lease[0].job_id

        async def cancel() -> str:
            await asyncio.sleep(random.uniform(0, 0.05))
            return await outcome(scene.shop, "cancel", job_id)

        async def report() -> int:
            await asyncio.sleep(random.uniform(0, 0.05))
            return await scene.connector.succeed(*lease)

        told, decision = await asyncio.gather(cancel(), report())
        return told, decision

    results = await asyncio.gather(*(race(lease) for lease in leases))
    for lease, (told, decision) in zip(leases, results, strict=True):
        job = await scene.shop.get_job(lease[0].job_id)
        ended = [e for e in await scene.shop.events(job.job_id) if e in TERMINAL_EVENTS]
        assert ended == [state_of(job)]
        assert decision == ACCEPTED
        assert job_pb2.TaskState.Name(job.tasks[0].state) == "TASK_STATE_COMPLETED"
        expected = "CANCELLED" if state_of(job) == "CANCELLED" else INVALID_STATE
        assert told == expected
    facts = await scene.shop.query(
        "SELECT count(*) FROM public.live_jobs WHERE tenant_id = %s AND admit_time IS NOT NULL",
        scene.shop.tenant_id,
    )
    assert facts == [(0,)]


class Storm:
    """Connectors and people who act at random, until it is over."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.rng = random.Random(seed)
        self.is_over = asyncio.Event()

    async def work(self) -> None:
        """Takes commands and reports something."""
        connector = self.scene.connector
        while not self.is_over.is_set():
            try:
                command = await connector.receive(0.5)
            except TimeoutError:
                continue
            grant = await connector.start(command)
            if grant.decision != rpc.START_DECISION_GRANTED:
                continue
            match self.rng.randrange(4):
                case 0:
                    await connector.fail(command, grant.lease_token)
                case 1:
                    permanent = failure_pb2.ERROR_CLASS_PERMANENT
                    await connector.fail(command, grant.lease_token, error_class=permanent)
                case _:
                    await connector.succeed(command, grant.lease_token)

    async def meddle(self, job_id: str) -> None:
        """Asks for this and that."""
        for call in self.rng.choices(["pause", "resume", "retry", "resume", "pause"], k=6):
            await asyncio.sleep(self.rng.uniform(0, 0.2))
            await outcome(self.scene.shop, call, job_id)
        if self.rng.random() < 0.5:
            await outcome(self.scene.shop, "cancel", job_id)

    async def settle(self, job_id: str) -> None:
        """Waits until the job has ended, however often it was paused, and was archived."""
        shop = self.scene.shop

        async def has_ended() -> bool:
            await outcome(shop, "resume", job_id)
            return state_of(await shop.get_job(job_id)) in TERMINAL_EVENTS

        await eventually(has_ended, f"job {job_id} ends", 60)
        await wait_until_archived(shop, job_id)


async def test_storm_of_calls_and_reports_ends_every_job_once(shop: Shop) -> None:
    """Random cancels, pauses, resumes, retries, successes and failures at once leave nothing behind."""
    connector = await shop.open(step("first"), step("second"), slots=30, default_max_retries=1)
    scene = Scene(shop, connector)
    storm = Storm(scene, seed=7)
    job_ids = await asyncio.gather(*(scene.new() for _ in range(30)))
    worker = asyncio.create_task(storm.work())
    await asyncio.gather(*(storm.meddle(job_id) for job_id in job_ids))
    await asyncio.gather(*(storm.settle(job_id) for job_id in job_ids))
    storm.is_over.set()
    await worker
    for job_id in job_ids:
        events = await shop.events(job_id)
        runs = events.count("RETRIED") + 1
        assert len([e for e in events if e in TERMINAL_EVENTS]) == runs
        assert (await shop.get_job(job_id)).run == runs
    left = "SELECT count(*) FROM public.live_tasks JOIN public.live_jobs USING (job_id) WHERE tenant_id = %s"
    assert await shop.query(left, shop.tenant_id) == [(0,)]


@pytest.mark.parametrize("is_moved", [True, False], ids=["archived", "not yet archived"])
async def test_retry_keeps_what_is_done_and_runs_the_rest_again(shop: Shop, is_moved: bool) -> None:
    """Outputs, dispatch numbers and history go on; retries, run and time to expire begin anew."""
    connector = await shop.open(step("first"), step("second"), step("third"), default_max_retries=0)
    scene = Scene(shop, connector)
    job_id, lease = await scene.leased()
    await connector.succeed(*lease, output={"a": 1})
    command, granted = await connector.receive_and_start()
    hold = None if is_moved else asyncio.create_task(_hold_history(shop))
    if hold is not None:
        await asyncio.sleep(0.3)
    await connector.fail(command, granted.lease_token)
    if is_moved:
        await wait_until_archived(shop, job_id)
    job = await control(shop, "retry", job_id)
    assert (job.run, job.tasks[0].output["a"]) == (2, 1)
    assert (job.tasks[1].attempt_count, job.tasks[1].failure_count) == (0, 0)
    assert not job.HasField("failure")
    assert not job.HasField("finish_time")
    remaining = job.expire_time.ToDatetime() - job.create_time.ToDatetime()
    assert remaining.total_seconds() > 600
    if hold is not None:
        hold.cancel()
    again, granted = await connector.receive_and_start()
    assert (again.task_id, again.dispatch) == (command.task_id, command.dispatch + 1)
    assert [output.name for output in granted.assignment.outputs] == ["first"]
    assert granted.assignment.attempt == 1
    await connector.succeed(again, granted.lease_token)
    last, granted = await connector.receive_and_start()
    await connector.succeed(last, granted.lease_token)
    ended = await shop.wait_for_end(job_id)
    assert (state_of(ended), ended.run) == ("COMPLETED", 2)
    events = await shop.events(job_id)
    assert events[:2] == ["CREATED", "ADMITTED"]
    assert [e for e in events if e in {*TERMINAL_EVENTS, "RETRIED"}] == ["FAILED", "RETRIED", "COMPLETED"]


async def _hold_history(shop: Shop) -> None:
    """Keeps the archiver from writing the tenant's jobs."""
    lock = f"LOCK TABLE user_{shop.tenant_id}.marketplace_jobs IN SHARE MODE; SELECT pg_sleep(5)"
    await shop.query(lock)


async def test_retry_of_a_once_step_probes_what_the_first_run_may_have_sent(shop: Shop) -> None:
    """The record of an effect outlives the run."""
    connector = await shop.open(step("make", once="listing"), default_max_retries=0)
    scene = Scene(shop, connector)
    job_id, lease = await scene.leased()
    await connector.fail(*lease, outcome=failure_pb2.EFFECT_OUTCOME_UNKNOWN)
    await wait_until_archived(shop, job_id)
    await control(shop, "retry", job_id)
    command, granted = await connector.receive_and_start()
    assert granted.assignment.effect.mode == task_pb2.EFFECT_MODE_PROBE
    await connector.succeed(command, granted.lease_token, remote_id="r1")
    assert state_of(await shop.wait_for_end(job_id)) == "COMPLETED"


async def test_retried_job_that_had_expired_gets_its_whole_time_again(scene: Scene) -> None:
    """EXPIRED becomes PENDING with the time that the action allows."""
    job_id = await scene.new()
    command = await scene.connector.receive()
    # As if it had been created with a minute to live, most of which has passed.
    await scene.shop.query(
        "UPDATE public.live_jobs SET queue_time = now() - interval '60 seconds', expire_time = now() "
        "WHERE job_id = %s RETURNING 1",
        job_id,
    )
    await expire_now_or_wait(scene, job_id)
    await wait_until_archived(scene.shop, job_id)
    await control(scene.shop, "retry", job_id)
    minute = "expire_time - now() BETWEEN interval '50 seconds' AND interval '61 seconds'"
    left = f"SELECT {minute} FROM public.live_jobs WHERE job_id = %s"
    assert await scene.shop.query(left, job_id) == [(True,)]
    again = await scene.connector.receive()
    assert (again.task_id, again.dispatch) == (command.task_id, command.dispatch + 1)


async def expire_now_or_wait(scene: Scene, job_id: str) -> None:
    """Waits until the reaper has seen that the job's time is over."""

    async def has_expired() -> bool:
        return state_of(await scene.shop.get_job(job_id)) == "EXPIRED"

    await eventually(has_expired, f"job {job_id} expires")


async def test_retried_job_whose_last_step_succeeded_after_it_had_expired_completes_at_once(
    scene: Scene,
) -> None:
    """Nothing is done twice: the late result counts."""
    job_id, lease = await scene.leased()
    await expire_now(scene.shop, job_id)
    assert await scene.connector.succeed(*lease) == ACCEPTED
    await wait_until_archived(scene.shop, job_id)
    await control(scene.shop, "retry", job_id)
    job = await scene.shop.wait_for_end(job_id)
    assert (state_of(job), job.tasks[0].attempt_count) == ("COMPLETED", 1)


async def test_retry_is_refused_while_another_job_does_the_same(scene: Scene) -> None:
    """The live job is named, nothing moves, and the retry succeeds once that one has ended."""
    job_id, lease = await scene.leased()
    product_id = (await scene.shop.get_job(job_id)).product_id
    await scene.connector.fail(*lease, error_class=failure_pb2.ERROR_CLASS_PERMANENT)
    await wait_until_archived(scene.shop, job_id)
    other = await scene.shop.create_job(product_id)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await control(scene.shop, "retry", job_id)
    assert reason_of(caught.value) == "ALREADY_EXISTS JOB_EXISTS"
    assert other.job_id in str(caught.value.details())
    assert state_of(await scene.shop.get_job(job_id)) == "FAILED"
    await control(scene.shop, "cancel", other.job_id)
    assert await outcome(scene.shop, "retry", job_id) in {"PENDING", "RUNNING"}


async def test_jobs_wanted_beside_each_other_run_one_after_the_other(scene: Scene) -> None:
    """allow_duplicate admits a second job for the same thing, and never both at once."""
    product_id = await scene.shop.stubs.create_product(scene.shop.tenant_id)
    first = await scene.shop.create_job(product_id)
    second = await scene.shop.create_job(product_id, allow_duplicate=True)
    third = await scene.shop.create_job(product_id, allow_duplicate=True)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await scene.shop.create_job(product_id)
    assert reason_of(caught.value) == "ALREADY_EXISTS JOB_EXISTS"
    for job in (first, second, third):
        command, granted = await scene.connector.receive_and_start()
        assert command.job_id == job.job_id
        with pytest.raises(TimeoutError):
            await scene.connector.receive(0.3)
        await scene.connector.succeed(command, granted.lease_token)
        await scene.shop.wait_for_end(job.job_id)


async def test_every_wrong_field_of_a_call_is_named_at_once(shop: Shop) -> None:
    """A request without any field right lists all of them."""
    for call, (method, make) in CALLS.items():
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(shop.stubs.jobs, method)(make(request_id="x", job_id="y"))
        assert (call, reason_of(caught.value)) == (call, "INVALID_ARGUMENT INVALID_ARGUMENT")
        assert all(name in str(caught.value.details()) for name in ("request_id", "tenant_id", "job_id"))


async def test_unknown_tenant_is_refused(shop: Shop) -> None:
    """A tenant that does not exist has no jobs to control."""
    shop.tenant_id = 987_654_321
    for call in CALLS:
        assert await outcome(shop, call, str(uuid.uuid4())) == "NOT_FOUND TENANT_NOT_FOUND"


async def test_watcher_of_a_cancelled_job_gets_its_end(scene: Scene) -> None:
    """The stream of a job that is cancelled while its attempt runs ends with the CANCELLED event."""
    job_id, _ = await scene.leased()
    watching = job_service_pb2.WatchJobRequest(tenant_id=scene.shop.tenant_id, job_id=job_id)
    types = []
    async for update in scene.shop.stubs.jobs.WatchJob(watching, timeout=20):
        if update.HasField("job"):
            await control(scene.shop, "cancel", job_id)
        else:
            types.append(job_pb2.JobEventType.Name(update.event.type))
            assert update.event.actor == "caller"
    assert types == ["JOB_EVENT_TYPE_CANCELLED"]


@pytest.mark.parametrize("call", ["cancel", "pause"])
async def test_directive_reaches_a_connector_within_a_fraction_of_its_heartbeat_interval(
    postgres_server: PostgresServer, nats_server: NatsServer, tmp_path: Path, call: str
) -> None:
    """With a heartbeat every twenty seconds, a real connector stops its attempt within three."""
    url = postgres_server.create_database(f"doorbell_{uuid.uuid4().hex}")
    with Supervisor(tmp_path / "services") as supervisor:
        process = start_orchestrator(supervisor, url, nats_server.url, tmp_path, LEASE_SECONDS="60")
        marketplace = f"m{uuid.uuid4().hex[:12]}"
        connector = supervisor.start(
            "connector",
            [sys.executable, "-m", "tests.integration.orchestrator_engine.waiting_connector"],
            {
                **os.environ,
                "ORCHESTRATOR_ADDRESS": process.grpc_address,
                "NATS_URL": nats_server.url,
                "MARKETPLACE": marketplace,
            },
        )
        connector.wait_ready()
        shop = Shop(process, Stubs(process.grpc_address), marketplace)
        shop.tenant_id = await shop.stubs.create_tenant()
        shop.account_id = await shop.stubs.create_account(shop.tenant_id, marketplace)
        job_id = (await shop.create_job()).job_id

        async def is_started() -> bool:
            return "TASK_STARTED" in await shop.events(job_id)

        await eventually(is_started, "the attempt starts")
        await control(shop, call, job_id)
        ended = {"cancel": "TASK_FAILED", "pause": "TASK_RETRIED"}[call]

        async def has_stopped() -> bool:
            return ended in await shop.events(job_id)

        await eventually(has_stopped, "the attempt hears of it", 3)
        await shop.stubs.close()


async def test_concurrent_retries_of_an_archived_job_begin_one_run(scene: Scene) -> None:
    """Of ten callers who know nothing of each other one succeeds, and the others are told the state."""
    job_id = await scene.failed()
    outcomes = await asyncio.gather(*(outcome(scene.shop, "retry", job_id) for _ in range(10)))
    assert outcomes.count(INVALID_STATE) == 9
    assert (await scene.shop.get_job(job_id)).run == 2
    assert (await scene.shop.events(job_id)).count("RETRIED") == 1
