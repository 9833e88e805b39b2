"""Accounts on their way into connection: consent, code, exchange, and everything that goes wrong on it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc.aio
import pytest
from stoflow.accounts.v1 import account_pb2, account_service_pb2
from stoflow.jobs.v1 import job_pb2

from stoflow_orchestrator.services.consents import code_challenge
from tests.integration.orchestrator_engine.conftest import Shop
from tests.integration.orchestrator_engine.connecting import REDIRECT_URI, Market
from tests.integration.orchestrator_engine.control import eventually, reason_of, state_of

CONNECTED = account_pb2.ACCOUNT_STATE_CONNECTED
CONNECTING = account_pb2.ACCOUNT_STATE_CONNECTING
RECONNECT_REQUIRED = account_pb2.ACCOUNT_STATE_RECONNECT_REQUIRED
STATE_INVALID = "FAILED_PRECONDITION CONNECT_STATE_INVALID"


@pytest.fixture(scope="module")
def engine_settings() -> dict[str, str]:
    """Leases long enough for a slow machine."""
    return {"LEASE_SECONDS": "10", "DISPATCH_TIMEOUT_SECONDS": "10"}


@pytest.fixture
def market(shop: Shop) -> Market:
    return Market(shop)


async def refusal(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


async def lose_authorization(market: Market, account_id: str) -> None:
    """The marketplace refused the account's tokens."""
    for table in ("public.account_gates", f"user_{market.shop.tenant_id}.accounts"):
        await market.shop.query(
            f"UPDATE {table} SET state = 'RECONNECT_REQUIRED' WHERE account_id = %s RETURNING 1", account_id
        )


async def test_new_account_is_connected_by_a_job_that_runs_before_it_is_connected(market: Market) -> None:
    """Consent, code and exchange make a CONNECTED account that is named, has its seller's id, and works."""
    async with market.connector():
        before, job = await market.connect("seller-9")
        assert (before.state, state_of(job)) == (CONNECTING, "COMPLETED")
        account = await market.get_account(before.account_id)
        assert account.state == CONNECTED
        assert (account.display_name, account.remote_account_id) == ("Shop of seller-9", "seller-9")
        assert list(account.sites) == ["SHOP_US"]
        market.shop.account_id = account.account_id
        work = await market.shop.create_job(action="work")
        assert state_of(await market.shop.wait_for_end(work.job_id)) == "COMPLETED"
    assert market.work.tokens[0].startswith("access-seller-9-")
    assert market.endpoint.refreshed == []


async def test_consent_page_is_asked_as_oauth_and_pkce_say(market: Market) -> None:
    """The address holds the parameters of RFC 6749 and 7636; the verifier is nowhere in the answer."""
    async with market.connector():
        begun = await market.begin()
    page = urlsplit(begun.consent_url)
    assert f"{page.scheme}://{page.netloc}{page.path}" == "https://market.test/authorize"
    query = {name: values[0] for name, values in parse_qs(page.query).items()}
    challenge = query.pop("code_challenge")
    assert query == {
        "response_type": "code",
        "client_id": "our-app",
        "redirect_uri": REDIRECT_URI,
        "scope": "orders listings",
        "state": begun.state,
        "code_challenge_method": "S256",
        "prompt": "login",
    }
    assert len(challenge) == 43
    assert len(begun.state) == 43
    # The example of RFC 7636, appendix B.
    assert code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


async def test_begin_and_complete_repeat_their_answers(market: Market) -> None:
    """The same request_id makes no second account, no second state and no second job."""
    async with market.connector():
        request_id = str(uuid.uuid4())
        first = await market.begin(request_id=request_id)
        assert await market.begin(request_id=request_id) == first
        code = market.endpoint.consent(first.consent_url)
        again = str(uuid.uuid4())
        completed = await market.complete(first.state, code=code, request_id=again)
        repeated = await market.complete(first.state, code=code, request_id=again)
        assert repeated.job.job_id == completed.job.job_id
        assert state_of(await market.shop.wait_for_end(completed.job.job_id)) == "COMPLETED"
        assert await refusal(market.begin(request_id=request_id)) == STATE_INVALID
    assert market.endpoint.exchanged == [code]


async def test_state_is_good_for_one_code_of_one_tenant(market: Market) -> None:
    """A state that was used, is another tenant's or was never made is refused alike, and changes nothing."""
    async with market.connector():
        begun = await market.begin()
        code = market.endpoint.consent(begun.consent_url)
        stranger = await market.shop.stubs.create_tenant()
        assert await refusal(market.complete(begun.state, code=code, tenant_id=stranger)) == STATE_INVALID
        assert await refusal(market.complete("no-such-state", code=code)) == STATE_INVALID
        completed = await market.complete(begun.state, code=code)
        await market.shop.wait_for_end(completed.job.job_id)
        assert await refusal(market.complete(begun.state, code="stolen")) == STATE_INVALID
    assert market.endpoint.exchanged == [code]


async def test_denied_consent_leaves_nothing_behind(market: Market) -> None:
    """A refusal at the marketplace is told as such, spends the state, and the new account is gone."""
    async with market.connector():
        begun = await market.begin()
        request_id = str(uuid.uuid4())
        denied = market.complete(begun.state, error="access_denied", request_id=request_id)
        assert await refusal(denied) == "FAILED_PRECONDITION CONSENT_DENIED"
        repeated = market.complete(begun.state, error="access_denied", request_id=request_id)
        assert await refusal(repeated) == "FAILED_PRECONDITION CONSENT_DENIED"
        assert await refusal(market.complete(begun.state, code="later")) == STATE_INVALID
        assert await refusal(market.get_account(begun.account.account_id)) == "NOT_FOUND ACCOUNT_NOT_FOUND"


async def test_cancelled_consent_is_worth_nothing(market: Market) -> None:
    """CancelConnect makes a state worthless; cancelling it again is harmless."""
    async with market.connector():
        begun = await market.begin()
        for _ in range(2):
            await market.shop.stubs.accounts.CancelConnect(
                account_service_pb2.CancelConnectRequest(
                    request_id=str(uuid.uuid4()), tenant_id=market.shop.tenant_id, state=begun.state
                )
            )
        assert await refusal(market.complete(begun.state, code="c")) == STATE_INVALID
        assert await refusal(market.get_account(begun.account.account_id)) == "NOT_FOUND ACCOUNT_NOT_FOUND"


async def test_expired_consent_is_forgotten_with_its_account(market: Market) -> None:
    """A state is refused once its time is over, and soon neither secret nor unconnected account is left."""
    async with market.connector():
        begun = await market.begin()
        await market.shop.query(
            "UPDATE public.account_connections SET expire_time = now() WHERE account_id = %s RETURNING 1",
            begun.account.account_id,
        )
        assert await refusal(market.complete(begun.state, code="c")) == STATE_INVALID

        async def is_gone() -> bool:
            rows = await market.shop.query(
                "SELECT 1 FROM public.account_connections WHERE account_id = %s UNION ALL"
                " SELECT 1 FROM public.account_gates WHERE account_id = %s",
                begun.account.account_id,
                begun.account.account_id,
            )
            return rows == []

        await eventually(is_gone, "the consent is forgotten", 25)


async def test_code_that_the_marketplace_refuses_fails_the_job_and_leaves_no_account(market: Market) -> None:
    """A code that is worth nothing ends in a job that says so, with the marketplace's own error."""
    async with market.connector():
        begun = await market.begin()
        completed = await market.complete(begun.state, code="made-up-code-123")
        job = await market.shop.wait_for_end(completed.job.job_id)
        assert state_of(job) == "FAILED"
        assert job.failure.code == "invalid_grant"
        assert await refusal(market.get_account(begun.account.account_id)) == "NOT_FOUND ACCOUNT_NOT_FOUND"


async def test_reconnected_account_goes_on_with_what_waited(market: Market) -> None:
    """Jobs of an account whose authorization is gone wait, the connect job alone runs, and then they run too."""
    async with market.connector():
        account, _ = await market.connect()
        market.shop.account_id = account.account_id
        await lose_authorization(market, account.account_id)
        critical = await market.shop.create_job(action="work", priority=job_pb2.PRIORITY_CRITICAL)
        begun = await market.begin(account.account_id)
        assert begun.account.state == RECONNECT_REQUIRED
        code = market.endpoint.consent(begun.consent_url)
        assert state_of(await market.shop.get_job(critical.job_id)) == "PENDING"
        completed = await market.complete(begun.state, code=code)
        assert state_of(await market.shop.wait_for_end(completed.job.job_id)) == "COMPLETED"
        assert state_of(await market.shop.wait_for_end(critical.job_id)) == "COMPLETED"
        assert (await market.get_account(account.account_id)).state == CONNECTED
        started = await market.shop.query(
            f"SELECT job_id::text FROM user_{market.shop.tenant_id}.marketplace_jobs ORDER BY start_time"
        )
    ended = [row[0] for row in started]
    if critical.job_id in ended and completed.job.job_id in ended:
        assert ended.index(completed.job.job_id) < ended.index(critical.job_id)


async def test_refused_refresh_stops_the_account_and_its_reconnection_lets_the_job_go_on(
    market: Market,
) -> None:
    """A refresh token that is worth nothing makes the account RECONNECT_REQUIRED; its job waits, burns no retry, and
    completes with the tokens of the next consent.
    """
    async with market.connector():
        account, _ = await market.connect()
        market.shop.account_id = account.account_id
        market.endpoint.valid_refresh.clear()
        table = f"user_{market.shop.tenant_id}.accounts"
        await market.shop.query(f"UPDATE {table} SET access_token_expire_time = now() RETURNING 1")
        job = await market.shop.create_job(action="work", max_retries=0)

        async def waits() -> bool:
            reason = (await market.shop.get_job(job.job_id)).wait_reason
            return reason == job_pb2.WAIT_REASON_ACCOUNT_RECONNECT_REQUIRED

        await eventually(waits, "the job waits for the reconnection")
        assert (await market.get_account(account.account_id)).state == RECONNECT_REQUIRED
        _, connected = await market.connect("seller-1", account.account_id)
        assert state_of(connected) == "COMPLETED"
        assert state_of(await market.shop.wait_for_end(job.job_id)) == "COMPLETED"
    assert len(market.endpoint.refreshed) == 1


async def test_while_a_code_is_awaited_nothing_else_of_the_account_runs(market: Market) -> None:
    """A closed account's CRITICAL job stays where it is although a connect job may be admitted just now."""
    async with market.connector():
        account, _ = await market.connect()
        market.shop.account_id = account.account_id
        await lose_authorization(market, account.account_id)
        begun = await market.begin(account.account_id)
        completed = await market.complete(begun.state, code="worth-nothing-1")
        critical = await market.shop.create_job(action="work", priority=job_pb2.PRIORITY_CRITICAL)
        assert state_of(await market.shop.wait_for_end(completed.job.job_id)) == "FAILED"
        # The gate is still open for a connect job; the reaper has looked several times by now.
        (row,) = await market.shop.query(
            "SELECT connect_until > now() FROM public.account_gates WHERE account_id = %s", account.account_id
        )
        assert row == (True,)
        assert await market.shop.events(critical.job_id) == ["CREATED"]
        assert (await market.get_account(account.account_id)).state == RECONNECT_REQUIRED


async def test_another_sellers_consent_changes_nothing(market: Market) -> None:
    """Reconnecting with another seller's consent fails the job clearly; the account and its jobs stay as they were."""
    async with market.connector():
        account, _ = await market.connect("seller-1")
        await lose_authorization(market, account.account_id)
        _, job = await market.connect("seller-2", account.account_id)
        assert state_of(job) == "FAILED"
        assert job.failure.code == "REMOTE_ACCOUNT_MISMATCH"
        after = await market.get_account(account.account_id)
    assert (after.state, after.remote_account_id) == (RECONNECT_REQUIRED, "seller-1")


async def test_seller_is_one_account_of_a_tenant(market: Market) -> None:
    """A seller who has an account cannot become a second one of the tenant, by consent or by credentials."""
    async with market.connector():
        first, _ = await market.connect("seller-1")
        second, job = await market.connect("seller-1")
        assert state_of(job) == "FAILED"
        assert job.failure.code == "REMOTE_ACCOUNT_EXISTS"
        assert await refusal(market.get_account(second.account_id)) == "NOT_FOUND ACCOUNT_NOT_FOUND"
        request = account_service_pb2.CreateAccountRequest(
            request_id=str(uuid.uuid4()),
            tenant_id=market.shop.tenant_id,
            marketplace=market.shop.marketplace,
            display_name="Once more",
            credentials=account_pb2.OAuthCredentials(refresh_token="r"),
            remote_account_id="seller-1",
        )
        created = market.shop.stubs.accounts.CreateAccount(request)
        assert await refusal(created) == "ALREADY_EXISTS REMOTE_ACCOUNT_EXISTS"
        assert (await market.get_account(first.account_id)).state == CONNECTED


async def test_account_that_is_not_connected_yet_takes_no_jobs(market: Market) -> None:
    """CreateJob for a CONNECTING account is refused with the reason."""
    async with market.connector():
        begun = await market.begin()
        market.shop.account_id = begun.account.account_id
        created = market.shop.create_job(action="work")
        assert await refusal(created) == "FAILED_PRECONDITION ACCOUNT_NOT_CONNECTED"


async def test_marketplace_without_oauth_cannot_be_connected(market: Market) -> None:
    """BeginConnect says so when the connector does not describe OAuth, and no account is made."""
    async with market.connector(oauth=None, code_exchanger=None):
        assert await refusal(market.begin()) == "FAILED_PRECONDITION CONNECT_NOT_SUPPORTED"
    assert (
        await market.shop.query(
            "SELECT 1 FROM public.account_gates WHERE marketplace = %s", market.shop.marketplace
        )
        == []
    )


async def test_new_application_id_needs_no_new_version(market: Market) -> None:
    """A connector whose client id differs registers under the same version, and the newest id is asked with."""
    async with market.connector():
        oauth = market.definition().oauth
        assert oauth is not None
    async with market.connector(oauth=replace(oauth, client_id="other-app")):
        begun = await market.begin()
    assert "client_id=other-app" in begun.consent_url


async def test_code_verifier_and_state_are_nowhere_to_be_read(market: Market) -> None:
    """Neither code, verifier, state nor token is in a job, an event, a log or, unsealed, in the database."""
    async with market.connector():
        begun = await market.begin()
        code = market.endpoint.consent(begun.consent_url)
        completed = await market.complete(begun.state, code=code)
        assert (
            await market.shop.query(
                "SELECT secret IS NOT NULL FROM public.account_connections WHERE account_id = %s",
                begun.account.account_id,
            )
        ) in ([(True,)], [(False,)])
        job = await market.shop.wait_for_end(completed.job.job_id)
        await market.shop.wait_until_archived(job.job_id)
    tenant = f"user_{market.shop.tenant_id}"
    texts = [str(job), str(completed)]
    for table in (
        "public.account_connections",
        "public.result_events",
        "public.mutation_requests",
        f"{tenant}.accounts",
        f"{tenant}.marketplace_jobs",
        f"{tenant}.marketplace_tasks",
        f"{tenant}.job_events",
    ):
        rows = await market.shop.query(f"SELECT row_to_json(t)::text FROM {table} AS t")
        texts += [str(row[0]) for row in rows]
    texts.append(market.shop.orchestrator.process.log.read_text("utf-8"))
    everything = "\n".join(texts)
    access_token = market.endpoint.valid_refresh
    for secret in (code, begun.state, *access_token):
        assert secret not in everything
        assert secret.encode().hex() not in everything
