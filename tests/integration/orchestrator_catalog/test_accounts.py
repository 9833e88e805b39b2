"""Accounts: creation, settings, secrets at rest, reconnection, isolation."""

from __future__ import annotations

import asyncio
import json
import math

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from stoflow.accounts.v1.account_pb2 import (
    ACCOUNT_STATE_CONNECTED,
    ACCOUNT_STATE_RECONNECT_REQUIRED,
    OAuthCredentials,
)
from stoflow.accounts.v1.account_service_pb2 import (
    CreateAccountRequest,
    GetAccountRequest,
    ListAccountsRequest,
    ReconnectAccountRequest,
)

from stoflow_orchestrator.services.account_secrets import Tokens, open_tokens
from stoflow_orchestrator.services.secret_box import SecretBox, SecretBoxError
from tests.integration.orchestrator_catalog.catalog_api import (
    REFRESH_TOKEN,
    SETTINGS,
    SETTINGS_SCHEMA,
    CatalogApi,
    account_request,
    new_id,
    refusal,
)


@pytest.fixture
async def tenant_id(api: CatalogApi) -> int:
    """A tenant, with ebay registered."""
    await api.register_marketplace()
    return await api.new_tenant()


def reconnection(tenant_id: int, account_id: str, refresh_token: str = "second") -> ReconnectAccountRequest:
    return ReconnectAccountRequest(
        request_id=new_id(),
        tenant_id=tenant_id,
        account_id=account_id,
        credentials=OAuthCredentials(refresh_token=refresh_token),
    )


async def test_account_is_stored_as_sent_without_credentials(api: CatalogApi, tenant_id: int) -> None:
    """An account comes back connected, with sites in order and settings as sent, and none of its tokens."""
    request = account_request(tenant_id, sites=["EBAY_GB", "EBAY_US"])
    account = (await api.accounts.CreateAccount(request)).account
    assert (account.marketplace, account.display_name, account.state) == (
        "ebay",
        "Main shop",
        ACCOUNT_STATE_CONNECTED,
    )
    assert list(account.sites) == ["EBAY_GB", "EBAY_US"]
    assert account.settings == request.settings
    found = await api.accounts.GetAccount(
        GetAccountRequest(tenant_id=tenant_id, account_id=account.account_id)
    )
    assert found.account == account
    gates = await api.sql("SELECT account_id::text, tenant_id, marketplace, state FROM public.account_gates")
    assert gates == [(account.account_id, tenant_id, "ebay", "CONNECTED")]


async def test_credentials_are_sealed_for_tenant_and_account(api: CatalogApi, tenant_id: int) -> None:
    """The stored column shows no token and opens only for its own tenant and account."""
    account = await api.new_account(tenant_id)
    other = await api.new_account(tenant_id)
    ((account_id, sealed), (_, other_sealed)) = await api.sql(
        f"SELECT account_id, credentials FROM user_{tenant_id}.accounts ORDER BY create_time"
    )
    assert str(account_id) == account.account_id
    assert REFRESH_TOKEN.encode() not in sealed
    assert sealed != other_sealed
    box = SecretBox({"first": bytes(range(32))})
    assert open_tokens(box, tenant_id, account_id, sealed) == Tokens("", REFRESH_TOKEN)
    with pytest.raises(SecretBoxError):
        open_tokens(box, tenant_id + 1, account_id, sealed)
    with pytest.raises(SecretBoxError):
        open_tokens(box, tenant_id, account_id, other_sealed)
    assert other.account_id != account.account_id


async def test_no_token_reaches_any_table_in_the_clear(api: CatalogApi, tenant_id: int) -> None:
    """A search over every row of the database finds planted texts, in bytes too, and no token."""
    await api.new_account(tenant_id, display_name="planted-canary")
    tables = await api.sql(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', :schema)",
        schema=f"user_{tenant_id}",
    )
    dump = ""
    for schema, table in tables:
        rows = await api.sql(f'SELECT row_to_json(t)::text FROM "{schema}"."{table}" AS t')
        dump += "\n".join(row for (row,) in rows)
    assert "planted-canary" in dump
    # The manifest's schema, in a bytea column: a token in one would be found as well.
    assert b"fulfillmentPolicyId".hex() in dump
    assert REFRESH_TOKEN not in dump
    assert REFRESH_TOKEN.encode().hex() not in dump


async def test_repeated_request_returns_first_account(api: CatalogApi, tenant_id: int) -> None:
    """Concurrent repeats make one account with one gate; another body under the same id is refused."""
    request = account_request(tenant_id)
    answers = await asyncio.gather(*(api.accounts.CreateAccount(request) for _ in range(6)))
    assert len({answer.account.account_id for answer in answers}) == 1
    assert await api.sql("SELECT count(*) FROM public.account_gates") == [(1,)]
    error = await refusal(
        api.accounts.CreateAccount(
            account_request(tenant_id, request_id=request.request_id, display_name="Other")
        )
    )
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_unknown_marketplace_and_tenant_are_not_found(api: CatalogApi, tenant_id: int) -> None:
    """A marketplace that nobody registered is MARKETPLACE_NOT_FOUND, an unknown tenant TENANT_NOT_FOUND."""
    for request, reason in (
        (account_request(tenant_id, marketplace="vinted"), "MARKETPLACE_NOT_FOUND"),
        (account_request(999), "TENANT_NOT_FOUND"),
    ):
        error = await refusal(api.accounts.CreateAccount(request))
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, reason)
    assert await api.sql("SELECT count(*) FROM public.account_gates") == [(0,)]


async def test_settings_are_checked_against_the_manifest(api: CatalogApi, tenant_id: int) -> None:
    """Every wrong setting is named by its path, a missing one by the path that it should have."""
    wrong = {
        "EBAY_US": {"paymentPolicyId": ""},
        "EBAY_GB": {"fulfillmentPolicyId": 7, "paymentPolicyId": "2", "colour": "red"},
        "EBAY_DE": {},
    }
    error = await refusal(api.accounts.CreateAccount(account_request(tenant_id, settings=wrong)))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert [violation.field for violation in error.violations] == [
        "settings.EBAY_DE.fulfillmentPolicyId",
        "settings.EBAY_DE.paymentPolicyId",
        "settings.EBAY_GB",
        "settings.EBAY_GB.fulfillmentPolicyId",
        "settings.EBAY_US.fulfillmentPolicyId",
        "settings.EBAY_US.paymentPolicyId",
    ]


async def test_newest_manifest_decides(api: CatalogApi, tenant_id: int) -> None:
    """Settings are checked against the schema that was registered last; an empty one takes no settings."""
    await api.register_marketplace("ebay", "2", json.dumps({**SETTINGS_SCHEMA, "maxProperties": 0}))
    error = await refusal(api.accounts.CreateAccount(account_request(tenant_id)))
    assert [violation.field for violation in error.violations] == ["settings"]
    await api.register_marketplace("ebay", "3", "")
    error = await refusal(api.accounts.CreateAccount(account_request(tenant_id)))
    assert [violation.field for violation in error.violations] == ["settings.EBAY_US"]
    assert (await api.new_account(tenant_id, settings={})).state == ACCOUNT_STATE_CONNECTED


async def test_unstorable_values_are_listed(api: CatalogApi, tenant_id: int) -> None:
    """NUL, NaN, too large settings and impossible times are INVALID_ARGUMENT, never an internal error."""
    credentials = OAuthCredentials(
        refresh_token="r", access_token_expire_time=Timestamp(seconds=2**60, nanos=-1)
    )
    request = account_request(tenant_id, settings={"a": "\0", "b": math.nan}, credentials=credentials)
    error = await refusal(api.accounts.CreateAccount(request))
    assert {violation.field for violation in error.violations} == {
        "credentials.access_token_expire_time",
        'settings.fields["a"].string_value',
        'settings.fields["b"].number_value',
    }
    request = account_request(tenant_id, settings={"a": "x" * 70_000})
    error = await refusal(api.accounts.CreateAccount(request))
    assert [violation.field for violation in error.violations] == ["settings"]


async def test_contract_rules_are_listed_at_once(api: CatalogApi) -> None:
    """Fields that break the contract's own rules are all named, and no token is quoted."""
    request = CreateAccountRequest(
        request_id="x",
        tenant_id=0,
        marketplace="eBay!",
        sites=["a", "a"],
        credentials=OAuthCredentials(access_token=REFRESH_TOKEN * 1000),
    )
    error = await refusal(api.accounts.CreateAccount(request))
    assert {violation.field for violation in error.violations} == {
        "request_id",
        "tenant_id",
        "marketplace",
        "display_name",
        "sites",
        "credentials.access_token",
        "credentials.refresh_token",
    }
    assert REFRESH_TOKEN not in repr(error)


async def test_reconnecting_replaces_credentials_and_resumes_jobs(api: CatalogApi, tenant_id: int) -> None:
    """ReconnectAccount stores the new tokens, sets CONNECTED for all readers and resumes the jobs once."""
    account = await api.new_account(tenant_id)
    await api.sql("UPDATE public.account_gates SET state = 'RECONNECT_REQUIRED'")
    read = GetAccountRequest(tenant_id=tenant_id, account_id=account.account_id)
    assert (await api.accounts.GetAccount(read)).account.state == ACCOUNT_STATE_RECONNECT_REQUIRED
    await api.sql(
        f"UPDATE user_{tenant_id}.accounts SET state = 'RECONNECT_REQUIRED',"
        " grant_id = gen_random_uuid(), grant_expire_time = now() + interval '1 hour'"
    )
    request = reconnection(tenant_id, account.account_id)
    answers = await asyncio.gather(*(api.accounts.ReconnectAccount(request) for _ in range(4)))
    assert [answer.account.state for answer in answers] == [ACCOUNT_STATE_CONNECTED] * 4
    assert [str(resumed) for resumed in api.resumed] == [account.account_id]
    ((account_id, state, sealed, grant_id),) = await api.sql(
        f"SELECT account_id, state, credentials, grant_id FROM user_{tenant_id}.accounts"
    )
    assert (state, grant_id) == ("CONNECTED", None)
    box = SecretBox({"first": bytes(range(32))})
    assert open_tokens(box, tenant_id, account_id, sealed).refresh_token == "second"


async def test_reconnecting_needs_an_own_account(api: CatalogApi, tenant_id: int) -> None:
    """Unknown accounts, those of another tenant and impossible times are refused and change nothing."""
    account = await api.new_account(tenant_id)
    other = await api.new_tenant()
    for request in (reconnection(other, account.account_id), reconnection(tenant_id, new_id())):
        error = await refusal(api.accounts.ReconnectAccount(request))
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
    request = reconnection(tenant_id, account.account_id)
    request.credentials.access_token_expire_time.seconds = -1
    assert (await refusal(api.accounts.ReconnectAccount(request))).reason == "INVALID_ARGUMENT"
    used = reconnection(tenant_id, account.account_id)
    await api.accounts.ReconnectAccount(used)
    used.credentials.refresh_token = "third"
    assert (await refusal(api.accounts.ReconnectAccount(used))).reason == "REQUEST_ID_REUSED"
    assert len(api.resumed) == 1


async def test_tenants_do_not_see_each_others_accounts(api: CatalogApi, tenant_id: int) -> None:
    """Another tenant's account is ACCOUNT_NOT_FOUND and is not listed."""
    account = await api.new_account(tenant_id)
    other = await api.new_tenant()
    error = await refusal(
        api.accounts.GetAccount(GetAccountRequest(tenant_id=other, account_id=account.account_id))
    )
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
    assert not (await api.accounts.ListAccounts(ListAccountsRequest(tenant_id=other))).accounts
    error = await refusal(api.accounts.ListAccounts(ListAccountsRequest(tenant_id=999)))
    assert error.reason == "TENANT_NOT_FOUND"


async def test_accounts_are_listed_newest_first_page_by_page(api: CatalogApi, tenant_id: int) -> None:
    """Pages hold every account once, newest first; a token of another tenant is refused."""
    made = [(await api.new_account(tenant_id, settings=SETTINGS)).account_id for _ in range(3)]
    first = await api.accounts.ListAccounts(ListAccountsRequest(tenant_id=tenant_id, page_size=2))
    rest = await api.accounts.ListAccounts(
        ListAccountsRequest(tenant_id=tenant_id, page_size=2, page_token=first.next_page_token)
    )
    assert [account.account_id for account in [*first.accounts, *rest.accounts]] == made[::-1]
    assert rest.next_page_token == ""
    request = ListAccountsRequest(tenant_id=tenant_id + 1, page_token=first.next_page_token)
    assert (await refusal(api.accounts.ListAccounts(request))).reason == "PAGE_TOKEN_INVALID"
