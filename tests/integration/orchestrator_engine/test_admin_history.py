"""Dead letters, effects and the history of events, as operators read and settle them."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
import grpc.aio
import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.admin.v1 import admin_pb2
from stoflow.admin.v1 import admin_service_pb2 as rpc
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import task_pb2
from stoflow.events.v1 import event_pb2
from stoflow.jobs.v1 import job_pb2, job_service_pb2

from stoflow_service_kit.grpc_channel import rich_error
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step
from tests.integration.orchestrator_engine.control import control

PERMANENT = failure_pb2.ERROR_CLASS_PERMANENT


def new_id() -> str:
    return str(uuid.uuid4())


async def fail_job(shop: Shop, connector: Connector) -> str:
    job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, PERMANENT)
    await shop.wait_for_end(job.job_id)
    return job.job_id


async def wait_until_archived(shop: Shop, job_id: str) -> None:
    for _ in range(100):
        if not await shop.query("SELECT 1 FROM public.live_jobs WHERE job_id = %s", job_id):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the job was never archived")


async def letters(shop: Shop, **narrow: Any) -> list[admin_pb2.DeadLetter]:
    filter_ = rpc.DeadLetterFilter(**{"tenant_id": shop.tenant_id, **narrow})
    response = await shop.stubs.admin.ListDeadLetters(rpc.ListDeadLettersRequest(filter=filter_))
    return list(response.dead_letters)


async def reason(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = rich_error(caught.value)
    return error.code, error.reason


async def test_dead_letters_are_listed_with_their_failure_newest_first(shop: Shop) -> None:
    """Failed jobs appear at once and after they were archived, page by page, and filters narrow them."""
    connector = await shop.open(step("only"), slots=4)
    jobs = [await fail_job(shop, connector) for _ in range(3)]
    await wait_until_archived(shop, jobs[0])
    found = await letters(shop)
    assert [letter.job_id for letter in found] == jobs[::-1]
    assert (found[0].state, found[0].failure.code) == (job_pb2.JOB_STATE_FAILED, "E1")
    assert (found[0].marketplace, found[0].action) == (shop.marketplace, "publish")
    pages, token = [], ""
    while True:
        request = rpc.ListDeadLettersRequest(
            filter=rpc.DeadLetterFilter(tenant_id=shop.tenant_id), page_size=2, page_token=token
        )
        page = await shop.stubs.admin.ListDeadLetters(request)
        pages.append([letter.job_id for letter in page.dead_letters])
        token = page.next_page_token
        if not token:
            break
    assert pages == [jobs[:0:-1], jobs[:1]]
    assert len(await letters(shop, tenant_id=0, marketplace=shop.marketplace)) == 3
    assert len(await letters(shop, error_code="E1", action="publish")) == 3
    assert await letters(shop, error_code="E2") == []
    assert await letters(shop, action="delete") == []
    middle = found[1].finish_time
    since = [letter.job_id for letter in await letters(shop, finish_time_from=middle)]
    before = [letter.job_id for letter in await letters(shop, finish_time_to=middle)]
    assert (since, before) == ([jobs[2], jobs[1]], [jobs[0]])


async def test_completed_and_cancelled_jobs_are_no_dead_letters(shop: Shop) -> None:
    """Only FAILED and EXPIRED jobs are listed."""
    connector = await shop.open(step("only"), slots=4, expire_after={"seconds": 3})
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(3)]
    completed = await shop.create_job(products[0])
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    await shop.wait_for_end(completed.job_id)
    far = Timestamp()
    far.GetCurrentTime()
    far.seconds += 1_000
    cancelled = await shop.create_job(products[1], not_before_time=far)
    await shop.stubs.jobs.CancelJob(
        job_service_pb2.CancelJobRequest(
            request_id=new_id(), tenant_id=shop.tenant_id, job_id=cancelled.job_id
        )
    )
    expired = await shop.create_job(products[2])
    await control(shop, "pause", expired.job_id)
    await shop.wait_for_end(expired.job_id)
    (letter,) = await letters(shop)
    assert (letter.job_id, letter.state) == (expired.job_id, job_pb2.JOB_STATE_EXPIRED)
    assert letter.failure.code == "JOB_EXPIRED"


async def test_replay_by_filter_retries_each_job_once_whatever_is_repeated(shop: Shop) -> None:
    """The chosen jobs run again and are no dead letters any more; the same call again changes nothing."""
    connector = await shop.open(step("only"), slots=4)
    jobs = [await fail_job(shop, connector) for _ in range(3)]
    await wait_until_archived(shop, jobs[0])
    request = rpc.ReplayDeadLettersRequest(
        request_id=new_id(),
        filter=rpc.DeadLetterFilter(tenant_id=shop.tenant_id, error_code="E1"),
        max_count=2,
    )
    response = await shop.stubs.admin.ReplayDeadLetters(request)
    assert response.replayed_count == 2
    assert {result.job_id for result in response.results} == set(jobs[1:])
    assert [letter.job_id for letter in await letters(shop)] == jobs[:1]
    for _ in range(2):
        command, granted = await connector.receive_and_start()
        await connector.fail(command, granted.lease_token, PERMANENT)
        await shop.wait_for_end(command.job_id)
    again = await shop.stubs.admin.ReplayDeadLetters(request)
    assert {result.job_id for result in again.results} == set(jobs[1:])
    assert [(await shop.get_job(job_id)).run for job_id in jobs] == [1, 2, 2]
    assert {letter.run for letter in await letters(shop) if letter.job_id in jobs[1:]} == {2}


async def test_replay_by_ids_says_what_it_refused(shop: Shop) -> None:
    """A job whose place was taken is refused with its reason, an unknown one as well, and others are replayed."""
    connector = await shop.open(step("only"), slots=4)
    product_id = await shop.stubs.create_product(shop.tenant_id)
    job = await shop.create_job(product_id)
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, PERMANENT)
    await shop.wait_for_end(job.job_id)
    other = await fail_job(shop, connector)
    await shop.create_job(product_id)
    unknown = new_id()
    request = rpc.ReplayDeadLettersRequest(
        request_id=new_id(), ids=rpc.DeadLetterIds(job_ids=[job.job_id, other, unknown])
    )
    response = await shop.stubs.admin.ReplayDeadLetters(request)
    outcome = {result.job_id: result.refusal_reason for result in response.results}
    assert outcome == {job.job_id: "JOB_EXISTS", other: "", unknown: "JOB_NOT_FOUND"}
    assert response.replayed_count == 1


async def begin_unclear_effect(shop: Shop) -> tuple[Connector, job_pb2.Job, admin_pb2.Effect]:
    """Brings a job to where only a person can tell whether its listing was made."""
    connector = await shop.open(step("create", once="listing"), step("after"), slots=4)
    job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_NEEDS_HUMAN)
    request = rpc.ListEffectsRequest(tenant_id=shop.tenant_id, needs_human=True)
    (effect,) = (await shop.stubs.admin.ListEffects(request)).effects
    return connector, job, effect


async def test_effect_settled_as_done_lets_the_job_adopt_it(shop: Shop) -> None:
    """The waiting job goes on without another look, as what the operator named, and ends COMPLETED."""
    connector, job, effect = await begin_unclear_effect(shop)
    assert (effect.state, effect.name, effect.job_id) == (
        admin_pb2.EFFECT_STATE_UNRESOLVED,
        "listing",
        job.job_id,
    )
    request = rpc.SettleEffectRequest(
        request_id=new_id(), effect_id=effect.effect_id, done=rpc.EffectDone(remote_id="r-77")
    )
    settled = (await shop.stubs.admin.SettleEffect(request)).effect
    assert (settled.state, settled.remote_id) == (admin_pb2.EFFECT_STATE_DONE, "r-77")
    command, granted = await connector.receive_and_start()
    # Not even a successor looks again, since nothing could have been sent.
    await connector.fail(command, granted.lease_token)
    command, granted = await connector.receive_and_start()
    assert granted.assignment.effect.mode == task_pb2.EFFECT_MODE_ADOPT
    assert granted.assignment.effect.remote_id == "r-77"
    assert granted.assignment.effect.generation == effect.generation
    await connector.succeed(command, granted.lease_token, remote_id="r-77")
    command, granted = await connector.receive_and_start()
    await connector.succeed(command, granted.lease_token)
    assert (await shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED
    assert "EFFECT_SETTLED" in await shop.events(job.job_id)


async def test_effect_settled_as_not_sent_is_executed_anew(shop: Shop) -> None:
    """The waiting job goes on with a fresh execution, and the same call again returns the effect."""
    connector, _, effect = await begin_unclear_effect(shop)
    request = rpc.SettleEffectRequest(
        request_id=new_id(), effect_id=effect.effect_id, not_sent=rpc.EffectNotSent()
    )
    settled = (await shop.stubs.admin.SettleEffect(request)).effect
    assert (settled.state, settled.needs_human) == (admin_pb2.EFFECT_STATE_NOT_SENT, False)
    _, granted = await connector.receive_and_start()
    assert granted.assignment.effect.mode == task_pb2.EFFECT_MODE_EXECUTE
    assert granted.assignment.effect.generation == effect.generation + 1
    again = (await shop.stubs.admin.SettleEffect(request)).effect
    assert again.effect_id == effect.effect_id


async def test_settled_and_running_effects_are_not_settled_again(shop: Shop) -> None:
    """A running attempt tells by itself, a settled effect stays as it is, an unknown one is not found."""
    connector = await shop.open(step("create", once="listing"), slots=4)
    job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    command, granted = await connector.receive_and_start()
    effect_id = granted.assignment.effect.key

    def settle(effect: str) -> Any:
        return shop.stubs.admin.SettleEffect(
            rpc.SettleEffectRequest(request_id=new_id(), effect_id=effect, not_sent=rpc.EffectNotSent())
        )

    invalid = (grpc.StatusCode.FAILED_PRECONDITION, "EFFECT_STATE_INVALID")
    assert await reason(settle(effect_id)) == invalid
    await connector.succeed(command, granted.lease_token, remote_id="r-1")
    await shop.wait_for_end(job.job_id)
    assert await reason(settle(effect_id)) == invalid
    await wait_until_archived(shop, job.job_id)
    assert await reason(settle(effect_id)) == invalid
    assert await reason(settle(new_id())) == (grpc.StatusCode.NOT_FOUND, "EFFECT_NOT_FOUND")


async def test_effect_of_an_archived_job_is_settled(shop: Shop) -> None:
    """An effect left open by a job that failed for good can be settled although the job is history."""
    connector = await shop.open(step("create", once="listing"), slots=4)
    job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, PERMANENT)
    await shop.wait_for_end(job.job_id)
    await wait_until_archived(shop, job.job_id)
    listing = rpc.ListEffectsRequest(tenant_id=shop.tenant_id)
    (effect,) = (await shop.stubs.admin.ListEffects(listing)).effects
    request = rpc.SettleEffectRequest(
        request_id=new_id(), effect_id=effect.effect_id, done=rpc.EffectDone(remote_id="r-5")
    )
    settled = (await shop.stubs.admin.SettleEffect(request)).effect
    assert (settled.state, settled.remote_id) == (admin_pb2.EFFECT_STATE_DONE, "r-5")
    assert list((await shop.stubs.admin.ListEffects(listing)).effects) == []
    await control(shop, "retry", job.job_id)
    _, granted = await connector.receive_and_start()
    assert granted.assignment.effect.mode == task_pb2.EFFECT_MODE_ADOPT


async def read_events(shop: Shop, token: str = "", **narrow: Any) -> tuple[list[event_pb2.Event], str]:
    found: list[event_pb2.Event] = []
    while True:
        request = rpc.ListEventsRequest(marketplace=shop.marketplace, page_token=token, **narrow)
        page = await shop.stubs.admin.ListEvents(request)
        found += page.events
        token = page.next_page_token
        if page.is_last:
            return found, token


async def test_events_are_read_page_by_page_and_gone_on_from_the_end(shop: Shop) -> None:
    """Every event comes once in a fixed order whatever the page size, and the last token goes on later."""
    connector = await shop.open(step("first"), step("second"), slots=4)

    async def run_job() -> None:
        job = await shop.create_job(await shop.stubs.create_product(shop.tenant_id))
        for _ in range(2):
            command, granted = await connector.receive_and_start()
            await connector.succeed(command, granted.lease_token)
        await shop.wait_for_end(job.job_id)

    for _ in range(3):
        await run_job()
    all_events, end = await read_events(shop)
    assert [event.WhichOneof("fact") for event in all_events] == [
        "attempt_finished",
        "attempt_finished",
        "run_finished",
    ] * 3
    one_by_one, _ = await read_events(shop, page_size=1)
    assert one_by_one == all_events
    assert len({event.event_id for event in all_events}) == 9
    nothing, end = await read_events(shop, token=end)
    assert nothing == []
    await run_job()
    fresh, _ = await read_events(shop, token=end)
    assert len(fresh) == 3
    assert not {event.event_id for event in fresh} & {event.event_id for event in all_events}


async def test_events_are_narrowed_by_time_and_tenant(shop: Shop) -> None:
    """The start counts, the end does not, and other tenants' events are left out."""
    connector = await shop.open(step("only"), slots=4)
    for _ in range(3):
        await fail_job(shop, connector)
    found, _ = await read_events(shop)
    middle = found[2].occur_time
    since, _ = await read_events(shop, occur_time_from=middle)
    before, _ = await read_events(shop, occur_time_to=middle)
    assert since == found[2:]
    assert before == found[:2]
    assert (await read_events(shop, tenant_id=shop.tenant_id))[0] == found
    assert (await read_events(shop, tenant_id=shop.tenant_id + 1_000_000))[0] == []


async def test_reader_stops_below_the_oldest_open_transaction(shop: Shop) -> None:
    """What was written after an open transaction began is not shown before it ends, so nothing appears behind."""
    connector = await shop.open(step("only"), slots=4)
    await fail_job(shop, connector)
    before, end = await read_events(shop)
    async with await psycopg.AsyncConnection.connect(shop.orchestrator.database_url) as open_one:
        await open_one.execute("SELECT pg_current_xact_id()")
        await fail_job(shop, connector)
        assert (await read_events(shop, token=end))[0] == []
    after, _ = await read_events(shop, token=end)
    assert len(after) == len(before)


async def test_foreign_and_broken_tokens_are_refused(shop: Shop) -> None:
    """A token of another query, or none at all, gives PAGE_TOKEN_INVALID."""
    connector = await shop.open(step("only"), slots=4)
    await fail_job(shop, connector)
    _, token = await read_events(shop)
    admin = shop.stubs.admin
    invalid = (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    assert await reason(admin.ListEvents(rpc.ListEventsRequest(page_token=token))) == invalid
    assert await reason(admin.ListDeadLetters(rpc.ListDeadLettersRequest(page_token=token))) == invalid
    assert await reason(admin.ListEffects(rpc.ListEffectsRequest(page_token="x"))) == invalid
    too_many = rpc.ListEventsRequest(page_size=5_001)
    assert (await reason(admin.ListEvents(too_many)))[0] == grpc.StatusCode.INVALID_ARGUMENT
