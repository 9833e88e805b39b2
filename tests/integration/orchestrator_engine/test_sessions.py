"""Sessions of sellers' browsers: pairing, election, routes, and waiting for the seller."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc.aio
import nats
import pytest
from stoflow.accounts.v1 import account_pb2, account_service_pb2, pairing_pb2
from stoflow.common.v1 import failure_pb2
from stoflow.connector.v1 import manifest_pb2, session_pb2, task_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_service_kit.grpc_status import rich_error
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connector import Connector, manifest, step

SELLER = "1001"


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Sessions hold for as long as a lease: longer than a busy machine needs for one step of a test."""
    return {"LEASE_SECONDS": "5"}


@dataclass
class Browser:
    """A paired browser, as its connector speaks of it."""

    connector: Connector
    pairing_id: str = ""
    token: str = field(default_factory=lambda: uuid.uuid4().hex * 2)
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    async def verify(self, code: str = "") -> session_pb2.VerifyPairingResponse:
        request = session_pb2.VerifyPairingRequest(
            instance_id=self.connector.instance_id,
            marketplace=self.connector.manifest.marketplace,
            code=code,
            token=self.token,
            client_id=self.client_id,
            client_name="Browser",
        )
        answer = await self.connector.stubs.connector.VerifyPairing(request)
        self.pairing_id = answer.pairing_id
        return answer

    async def acquire(
        self, at: Connector | None = None, user: str = SELLER
    ) -> session_pb2.AcquireSessionResponse:
        connector = at or self.connector
        request = session_pb2.AcquireSessionRequest(
            instance_id=connector.instance_id,
            pairing_id=self.pairing_id,
            token=self.token,
            remote_user_id=user,
        )
        return await connector.stubs.connector.AcquireSession(request)

    async def release(self, account_id: str, epoch: int) -> None:
        request = session_pb2.ReleaseSessionRequest(
            instance_id=self.connector.instance_id,
            session=session_pb2.Session(account_id=account_id, epoch=epoch),
        )
        await self.connector.stubs.connector.ReleaseSession(request)


def browser_manifest(marketplace: str) -> manifest_pb2.Manifest:
    content = manifest(marketplace, routing=manifest_pb2.ROUTING_SESSION)
    content.connection = manifest_pb2.CONNECTION_BROWSER
    content.max_jobs_per_account = 1
    return content


async def open_shop(shop: Shop) -> Connector:
    """Opens the shop with a connector whose action needs a session, and an account without credentials."""
    connector = await shop.add_connector(browser_manifest(shop.marketplace))
    shop.tenant_id = await shop.stubs.create_tenant()
    request = account_service_pb2.CreateAccountRequest(
        request_id=str(uuid.uuid4()),
        tenant_id=shop.tenant_id,
        marketplace=shop.marketplace,
        display_name="Wardrobe",
    )
    shop.account_id = (await shop.stubs.accounts.CreateAccount(request)).account.account_id
    return connector


async def new_code(shop: Shop, request_id: str = "") -> pairing_pb2.CreatePairingCodeResponse:
    request = pairing_pb2.CreatePairingCodeRequest(
        request_id=request_id or str(uuid.uuid4()), tenant_id=shop.tenant_id, account_id=shop.account_id
    )
    return await shop.stubs.accounts.CreatePairingCode(request)


async def pair(shop: Shop, connector: Connector) -> Browser:
    browser = Browser(connector)
    await browser.verify((await new_code(shop)).code)
    return browser


async def receive_own(connector: Connector, timeout_seconds: float = 8) -> task_pb2.TaskCommand:
    """Takes the next command of the instance's own route."""
    client = await nats.connect(connector.nats_url)
    try:
        subscription = await client.jetstream().pull_subscribe_bind(
            consumer=connector.instance_id, stream=f"TASKS_{connector.manifest.marketplace.upper()}"
        )
        (message,) = await subscription.fetch(1, timeout=timeout_seconds)
        await message.ack()
        return task_pb2.TaskCommand.FromString(message.data)
    finally:
        await client.close()


async def wait_for(shop: Shop, job_id: str, reason: job_pb2.WaitReason.ValueType) -> job_pb2.Job:
    for _ in range(100):
        job = await shop.get_job(job_id)
        if job.wait_reason == reason:
            return job
        await asyncio.sleep(0.05)
    raise AssertionError(f"the job never waited so: {await shop.get_job(job_id)}")


async def refusal(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return rich_error(caught.value).reason


async def test_job_waits_for_the_seller_and_starts_when_the_browser_returns(shop: Shop) -> None:
    """Without a session a job waits as SELLER_OFFLINE without an attempt; then its command comes to the holder."""
    connector = await open_shop(shop)
    browser = await pair(shop, connector)
    job = await shop.create_job()
    waiting = await wait_for(shop, job.job_id, job_pb2.WAIT_REASON_SELLER_OFFLINE)
    assert waiting.state == job_pb2.JOB_STATE_PENDING
    assert [task.attempt_count for task in waiting.tasks] == [0, 0]
    granted = await browser.acquire()
    assert granted.decision == session_pb2.SESSION_DECISION_GRANTED
    command = await receive_own(connector)
    assert command.job_id == job.job_id
    started = await connector.start(command)
    assert started.assignment.attempt == 1


async def test_seller_who_leaves_between_two_tasks_stops_the_job_there(shop: Shop) -> None:
    """The command of the next task has nowhere to go after the session's end, and comes when it is back."""
    connector = await open_shop(shop)
    browser = await pair(shop, connector)
    epoch = (await browser.acquire()).epoch
    job = await shop.create_job()
    command = await receive_own(connector)
    started = await connector.start(command)
    await browser.release(shop.account_id, epoch)
    await connector.succeed(command, started.lease_token)
    await wait_for(shop, job.job_id, job_pb2.WAIT_REASON_SELLER_OFFLINE)
    assert (await browser.acquire()).epoch == epoch + 1
    following = await receive_own(connector)
    assert following.task_id == job.tasks[1].task_id


async def test_report_that_the_seller_is_away_burns_no_retry(shop: Shop) -> None:
    """A failure of class SELLER_OFFLINE waits for the seller, and a session that is held ends the wait by itself."""
    connector = await open_shop(shop)
    browser = await pair(shop, connector)
    await browser.acquire()
    job = await shop.create_job(max_retries=0)
    command = await receive_own(connector)
    token = (await connector.start(command)).lease_token
    await connector.fail(
        command, token, failure_pb2.ERROR_CLASS_SELLER_OFFLINE, failure_pb2.EFFECT_OUTCOME_NOT_SENT
    )
    again = await receive_own(connector)
    assert (again.task_id, again.dispatch) == (job.tasks[0].task_id, 2)


async def test_session_is_one_browser_s_until_it_goes(shop: Shop) -> None:
    """A second browser is told to stand by, at any instance, and is granted the session after its release."""
    connector = await open_shop(shop)
    other = await shop.add_connector(browser_manifest(shop.marketplace))
    first, second = await pair(shop, connector), await pair(shop, connector)
    epoch = (await first.acquire()).epoch
    held = await second.acquire(at=other)
    assert held.decision == session_pb2.SESSION_DECISION_HELD
    assert held.retry_delay.ToTimedelta().total_seconds() > 0
    await first.release(shop.account_id, epoch)
    granted = await second.acquire(at=other)
    assert (granted.decision, granted.epoch) == (session_pb2.SESSION_DECISION_GRANTED, epoch + 1)
    job = await shop.create_job()
    assert (await receive_own(other)).job_id == job.job_id


async def test_same_browser_moves_its_session_at_once_and_the_old_epoch_is_void(shop: Shop) -> None:
    """A browser that reconnects has its session there; the instance before can neither renew nor release it."""
    connector = await open_shop(shop)
    other = await shop.add_connector(browser_manifest(shop.marketplace))
    browser = await pair(shop, connector)
    old = (await browser.acquire()).epoch
    new = (await browser.acquire(at=other)).epoch
    assert new > old
    assert await renew(connector, shop.account_id, old) == [False]
    await browser.release(shop.account_id, old)
    assert await renew(other, shop.account_id, new) == [True]


async def renew(connector: Connector, account_id: str, epoch: int) -> list[bool]:
    request = session_pb2.RenewSessionsRequest(
        instance_id=connector.instance_id,
        sessions=[session_pb2.Session(account_id=account_id, epoch=epoch)],
    )
    return list((await connector.stubs.connector.RenewSessions(request)).is_held)


async def test_session_that_is_not_renewed_runs_out(shop: Shop) -> None:
    """The browser of an instance that died does not keep another one out for longer than a lease."""
    connector = await open_shop(shop)
    first, second = await pair(shop, connector), await pair(shop, connector)
    await first.acquire()
    for _ in range(100):
        if (await second.acquire()).decision == session_pb2.SESSION_DECISION_GRANTED:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the session of the first browser never ran out")


async def test_another_seller_s_browser_is_refused(shop: Shop) -> None:
    """An account belongs to the user with whom it was acquired first."""
    connector = await open_shop(shop)
    browser = await pair(shop, connector)
    epoch = (await browser.acquire()).epoch
    await browser.release(shop.account_id, epoch)
    assert (await browser.acquire(user="2002")).decision == session_pb2.SESSION_DECISION_WRONG_USER


async def test_pairing_code_is_good_once_and_never_stored_in_clear(shop: Shop) -> None:
    """A code makes one pairing, repeatably for who made it; neither it nor the secret stands in the database."""
    connector = await open_shop(shop)
    request_id = str(uuid.uuid4())
    issued = await new_code(shop, request_id)
    assert await new_code(shop, request_id) == issued
    assert 0 < issued.expire_time.ToDatetime(UTC).timestamp() - datetime.now(UTC).timestamp() <= 600
    browser = Browser(connector)
    made = await browser.verify(issued.code.lower().replace("-", " "))
    assert made.account_id == shop.account_id
    assert (await browser.verify(issued.code)).pairing_id == made.pairing_id
    assert (await browser.verify()).pairing_id == made.pairing_id
    assert await refusal(Browser(connector).verify(issued.code)) == "PAIRING_NOT_FOUND"
    assert await refusal(new_code(shop, request_id)) == "PAIRING_CODE_SPENT"
    stolen = Browser(connector, token=browser.token)
    assert await refusal(stolen.verify()) == "PAIRING_NOT_FOUND"
    for table in ("pairings", "pairing_codes"):
        for (row,) in await shop.query(f"SELECT t::text FROM public.{table} AS t"):
            assert browser.token not in str(row)
            assert issued.code.replace("-", "") not in str(row)


async def test_revoked_browser_loses_its_session(shop: Shop) -> None:
    """A pairing that is revoked is listed no more, its session cannot be renewed, and its secret opens nothing."""
    connector = await open_shop(shop)
    browser = await pair(shop, connector)
    epoch = (await browser.acquire()).epoch
    listing = pairing_pb2.ListPairingsRequest(tenant_id=shop.tenant_id, account_id=shop.account_id)
    (listed,) = (await shop.stubs.accounts.ListPairings(listing)).pairings
    assert (listed.pairing_id, listed.is_active) == (browser.pairing_id, True)
    revocation = pairing_pb2.RevokePairingRequest(
        request_id=str(uuid.uuid4()), tenant_id=shop.tenant_id, pairing_id=browser.pairing_id
    )
    await shop.stubs.accounts.RevokePairing(revocation)
    assert await renew(connector, shop.account_id, epoch) == [False]
    assert await refusal(browser.verify()) == "PAIRING_NOT_FOUND"
    assert not (await shop.stubs.accounts.ListPairings(listing)).pairings


async def test_stopped_account_waits_until_its_seller_resumes_it(shop: Shop) -> None:
    """A stop holds every job of the account back and says why; the seller's resumption lets them go on."""
    connector = await open_shop(shop)
    browser = await pair(shop, connector)
    await browser.acquire()
    job = await shop.create_job()
    command = await receive_own(connector)
    token = (await connector.start(command)).lease_token
    stop = session_pb2.StopAccountRequest(
        instance_id=connector.instance_id,
        tenant_id=shop.tenant_id,
        account_id=shop.account_id,
        reason=account_pb2.ACCOUNT_STOP_REASON_NEEDS_HUMAN,
    )
    await connector.stubs.connector.StopAccount(stop)
    await connector.fail(
        command, token, failure_pb2.ERROR_CLASS_NEEDS_HUMAN, failure_pb2.EFFECT_OUTCOME_NOT_SENT
    )
    await wait_for(shop, job.job_id, job_pb2.WAIT_REASON_NEEDS_HUMAN)
    request = account_service_pb2.GetAccountRequest(tenant_id=shop.tenant_id, account_id=shop.account_id)
    account = (await shop.stubs.accounts.GetAccount(request)).account
    assert account.state == account_pb2.ACCOUNT_STATE_RECONNECT_REQUIRED
    assert account.stop_reason == account_pb2.ACCOUNT_STOP_REASON_NEEDS_HUMAN
    await browser.acquire()
    assert (await shop.get_job(job.job_id)).wait_reason == job_pb2.WAIT_REASON_NEEDS_HUMAN
    resume = session_pb2.ResumeStoppedAccountRequest(
        instance_id=connector.instance_id, tenant_id=shop.tenant_id, account_id=shop.account_id
    )
    await connector.stubs.connector.ResumeStoppedAccount(resume)
    assert (await receive_own(connector)).dispatch == 2
    account = (await shop.stubs.accounts.GetAccount(request)).account
    assert (account.state, account.stop_reason) == (account_pb2.ACCOUNT_STATE_CONNECTED, 0)


async def test_one_job_of_an_account_at_a_time_when_the_manifest_says_so(shop: Shop) -> None:
    """The manifest's limit holds for new accounts: the second product waits for the first."""
    connector = await open_shop(shop)
    await (await pair(shop, connector)).acquire()
    products = [await shop.stubs.create_product(shop.tenant_id) for _ in range(2)]
    jobs = [await shop.create_job(product) for product in products]
    assert (await receive_own(connector)).job_id == jobs[0].job_id
    states = [(await shop.get_job(job.job_id)).state for job in jobs]
    assert states == [job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_PENDING]


async def test_account_of_a_browser_has_no_credentials_and_every_other_has(shop: Shop) -> None:
    """Credentials are refused where a browser acts, and missing ones where OAuth does."""
    connector = await open_shop(shop)
    values: dict[str, Any] = {
        "tenant_id": shop.tenant_id,
        "marketplace": shop.marketplace,
        "display_name": "Other",
    }
    credentials = account_pb2.OAuthCredentials(refresh_token="r")
    request = account_service_pb2.CreateAccountRequest(
        request_id=str(uuid.uuid4()),
        credentials=credentials,
        **values,
    )
    assert await refusal(shop.stubs.accounts.CreateAccount(request)) == "INVALID_ARGUMENT"
    oauth = manifest(f"{shop.marketplace}o", step("only"))
    await shop.add_connector(oauth)
    values["marketplace"] = oauth.marketplace
    request = account_service_pb2.CreateAccountRequest(request_id=str(uuid.uuid4()), **values)
    assert await refusal(shop.stubs.accounts.CreateAccount(request)) == "INVALID_ARGUMENT"
    assert connector.manifest.connection == manifest_pb2.CONNECTION_BROWSER


async def test_nothing_happens_by_itself_in_a_seller_s_browser(shop: Shop) -> None:
    """Syncs of an account that a browser acts for are planned only when somebody asks for them."""
    await open_shop(shop)
    request = account_service_pb2.GetSyncPoliciesRequest(tenant_id=shop.tenant_id, account_id=shop.account_id)
    policies = (await shop.stubs.accounts.GetSyncPolicies(request)).policies
    assert [(policy.is_automatic, policy.HasField("next_time")) for policy in policies] == [
        (False, False)
    ] * 2
