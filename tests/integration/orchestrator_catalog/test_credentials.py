"""Tokens for lease holders, and the refresh that only one of them may do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from stoflow.accounts.v1.account_pb2 import OAuthCredentials
from stoflow.accounts.v1.account_service_pb2 import ReconnectAccountRequest
from stoflow.connector.v1.connector_service_pb2 import (
    GetCredentialsRequest,
    RefreshAbandoned,
    RefreshedTokens,
    RefreshRefused,
    SaveCredentialsRequest,
)

from stoflow_orchestrator.messages.times import to_timestamp
from stoflow_orchestrator.rpc.credentials import get_credentials, save_credentials
from stoflow_orchestrator.services.credentials import (
    Abandoned,
    AccessToken,
    CredentialQuery,
    GrantHolder,
    Refreshed,
    RefreshGrant,
    Refused,
    RetryLater,
)
from stoflow_service_kit.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from tests.integration.orchestrator_catalog.catalog_api import REFRESH_TOKEN, CatalogApi, new_id

IN_AN_HOUR = timedelta(hours=1)


class Seller:
    """An account with running tasks, each leased by a connector instance."""

    def __init__(self, api: CatalogApi, tenant_id: int, account_id: str) -> None:
        self.api = api
        self.tenant_id = tenant_id
        self.account_id = UUID(account_id)

    async def lease(self, instance_id: UUID | None = None, state: str = "RUNNING") -> CredentialQuery:
        """Puts a job with one leased task in place, and returns what its holder asks with."""
        query = CredentialQuery(
            tenant_id=self.tenant_id,
            account_id=self.account_id,
            job_id=uuid4(),
            task_id=uuid4(),
            lease_token=uuid4(),
            instance_id=instance_id or uuid4(),
        )
        await self.api.sql(
            "INSERT INTO public.live_jobs (job_id, tenant_id, marketplace, account_id, product_id, site, action,"
            " manifest_version, assignment, priority, max_retries, state, run, task_position, event_sequence,"
            " next_time, expire_time, create_time, admit_time) VALUES (:job_id, :tenant_id, 'ebay', :account_id,"
            " gen_random_uuid(), '', 'publish', '1', '', 2, 3, 'RUNNING', 1, 0, 1, now(), now() + '1 day', now(),"
            " now())",
            job_id=query.job_id,
            tenant_id=query.tenant_id,
            account_id=query.account_id,
        )
        await self.api.sql(
            "INSERT INTO public.live_tasks (task_id, job_id, position, name, start_to_close_seconds, state,"
            " attempt_count, failure_count, dispatch, lease_token, lease_expire_time, deadline_time, instance_id,"
            " finish_time) SELECT :task_id, :job_id, 0, 'offer', 60, :state, 1, 0, 1, r.token, r.later, r.later,"
            " r.instance, CASE WHEN :state = 'COMPLETED' THEN now() END FROM (SELECT"
            " CASE WHEN :state = 'RUNNING' THEN CAST(:token AS uuid) END AS token,"
            " CASE WHEN :state = 'RUNNING' THEN now() + '1 minute' END AS later,"
            " CASE WHEN :state = 'RUNNING' THEN CAST(:instance AS uuid) END AS instance) AS r",
            task_id=query.task_id,
            job_id=query.job_id,
            state=state,
            token=query.lease_token,
            instance=query.instance_id,
        )
        return query

    async def get(self, query: CredentialQuery, **changes: Any) -> AccessToken | RefreshGrant | RetryLater:
        return await self.api.credentials.get(replace(query, **changes))

    async def grant(self, query: CredentialQuery) -> GrantHolder:
        """Asks for the grant, which must be free."""
        answer = await self.get(query)
        assert isinstance(answer, RefreshGrant)
        return GrantHolder(self.tenant_id, self.account_id, query.instance_id, answer.grant_id)

    async def column(self, name: str) -> Any:
        ((value,),) = await self.api.sql(f"SELECT {name} FROM user_{self.tenant_id}.accounts")
        return value

    async def expire_grant(self) -> None:
        await self.api.sql(
            f"UPDATE user_{self.tenant_id}.accounts SET grant_expire_time = now() - '1 s'::interval"
        )


@pytest.fixture
async def seller(api: CatalogApi) -> Seller:
    """An account that has only a refresh token."""
    await api.register_marketplace()
    tenant_id = await api.new_tenant()
    return Seller(api, tenant_id, (await api.new_account(tenant_id)).account_id)


def refreshed(access_token: str = "access-1", lifetime: timedelta = IN_AN_HOUR, **changes: Any) -> Refreshed:
    return Refreshed(access_token, datetime.now(UTC).replace(microsecond=0) + lifetime, **changes)


async def refused_reason(call: Any, kind: type[Exception] = FailedPreconditionError) -> str:
    with pytest.raises(kind) as caught:
        await call
    reason: str = getattr(caught.value, "reason", "")
    return reason


async def test_lease_holder_refreshes_saves_and_gets_the_token(seller: Seller) -> None:
    """Without an access token the holder gets the grant; what it saves is given to every other holder."""
    query = await seller.lease()
    answer = await seller.get(query)
    assert isinstance(answer, RefreshGrant)
    assert (answer.refresh_token, answer.lease) == (REFRESH_TOKEN, timedelta(seconds=30))
    tokens = refreshed()
    holder = GrantHolder(seller.tenant_id, seller.account_id, query.instance_id, answer.grant_id)
    await seller.api.credentials.save(holder, tokens)
    for asking in (query, await seller.lease()):
        assert await seller.get(asking) == AccessToken("access-1", tokens.expire_time)
    assert await seller.column("access_token_expire_time") == tokens.expire_time


async def test_twenty_callers_get_one_grant(seller: Seller) -> None:
    """Of twenty concurrent callers exactly one gets the grant, the others are told to wait one second."""
    queries = [await seller.lease() for _ in range(20)]
    answers = await asyncio.gather(*(seller.get(query) for query in queries))
    grants = [answer for answer in answers if isinstance(answer, RefreshGrant)]
    assert len(grants) == 1
    assert [answer for answer in answers if not isinstance(answer, RefreshGrant)] == [
        RetryLater(timedelta(seconds=1))
    ] * 19
    winner = queries[answers.index(grants[0])]
    holder = GrantHolder(seller.tenant_id, seller.account_id, winner.instance_id, grants[0].grant_id)
    await seller.api.credentials.save(holder, refreshed())
    after = await asyncio.gather(*(seller.get(query) for query in queries))
    assert {type(answer) for answer in after} == {AccessToken}


async def test_refresh_in_the_middle_of_a_crowd_happens_once(seller: Seller) -> None:
    """Callers that ask again and again while one refreshes end with its token; nobody is granted a second refresh."""
    grants: list[UUID] = []

    async def work(query: CredentialQuery) -> str:
        while True:
            answer = await seller.get(query)
            if isinstance(answer, AccessToken):
                return answer.value
            if isinstance(answer, RefreshGrant):
                grants.append(answer.grant_id)
                holder = GrantHolder(seller.tenant_id, seller.account_id, query.instance_id, answer.grant_id)
                await seller.api.credentials.save(holder, refreshed("only-one"))

    queries = [await seller.lease() for _ in range(10)]
    values = await asyncio.gather(*(work(query) for query in queries))
    assert (set(values), len(grants)) == ({"only-one"}, 1)


async def test_holder_gets_its_grant_again(seller: Seller) -> None:
    """The instance that holds the grant gets the same one again; another gets it once it expired."""
    query, other = await seller.lease(), await seller.lease()
    holder = await seller.grant(query)
    assert await seller.grant(query) == holder
    assert await seller.get(other) == RetryLater()
    await seller.expire_grant()
    second = await seller.grant(other)
    assert second.grant_id != holder.grant_id
    reason = await refused_reason(seller.api.credentials.save(holder, refreshed()))
    assert reason == "GRANT_LOST"
    await seller.api.credentials.save(second, refreshed("from second"))


@pytest.mark.parametrize("lifetime", [timedelta(seconds=-5), timedelta(seconds=50)])
async def test_token_that_ends_soon_is_not_given_out(seller: Seller, lifetime: timedelta) -> None:
    """A token that has ended, or ends within a minute, is refreshed instead."""
    query = await seller.lease()
    await seller.api.credentials.save(await seller.grant(query), refreshed(lifetime=lifetime))
    assert isinstance(await seller.get(query), RefreshGrant)


async def test_refused_token_is_not_given_out_again(seller: Seller) -> None:
    """The holder whose token the marketplace refused gets the grant; others still get the token until then."""
    query, other = await seller.lease(), await seller.lease()
    await seller.api.credentials.save(await seller.grant(query), refreshed())
    assert isinstance(await seller.get(query, refused_access_token="older"), AccessToken)
    answer = await seller.get(query, refused_access_token="access-1")
    assert isinstance(answer, RefreshGrant)
    assert isinstance(await seller.get(other), AccessToken)
    assert await seller.get(other, refused_access_token="access-1") == RetryLater()


async def test_rotated_refresh_token_replaces_the_old_one(seller: Seller) -> None:
    """A new refresh token is stored with the access token; an empty one keeps what is stored."""
    query = await seller.lease()
    await seller.api.credentials.save(await seller.grant(query), refreshed(refresh_token="rotated"))
    for _ in range(2):
        answer = await seller.get(query, refused_access_token="access-1")
        assert isinstance(answer, RefreshGrant)
        assert answer.refresh_token == "rotated"
        holder = GrantHolder(seller.tenant_id, seller.account_id, query.instance_id, answer.grant_id)
        await seller.api.credentials.save(holder, refreshed())


async def test_same_tokens_under_the_same_grant_are_answered_again(seller: Seller) -> None:
    """A repeated save is OK, also after the grant's time; other tokens under a spent grant are GRANT_LOST."""
    query = await seller.lease()
    holder = await seller.grant(query)
    tokens = refreshed(refresh_token="rotated")
    for _ in range(3):
        await seller.api.credentials.save(holder, tokens)
    sealed = await seller.column("credentials")
    for other in (refreshed("access-2"), replace(tokens, refresh_token="other"), Refused()):
        assert await refused_reason(seller.api.credentials.save(holder, other)) == "GRANT_LOST"
    assert await seller.column("credentials") == sealed
    assert await seller.column("state") == "CONNECTED"


async def test_save_needs_the_very_grant(seller: Seller) -> None:
    """Another instance, another grant and no grant at all are GRANT_LOST and store nothing."""
    query = await seller.lease()
    nobody = GrantHolder(seller.tenant_id, seller.account_id, query.instance_id, uuid4())
    assert await refused_reason(seller.api.credentials.save(nobody, refreshed())) == "GRANT_LOST"
    holder = await seller.grant(query)
    for wrong in (replace(holder, instance_id=uuid4()), replace(holder, grant_id=uuid4())):
        assert await refused_reason(seller.api.credentials.save(wrong, refreshed())) == "GRANT_LOST"
    assert await seller.column("access_token_expire_time") is None


async def test_newest_grant_saves_late(seller: Seller) -> None:
    """Nobody else has refreshed since: tokens that come after the grant's time are the only ones that are worth."""
    query, other = await seller.lease(), await seller.lease()
    holder = await seller.grant(query)
    await seller.expire_grant()
    tokens = refreshed(refresh_token="rotated")
    for _ in range(2):
        await seller.api.credentials.save(holder, tokens)
    assert await seller.get(other) == AccessToken("access-1", tokens.expire_time)
    # Spent by the first.
    assert await refused_reason(seller.api.credentials.save(holder, refreshed("later"))) == "GRANT_LOST"
    answer = await seller.get(other, refused_access_token="access-1")
    assert isinstance(answer, RefreshGrant)
    assert answer.refresh_token == "rotated"


async def test_refusal_that_comes_late_still_counts(seller: Seller) -> None:
    """The marketplace's refusal is no less true for coming after the grant's time."""
    holder = await seller.grant(await seller.lease())
    await seller.expire_grant()
    await seller.api.credentials.save(holder, Refused())
    assert await seller.column("state") == "RECONNECT_REQUIRED"


async def test_refused_refresh_asks_for_a_reconnection(
    seller: Seller, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a refusal account and gate are RECONNECT_REQUIRED, nobody gets a token, and no log shows one."""
    query = await seller.lease()
    holder = await seller.grant(query)
    for _ in range(2):
        await seller.api.credentials.save(holder, Refused(f"invalid_grant: {REFRESH_TOKEN} is revoked"))
    assert await seller.column("state") == "RECONNECT_REQUIRED"
    assert await seller.api.sql("SELECT state FROM public.account_gates") == [("RECONNECT_REQUIRED",)]
    assert await refused_reason(seller.get(query)) == "ACCOUNT_RECONNECT_REQUIRED"
    output = capsys.readouterr().out
    assert "invalid_grant" in output
    assert REFRESH_TOKEN not in output


async def test_reconnecting_takes_the_grant_away(seller: Seller) -> None:
    """Credentials of a new authorization are not overwritten by a refresh of the old ones."""
    query = await seller.lease()
    holder = await seller.grant(query)
    await seller.api.accounts.ReconnectAccount(
        ReconnectAccountRequest(
            request_id=new_id(),
            tenant_id=seller.tenant_id,
            account_id=str(seller.account_id),
            credentials=OAuthCredentials(refresh_token="fresh"),
        )
    )
    for outcome in (refreshed(), Refused()):
        assert await refused_reason(seller.api.credentials.save(holder, outcome)) == "GRANT_LOST"
    answer = await seller.get(query)
    assert isinstance(answer, RefreshGrant)
    assert answer.refresh_token == "fresh"


async def test_abandoned_refresh_frees_the_grant(seller: Seller) -> None:
    """A grant that was given back is granted to the next who asks."""
    query, other = await seller.lease(), await seller.lease()
    holder = await seller.grant(query)
    for _ in range(2):
        await seller.api.credentials.save(holder, Abandoned())
    assert (await seller.grant(other)).grant_id != holder.grant_id


async def test_credentials_need_a_lease_on_a_task_of_the_account(seller: Seller) -> None:
    """Any wrong part of the lease, a task that does not run, or another account's task is LEASE_REQUIRED."""
    query = await seller.lease()
    ended = await seller.lease(state="COMPLETED")
    waiting = await seller.lease(state="PENDING")
    other_account = await seller.api.new_account(seller.tenant_id)
    wrong = [
        replace(query, lease_token=uuid4()),
        replace(query, instance_id=uuid4()),
        replace(query, task_id=uuid4()),
        replace(query, job_id=ended.job_id),
        replace(query, account_id=UUID(other_account.account_id)),
        ended,
        waiting,
    ]
    for asking in wrong:
        assert await refused_reason(seller.get(asking)) == "LEASE_REQUIRED"
    assert await seller.column("count(grant_id)") == 0


async def test_unknown_account_and_tenant_are_not_found(seller: Seller) -> None:
    """Accounts of another tenant and unknown tenants are not found, for reading and for saving."""
    query = await seller.lease()
    holder = GrantHolder(seller.tenant_id, seller.account_id, query.instance_id, uuid4())
    other = await seller.api.new_tenant()
    for tenant_id, reason in ((other, "ACCOUNT_NOT_FOUND"), (999, "TENANT_NOT_FOUND")):
        get = seller.get(query, tenant_id=tenant_id)
        assert await refused_reason(get, NotFoundError) == reason
        save = seller.api.credentials.save(replace(holder, tenant_id=tenant_id), Abandoned())
        assert await refused_reason(save, NotFoundError) == reason


async def test_messages_carry_every_answer(seller: Seller) -> None:
    """The contract's messages say grant, wait and token, and take all three outcomes of a refresh."""
    query, other = await seller.lease(), await seller.lease()

    def asking(query: CredentialQuery, refused: str = "") -> GetCredentialsRequest:
        return GetCredentialsRequest(
            instance_id=str(query.instance_id),
            tenant_id=query.tenant_id,
            account_id=str(query.account_id),
            job_id=str(query.job_id),
            task_id=str(query.task_id),
            lease_token=str(query.lease_token),
            refused_access_token=refused,
        )

    def saving(grant_id: str, **outcome: Any) -> SaveCredentialsRequest:
        return SaveCredentialsRequest(
            instance_id=str(query.instance_id),
            tenant_id=query.tenant_id,
            account_id=str(query.account_id),
            grant_id=grant_id,
            **outcome,
        )

    service, codes = seller.api.credentials, seller.api.authorizations
    grant = (await get_credentials(service, asking(query))).refresh_grant
    assert (grant.refresh_token, grant.lease.seconds) == (REFRESH_TOKEN, 30)
    assert (await get_credentials(service, asking(other))).retry_after.seconds == 1
    expire_time = to_timestamp(datetime.now(UTC) + IN_AN_HOUR)
    tokens = RefreshedTokens(access_token="access-1", access_token_expire_time=expire_time)
    await save_credentials(service, codes, saving(grant.grant_id, refreshed=tokens))
    token = (await get_credentials(service, asking(other))).access_token
    assert (token.value, token.expire_time) == ("access-1", expire_time)
    tokens.access_token_expire_time.seconds = 2**60
    with pytest.raises(InvalidArgumentError):
        await save_credentials(service, codes, saving(grant.grant_id, refreshed=tokens))
    again = (await get_credentials(service, asking(query, "access-1"))).refresh_grant
    await save_credentials(service, codes, saving(again.grant_id, abandoned=RefreshAbandoned()))
    last = (await get_credentials(service, asking(query, "access-1"))).refresh_grant
    await save_credentials(service, codes, saving(last.grant_id, refused=RefreshRefused(message="revoked")))
    assert await seller.column("state") == "RECONNECT_REQUIRED"


def test_secrets_are_not_in_the_repr() -> None:
    """Values that pass through logs and tracebacks show no token and no lease."""
    query = CredentialQuery(1, uuid4(), uuid4(), uuid4(), uuid4(), uuid4(), "hidden-1")
    shown = repr([query, AccessToken("hidden-2", datetime.now(UTC)), RefreshGrant(uuid4(), "hidden-3")])
    shown += repr(refreshed("hidden-4", refresh_token="hidden-5"))
    assert "hidden" not in shown
    assert str(query.lease_token) not in shown
