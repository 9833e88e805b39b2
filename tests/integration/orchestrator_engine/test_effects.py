"""The ledger of effects that must happen once."""

from __future__ import annotations

import uuid

from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.admin.v1 import admin_pb2, admin_service_pb2
from stoflow.catalog.v1 import listing_pb2, listing_service_pb2
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import connector_service_pb2 as rpc
from stoflow.connector.v1 import task_pb2
from stoflow.jobs.v1 import job_pb2

from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, step

Lease = tuple[task_pb2.TaskCommand, str]

EXECUTE = task_pb2.EFFECT_MODE_EXECUTE
PROBE = task_pb2.EFFECT_MODE_PROBE
ACCEPTED = rpc.REPORT_DECISION_ACCEPTED
INVALID = rpc.REPORT_DECISION_INVALID
STALE_LEASE = rpc.REPORT_DECISION_STALE_LEASE
NOT_SENT = failure_pb2.EFFECT_OUTCOME_NOT_SENT
UNKNOWN = failure_pb2.EFFECT_OUTCOME_UNKNOWN

LISTING = step("create", once="listing", settle_seconds=30)


async def _open(shop: Shop) -> tuple[Connector, str]:
    connector = await shop.open(LISTING, requires_product=True)
    return connector, await shop.stubs.create_product(shop.tenant_id)


async def _effect(shop: Shop) -> tuple[object, ...]:
    (row,) = await shop.query(
        "SELECT state, mode, generation, remote_id FROM public.effects WHERE tenant_id = %s", shop.tenant_id
    )
    return row


async def test_effect_is_recorded_before_the_attempt_may_send_anything(shop: Shop) -> None:
    """The grant of a ONCE task finds the effect written, so a crash cannot leave one that nobody knows of."""
    connector, product_id = await _open(shop)
    await shop.create_job(product_id)
    _, granted = await connector.receive_and_start()
    assert granted.assignment.effect.mode == EXECUTE
    assert granted.assignment.effect.generation == 1
    assert await _effect(shop) == ("UNRESOLVED", "EXECUTE", 1, "")


async def test_success_without_remote_id_is_refused_and_the_attempt_goes_on(shop: Shop) -> None:
    """A ONCE task cannot be done without saying what it made; a corrected report is accepted."""
    connector, product_id = await _open(shop)
    await shop.create_job(product_id)
    command, granted = await connector.receive_and_start()
    assert await connector.succeed(command, granted.lease_token) == INVALID
    assert await connector.succeed(command, granted.lease_token, remote_id="r1") == ACCEPTED
    assert await _effect(shop) == ("DONE", "EXECUTE", 1, "r1")


async def test_unknown_outcome_makes_the_next_attempt_probe(shop: Shop) -> None:
    """After an attempt that may have been sent the next one probes, under the same key and generation."""
    connector, product_id = await _open(shop)
    await shop.create_job(product_id)
    command, first = await connector.receive_and_start()
    await connector.fail(command, first.lease_token, outcome=UNKNOWN)
    _, second = await connector.receive_and_start()
    effect = second.assignment.effect
    assert effect.mode == PROBE
    assert (effect.key, effect.generation) == (first.assignment.effect.key, 1)
    assert 20 < effect.settle_remaining.ToTimedelta().total_seconds() <= 30


async def test_effect_that_was_not_sent_is_executed_anew(shop: Shop) -> None:
    """Certainly nothing happened: no probe is needed, and the generation grows."""
    connector, product_id = await _open(shop)
    await shop.create_job(product_id)
    command, first = await connector.receive_and_start()
    await connector.fail(command, first.lease_token, outcome=NOT_SENT)
    assert (await _effect(shop))[0] == "NOT_SENT"
    _, second = await connector.receive_and_start()
    assert (second.assignment.effect.mode, second.assignment.effect.generation) == (EXECUTE, 2)


async def test_probing_attempt_that_sent_nothing_proves_nothing_about_the_one_before(shop: Shop) -> None:
    """An unknown outcome stays unknown when the next attempt fails before it could send."""
    connector, product_id = await _open(shop)
    await shop.create_job(product_id)
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, outcome=UNKNOWN)
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, outcome=NOT_SENT)
    _, third = await connector.receive_and_start()
    assert third.assignment.effect.mode == PROBE


async def test_lost_lease_makes_the_successor_probe_and_keeps_the_late_remote_id(shop: Shop) -> None:
    """What the loser made is not forgotten, although its report changes no state."""
    connector, product_id = await _open(shop)
    job = await shop.create_job(product_id)
    command, first = await connector.receive_and_start()
    command, second = await connector.receive_and_start()
    assert second.assignment.effect.mode == PROBE
    assert await connector.succeed(command, first.lease_token, remote_id="late") == STALE_LEASE
    assert await _effect(shop) == ("UNRESOLVED", "PROBE", 1, "late")
    assert (await shop.get_job(job.job_id)).tasks[0].state == job_pb2.TASK_STATE_RUNNING
    assert await connector.succeed(command, second.lease_token, remote_id="late") == ACCEPTED


async def test_later_job_on_the_same_product_finds_what_the_first_one_made(shop: Shop) -> None:
    """The record outlives its job: another publish of the product probes with the known id."""
    connector, product_id = await _open(shop)
    job = await shop.create_job(product_id)
    command, first = await connector.receive_and_start()
    await connector.succeed(command, first.lease_token, remote_id="r1")
    await shop.wait_for_end(job.job_id)
    await shop.create_job(product_id)
    _, second = await connector.receive_and_start()
    effect = second.assignment.effect
    assert (effect.mode, effect.remote_id, effect.generation) == (PROBE, "r1", 2)
    assert effect.settle_remaining.ToTimedelta().total_seconds() == 0


async def test_effects_of_different_products_are_apart(shop: Shop) -> None:
    """An unresolved effect of one product makes no other product's attempt probe."""
    connector, product_id = await _open(shop)
    other = await shop.stubs.create_product(shop.tenant_id)
    await shop.create_job(product_id)
    await shop.create_job(other)
    modes = [(await connector.receive_and_start())[1].assignment.effect.mode for _ in range(2)]
    assert modes == [EXECUTE, EXECUTE]


async def test_listing_is_stored_with_the_result_that_reports_it(shop: Shop) -> None:
    """Once the report is accepted the listing can be read."""
    connector, product_id = await _open(shop)
    await shop.create_job(product_id)
    command, granted = await connector.receive_and_start()
    change = task_pb2.ListingChange(
        remote_id="r1", url="https://market.example/r1", state=listing_pb2.LISTING_STATE_LIVE
    )
    await connector.succeed(command, granted.lease_token, remote_id="r1", listing=change)
    response = await shop.stubs.listings.ListListings(
        listing_service_pb2.ListListingsRequest(tenant_id=shop.tenant_id, product_id=product_id)
    )
    (listing,) = response.listings
    assert (listing.remote_id, listing.state) == ("r1", listing_pb2.LISTING_STATE_LIVE)


async def test_account_refused_by_the_marketplace_waits_until_it_is_connected_again(shop: Shop) -> None:
    """AUTH_REQUIRED pauses the account's jobs without burning a retry; reconnecting resumes them."""
    connector = await shop.open(step("only"))
    product_id = await shop.stubs.create_product(shop.tenant_id)
    job = await shop.create_job(max_retries=0)
    command, granted = await connector.receive_and_start()
    await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_AUTH_REQUIRED, NOT_SENT)
    waiting = await shop.get_job(job.job_id)
    assert waiting.wait_reason == job_pb2.WAIT_REASON_ACCOUNT_RECONNECT_REQUIRED
    account = account_service_pb2.GetAccountRequest(tenant_id=shop.tenant_id, account_id=shop.account_id)
    state = (await shop.stubs.accounts.GetAccount(account)).account.state
    assert state == account_pb2.ACCOUNT_STATE_RECONNECT_REQUIRED
    other = await shop.create_job(product_id)
    reconnect = account_service_pb2.ReconnectAccountRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        credentials=account_pb2.OAuthCredentials(refresh_token="new"),
    )
    assert (await shop.get_job(other.job_id)).state == job_pb2.JOB_STATE_PENDING
    await shop.stubs.accounts.ReconnectAccount(reconnect)
    for _ in range(2):
        command, granted = await connector.receive_and_start()
        assert await connector.succeed(command, granted.lease_token) == ACCEPTED
    assert (await shop.wait_for_end(job.job_id)).state == job_pb2.JOB_STATE_COMPLETED
    assert (await shop.wait_for_end(other.job_id)).state == job_pb2.JOB_STATE_COMPLETED


async def test_refusal_of_old_credentials_does_not_close_a_reconnected_account(shop: Shop) -> None:
    """An attempt that began before the reconnection says nothing about the new credentials; a later one does."""
    connector = await shop.open(step("only"))
    job = await shop.create_job()
    command, granted = await connector.receive_and_start()
    reconnect = account_service_pb2.ReconnectAccountRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        credentials=account_pb2.OAuthCredentials(refresh_token="new"),
    )
    await shop.stubs.accounts.ReconnectAccount(reconnect)
    account = account_service_pb2.GetAccountRequest(tenant_id=shop.tenant_id, account_id=shop.account_id)
    for expected in (account_pb2.ACCOUNT_STATE_CONNECTED, account_pb2.ACCOUNT_STATE_RECONNECT_REQUIRED):
        await connector.fail(command, granted.lease_token, failure_pb2.ERROR_CLASS_AUTH_REQUIRED, NOT_SENT)
        assert (await shop.stubs.accounts.GetAccount(account)).account.state == expected
        gates = await shop.query(
            "SELECT state FROM public.account_gates WHERE account_id = %s", shop.account_id
        )
        assert gates == [(account_pb2.AccountState.Name(expected).removeprefix("ACCOUNT_STATE_"),)]
        if expected == account_pb2.ACCOUNT_STATE_CONNECTED:
            command, granted = await connector.receive_and_start()
            assert command.job_id == job.job_id


async def test_late_remote_id_is_kept_even_after_the_job_was_archived(shop: Shop) -> None:
    """A process that awakes long after its job failed still tells what it made, and the next job finds it."""
    connector, product_id = await _open(shop)
    job = await shop.create_job(product_id, max_retries=0)
    command, first = await connector.receive_and_start()
    ended = await shop.wait_for_end(job.job_id)
    assert ended.failure.code == "LEASE_EXPIRED"
    await shop.wait_until_archived(job.job_id)
    # The successor's job takes the effect over, so the report names a task that is history.
    assert await connector.succeed(command, first.lease_token, remote_id="late") == STALE_LEASE
    await shop.create_job(product_id)
    _, second = await connector.receive_and_start()
    assert (second.assignment.effect.mode, second.assignment.effect.remote_id) == (PROBE, "late")


async def _lose_and_begin_again(shop: Shop) -> tuple[Connector, Lease, Lease]:
    """A job that lost its lease and was archived, and a later one that has begun the same effect."""
    connector, product_id = await _open(shop)
    job = await shop.create_job(product_id, max_retries=0)
    lost, first = await connector.receive_and_start()
    await shop.wait_for_end(job.job_id)
    await shop.wait_until_archived(job.job_id)
    await shop.create_job(product_id)
    command, second = await connector.receive_and_start()
    return connector, (lost, first.lease_token), (command, second.lease_token)


async def _late_effects(shop: Shop) -> list[admin_pb2.Effect]:
    request = admin_service_pb2.ListEffectsRequest(tenant_id=shop.tenant_id, has_late_remote_ids=True)
    return list((await shop.stubs.admin.ListEffects(request)).effects)


async def test_late_remote_id_is_kept_when_a_later_job_has_begun_the_same_effect(shop: Shop) -> None:
    """The successor's own successor probes with it, and operators see it until the effect is settled by it."""
    connector, lost, held = await _lose_and_begin_again(shop)
    assert await connector.succeed(*lost, remote_id="late") == STALE_LEASE
    await connector.fail(*held)
    command, third = await connector.receive_and_start()
    assert (third.assignment.effect.mode, third.assignment.effect.remote_id) == (PROBE, "late")
    await connector.succeed(command, third.lease_token, remote_id="late")
    assert await _late_effects(shop) == []


async def test_late_remote_id_beside_another_is_listed_for_operators(shop: Shop) -> None:
    """What was made twice is recorded twice: as what is done, and as what a late report named."""
    connector, lost, held = await _lose_and_begin_again(shop)
    await connector.succeed(*held, remote_id="r2")
    for _ in range(2):
        assert await connector.succeed(*lost, remote_id="late") == STALE_LEASE
    (effect,) = await _late_effects(shop)
    assert (effect.state, effect.remote_id) == (admin_pb2.EFFECT_STATE_DONE, "r2")
    assert list(effect.late_remote_ids) == ["late"]


async def test_late_remote_id_of_a_live_job_is_listed_for_operators(shop: Shop) -> None:
    """It makes no difference whether the job of the late report is history."""
    connector, product_id = await _open(shop)
    await shop.create_job(product_id)
    command, first = await connector.receive_and_start()
    command, second = await connector.receive_and_start()
    await connector.succeed(command, second.lease_token, remote_id="r2")
    assert await connector.succeed(command, first.lease_token, remote_id="late") == STALE_LEASE
    (effect,) = await _late_effects(shop)
    assert (effect.remote_id, list(effect.late_remote_ids)) == ("r2", ["late"])


async def test_late_remote_id_of_what_was_settled_as_not_sent_is_probed(shop: Shop) -> None:
    """The operator was wrong: something was made, and the next job looks for it before it makes another."""
    connector, product_id = await _open(shop)
    job = await shop.create_job(product_id, max_retries=0)
    lost, first = await connector.receive_and_start()
    await shop.wait_for_end(job.job_id)
    await shop.wait_until_archived(job.job_id)
    settle = admin_service_pb2.SettleEffectRequest(
        request_id=str(uuid.uuid4()),
        effect_id=first.assignment.effect.key,
        not_sent=admin_service_pb2.EffectNotSent(),
    )
    await shop.stubs.admin.SettleEffect(settle)
    assert await connector.succeed(lost, first.lease_token, remote_id="late") == STALE_LEASE
    await shop.create_job(product_id)
    _, second = await connector.receive_and_start()
    assert (second.assignment.effect.mode, second.assignment.effect.remote_id) == (PROBE, "late")
